import { accessible, expect, fits, test } from "./test";

test("campaigns by programme, with search", async ({ signInAs }) => {
  const page = await signInAs("user");
  await page.goto("/campaigns");
  const items = page.getByRole("main").getByRole("listitem");
  await expect(items.filter({ hasText: "6 miles per dollar on hotels abroad" })).toContainText("6 miles for each CAD 1 on hotels (merchant categories 3500–3999, 7011), on spend that is not in CAD.");
  await accessible(page);
  await page.getByLabel("Search by name").fill("expedia");
  await page.getByRole("button", { name: "Show" }).click();
  await expect(page).toHaveURL(/\/campaigns\?q=expedia$/);
  await expect(items).toHaveCount(2);
  await page.getByLabel("Programme").selectOption({ label: "SCIS PlatinumMiles Card: SCISMiles" });
  await page.getByRole("button", { name: "Show" }).click();
  await expect(items).toHaveCount(1);
  await expect(items).toContainText("at merchants with “Expedia” in their name");
  await page.getByLabel("When").selectOption("Later");
  await page.getByRole("button", { name: "Show" }).click();
  await expect(page.getByRole("heading", { name: "No campaign fits" })).toBeVisible();
  await accessible(page);
  await page.getByRole("link", { name: "All campaigns" }).click();
  await expect(page).toHaveURL(/\/campaigns$/);
  await fits(page);
});
