import { accessible, expect, fits, test } from "./test";

test("linked cards with their last four digits and programme", async ({ signInAs, apiAs }) => {
  const page = await signInAs("user");
  await page.goto("/cards");
  const rows = page.getByRole("row").filter({ has: page.getByRole("rowheader") });
  await expect(rows).toHaveCount(3);
  await expect(rows.filter({ hasText: "0343" })).toContainText("SCIS PlatinumMiles Card");
  await expect(rows.filter({ hasText: "0343" })).toContainText("SCISMiles");
  await accessible(page);
  const call = await apiAs("admin");
  const total = (await call("GET", "/reward/total/d831d553-d549-53e2-8021-699aada82d4d")).body as { data: number };
  await expect(rows.filter({ hasText: "0343" })).toContainText(`${total.data.toLocaleString("en-GB")} miles`);
  await fits(page);
  await accessible(page);
  await page.getByRole("link", { name: "SCIS PlatinumMiles Card" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("SCIS PlatinumMiles Card transactions");
});
