import { accessible, expect, fits, sample, test } from "./test";

test("light, dark and as the device is", async ({ signInAs }) => {
  const page = await signInAs("user");
  const html = page.locator("html");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto("/account");
  await expect(html).toHaveClass(/dark/);
  await accessible(page);
  await page.getByRole("radio", { name: "Light" }).check();
  await expect(html).toHaveClass(/light/);
  await page.reload();
  await expect(html).toHaveClass(/light/);
  await page.getByRole("radio", { name: "Dark" }).check();
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto("/dashboard");
  await expect(html).toHaveClass(/dark/);
  await accessible(page);
  await page.goto("/account");
  await page.getByRole("radio", { name: "As this device" }).check();
  await expect(html).toHaveClass(/light/);
  await page.emulateMedia({ colorScheme: "dark" });
  await expect(html).toHaveClass(/dark/);
});

test("the menu of a phone", async ({ signInAs }) => {
  const page = await signInAs("user");
  await page.setViewportSize({ width: 360, height: 740 });
  await page.goto("/dashboard");
  const menu = page.getByRole("button", { name: "Menu" });
  await menu.click();
  const dialog = page.getByRole("dialog", { name: "AngelOwl" });
  await expect(dialog.getByRole("link", { name: "Dashboard" })).toHaveAttribute("aria-current", "page");
  await accessible(page);
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(menu).toBeFocused();
  await menu.click();
  await dialog.getByRole("link", { name: "Cards" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Cards" })).toBeVisible();
  await expect(dialog).toBeHidden();
  await page.getByRole("link", { name: "Account" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Account" })).toBeVisible();
  for (const width of [768, 1024]) {
    await page.setViewportSize({ width, height: 800 });
    await expect(page.getByRole("link", { name: "Account" })).toHaveCount(1);
  }
  await fits(page);
});

test("the keyboard alone leads from the sign-in to a transaction", async ({ page }) => {
  const { email, password } = sample("user");
  await page.goto("/signin");
  await page.keyboard.type(email); // the first field has the focus
  await page.keyboard.press("Tab");
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "Dashboard" })).toBeVisible();
  await page.goto("/cards");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  const card = page.getByRole("link", { name: "SCIS PlatinumMiles Card" });
  await expect(card).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "SCIS PlatinumMiles Card transactions" })).toBeVisible();
  const row = page.locator("summary").first();
  for (let i = 0; i < 30 && !(await row.evaluate((e) => e === document.activeElement)); i++) await page.keyboard.press("Tab");
  await expect(row).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByText("Base reward").first()).toBeVisible();
});
