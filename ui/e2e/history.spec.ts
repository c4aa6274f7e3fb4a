import { readFile } from "node:fs/promises";
import { accessible, alert, expect, fits, test } from "./test";

const miles = "d831d553-d549-53e2-8021-699aada82d4d"; // has 67 transactions in the example
const points = "9536445a-e2f0-5927-b82d-325aa7465e54";
const abroad = "d494d0c1-7bd1-5f9c-8772-979a0e70c4e9";

interface Page {
  data: { id: string; merchant: string; transaction_date: string }[];
}

test("a card's history goes on by cursor to its end", async ({ signInAs, apiAs }) => {
  const page = await signInAs("user");
  const call = await apiAs("admin");
  const want = ((await call("GET", `/reward/${miles}?page_size=100`)).body as Page).data;
  await page.goto(`/cards/${miles}`);
  const seen: string[] = [];
  const rows = page.locator("details");
  for (const [text, count] of [["1 to 25 of 67", 25], ["26 to 50 of 67", 25], ["51 to 67 of 67", 17]] as const) {
    await expect(page.getByText(text, { exact: true })).toBeVisible();
    await expect(rows).toHaveCount(count);
    for (const r of await rows.all()) seen.push((await r.locator("summary > div").nth(1).textContent()) ?? "");
    if (count === 25) await page.getByRole("link", { name: "Next" }).click();
  }
  expect(seen).toEqual(want.map((r) => r.merchant));
  await expect(page.getByRole("link", { name: "Next" })).toHaveCount(0);
  await page.getByRole("link", { name: "Back to the first page" }).click();
  await expect(page.getByText("1 to 25 of 67", { exact: true })).toBeVisible();
  await accessible(page);
  await fits(page);
});

test("filters by date, merchant and outcome", async ({ signInAs, apiAs }) => {
  const page = await signInAs("user");
  const call = await apiAs("admin");
  const count = async (query: string) => ((await call("GET", `/reward/${miles}?page_size=100&${query}`)).body as Page).data.length;
  await page.goto(`/cards/${miles}`);
  await page.getByLabel("From").fill("2019-03-01");
  await page.getByLabel("To", { exact: true }).fill("2019-08-31");
  await page.getByLabel("Merchant").fill("food");
  await page.getByRole("button", { name: "Show" }).click();
  await expect(page).toHaveURL(/from=2019-03-01&to=2019-08-31&merchant=food$/);
  const n = await count("from=2019-03-01&to=2019-08-31&merchant=food");
  expect(n).toBeGreaterThan(0);
  await expect(page.locator("details")).toHaveCount(n);
  await accessible(page);

  await page.getByRole("link", { name: "Clear the filters" }).click();
  await expect(page).toHaveURL(/\/cards\/[^?]+$/);
  await page.getByLabel("Outcome").selectOption("Excluded");
  await page.getByRole("button", { name: "Show" }).click();
  await expect(page).toHaveURL(/\?outcome=excluded$/);
  await expect(page.locator("details")).toHaveCount(await count("outcome=excluded"));

  await page.getByLabel("Merchant").fill("no such merchant");
  await page.getByRole("button", { name: "Show" }).click();
  await expect(page.getByRole("heading", { name: "No transaction fits" })).toBeVisible();
  await accessible(page);

  // Days that are the wrong way round are said at once, and what the server says of them stands at the field.
  await page.goto(`/cards/${miles}?from=2019-08-31&to=2019-03-01`);
  await expect(page.getByText("The first day is after the last.")).toBeVisible();
  await page.goto(`/cards/${miles}?from=yesterday`);
  await expect(page.getByLabel("From")).toHaveAttribute("aria-invalid", "true");
  await accessible(page);
});

test("each row says why", async ({ signInAs }) => {
  const page = await signInAs("user");
  // Spend abroad: the rate, its day, the two quotes, and the campaign on what came of it.
  await page.goto(`/cards/${abroad}?merchant=WPMU`);
  const row = page.locator("details").first();
  await row.locator("summary").click();
  await expect(row).toContainText("USD 49.00 = CAD 65.21");
  await expect(row).toContainText("Rate of 29 Nov 2019: 1 EUR = 1.0982 USD = 1.4614 CAD");
  await expect(row).toContainText("1 point per dollar on all spend");
  await expect(row).toContainText("CAD 65.21 × 1 = 65 points");
  await expect(row).toContainText("rounded to whole units");
  await accessible(page);
  await fits(page);

  await page.setViewportSize({ width: 1280, height: 800 });
  await page.goto(`/cards/${miles}?outcome=excluded`);
  await page.locator("summary").first().click();
  await expect(page.getByText("Merchants of category 9399 earn nothing since 1 Jan 2019.").first()).toBeVisible();
  await page.goto(`/cards/${points}?outcome=no_campaign`);
  await page.locator("summary").first().click();
  await expect(page.getByText("No campaign of the programme was live on that day").first()).toBeVisible();
  await accessible(page);

  // A refund takes back what its purchase had earned, with the sign that it has.
  await page.goto(`/cards/${miles}`);
  for (let i = 0; i < 2 && (await page.locator("details").filter({ hasText: "-CAD" }).count()) === 0; i++) {
    await page.getByRole("link", { name: "Next" }).click();
    await expect(page.getByText(`${26 + 25 * i} to`)).toBeVisible();
  }
  const refund = page.locator("details").filter({ hasText: "-CAD" }).first();
  await refund.locator("summary").click();
  await expect(refund.locator("summary")).toContainText(/−\d+ miles/);
  await expect(refund).toContainText("A refund takes back");
});

test("the history as CSV", async ({ signInAs }) => {
  const page = await signInAs("user");
  await page.goto(`/cards/${miles}?outcome=excluded`);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download as CSV" }).click()]);
  expect(download.suggestedFilename()).toBe(`rewards-${miles}.csv`);
  const lines = (await readFile(await download.path(), "utf8")).trim().split("\n");
  expect(lines[0]).toContain("transaction_date");
  expect(lines).toHaveLength(1 + 3);
});

test("a card of somebody else is not there", async ({ signInAs, apiAs }) => {
  const call = await apiAs("admin");
  const all = ((await call("GET", "/card?page_size=100")).body as { data: { id: string }[] }).data.map((c) => c.id);
  const page = await signInAs("user");
  for (const id of ["2aaf28fd-c9f2-5293-9ed2-4150ebae599c", "not-a-card"]) {
    expect(all).not.toContain(id);
    await page.goto(`/cards/${id}`);
    await expect(page.getByRole("heading", { name: /There is nothing here|This page is not for your account|This could not be loaded/ })).toBeVisible();
    await expect(page.locator("details")).toHaveCount(0);
    await accessible(page);
  }
  await expect(alert(page)).toHaveCount(0);
});
