import { defineConfig } from "@playwright/test";

const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export default defineConfig({
  testDir: "e2e",
  globalSetup: "./e2e/setup.ts",
  outputDir: "test-results",
  fullyParallel: true,
  forbidOnly: true,
  workers: 2,
  timeout: 180_000,
  expect: { timeout: 20_000 },
  reporter: [["list"]],
  use: {
    trace: "retain-on-failure",
    locale: "en-GB",
    timezoneId: "Pacific/Auckland", // never the bank's: dates must not depend on where a browser is
    launchOptions: { executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args },
  },
  projects: process.env.SCREENS ? [{ name: "screens", testMatch: "screens.ts" }] : [{ name: "portal", testMatch: "**/*.spec.ts" }],
});
