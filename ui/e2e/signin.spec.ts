import { accessible, alert, expect, fits, sample, test } from "./test";

test("a person signs in and finds the start page of the role", async ({ page }) => {
  const { email, password } = sample("user");
  await page.goto("/");
  await accessible(page);
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Dashboard" })).toBeVisible();
  await accessible(page);
});

test("a wrong password is refused and the email stays", async ({ page }) => {
  await page.goto("/signin");
  await page.getByLabel("Email").fill(sample("user").email);
  await page.getByLabel("Password", { exact: true }).fill("not the one");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(alert(page)).toContainText("The email or the password is not right.");
  await expect(page.getByLabel("Email")).toHaveValue(sample("user").email);
  await accessible(page);
  await fits(page);
});
