import { readyUser } from "./accounts";
import { accessible, alert, expect, fits, signIn, test } from "./test";

test("a lost connection is said, and what was typed stays", async ({ page, context, request, apiAs }) => {
  await signIn(context.request, await readyUser(await apiAs("admin"), request));
  await page.goto("/account");
  await page.getByLabel("Last name").fill("Offline");
  await context.setOffline(true);
  await expect(alert(page).filter({ hasText: "You are offline" })).toBeVisible();
  await page.getByRole("button", { name: "Save changes" }).click();
  await expect(alert(page).filter({ hasText: "There is no network just now." })).toBeVisible();
  await expect(page.getByLabel("Last name")).toHaveValue("Offline");
  await accessible(page);
  await context.setOffline(false);
  await expect(page.getByText("You are online again.")).toBeVisible();
  await page.getByRole("button", { name: "Save changes" }).click();
  await expect(page.getByText("Your profile is saved.")).toBeVisible();
});

test("an address that is not there leads on", async ({ page, signInAs }) => {
  await signInAs("user");
  await page.goto("/no/such/page");
  await expect(page.getByRole("heading", { level: 1, name: "There is nothing here" })).toBeVisible();
  await accessible(page);
  await fits(page);
  await page.getByRole("link", { name: "Go to the start page" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Dashboard" })).toBeVisible();
});
