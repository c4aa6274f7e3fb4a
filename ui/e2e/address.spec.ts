import { type ChildProcess, spawn } from "node:child_process";
import { hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { type APIRequestContext, expect, test } from "@playwright/test";
import { ended, freePort, says } from "./setup";
import { apiOrigin } from "./test";

// A portal behind a proxy, on the same system.
let server: ChildProcess;
let origin = "";

test.beforeAll(async () => {
  const port = await freePort();
  origin = `http://127.0.0.1:${port}`;
  const { data_key: key } = JSON.parse(readFileSync(path.join(process.env.E2E_DATA ?? "", "bank.json"), "utf8")) as { data_key: string };
  server = spawn(process.execPath, [path.join(import.meta.dirname, "../.next/standalone/serve.mjs")], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env, NODE_ENV: "production", API_ORIGIN: apiOrigin(), PORTAL_ORIGIN: origin, PORTAL_SESSION_SECRET: process.env.E2E_SECRET, HOSTNAME: "127.0.0.1", PORT: String(port),
      PROXIES: "1", CLIENT_ADDRESS_KEY: Buffer.from(hkdfSync("sha256", Buffer.from(key, "base64"), "", "client address", 32)).toString("hex"),
    },
  });
  await says(server, /Ready/, "the portal");
});

test.afterAll(() => ended(server));

/** tries signs in with a wrong password from an address, as the proxy before the portal says, and returns the refusal. */
async function tries(client: APIRequestContext, account: number, from: string): Promise<string> {
  const { csrfToken } = (await (await client.get("/api/auth/csrf")).json()) as { csrfToken: string };
  const answer = await client.post("/api/auth/callback/credentials", {
    headers: { Origin: origin, "X-Forwarded-For": from, "X-Client-Address": "203.0.113.66" },
    form: { csrfToken, email: `nobody-${account}@test.example`, password: "wrong", json: "true" },
  });
  const { url } = (await answer.json()) as { url: string };
  return new URL(url).searchParams.get("error") ?? url;
}

test("limits of tries count who sits at the browser, not the portal and not what a browser says of itself", async ({ playwright }) => {
  test.setTimeout(90_000);
  const client = await playwright.request.newContext({ baseURL: origin });
  // One who tries many accounts is stopped, whatever else he says of himself.
  let last = "";
  for (let i = 0; i < 80 && !last.startsWith("too_many_tries"); i++) last = await tries(client, i, `198.51.100.${i}, 203.0.113.7`);
  expect(last).toMatch(/^too_many_tries:\d+$/);
  // Others are not.
  expect(await tries(client, 100, "203.0.113.7, 203.0.113.8")).toMatch(/^wrong_credentials/);
});
