import { readyUser } from "./accounts";
import { accessible, expect, fits, signIn, test } from "./test";

const miles = "d831d553-d549-53e2-8021-699aada82d4d";

test("what each card earned, by month and by category", async ({ signInAs, apiAs }) => {
  const page = await signInAs("user");
  const call = await apiAs("admin");
  const { data: months } = (await call("GET", `/reward/summary/${miles}`)).body as { data: { months: { month: string; groups: { group: string; spend_home: number; units: { units: number }[] }[] }[] } };
  const total = ((await call("GET", `/reward/total/${miles}`)).body as { data: number }).data;
  const last = months.months[0];
  const units = (groups: { units: { units: number }[] }[]) => groups.reduce((n, g) => n + g.units.reduce((m, u) => m + u.units, 0), 0);

  await page.goto("/dashboard");
  const card = page.getByRole("region", { name: "SCIS PlatinumMiles Card, Card ending in 0343" });
  await expect(card).toContainText(`${total.toLocaleString("en-GB")} miles in all`);
  await expect(card).toContainText(`+${units(last?.groups ?? []).toLocaleString("en-GB")} miles in December 2019`);
  await expect(card).toContainText(`for CAD ${(last?.groups ?? []).reduce((n, g) => n + g.spend_home, 0).toFixed(2)} spent`);
  await expect(page.getByRole("region", { name: /SCIS Shopping Card/ })).toHaveCount(2);

  // The chart, and the same as a table, month by month and to the unit.
  await page.getByRole("link", { name: "•••• 0343" }).click();
  await expect(page).toHaveURL(new RegExp(miles));
  await expect(page.getByRole("img", { name: /^By month: January 2019 / })).toBeVisible();
  await page.getByText("As a table").click();
  const table = page.getByRole("table", { name: "By month" });
  for (const m of months.months.slice(0, 12)) {
    const name = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric", timeZone: "UTC" }).format(new Date(m.month + "-01T00:00:00Z"));
    await expect(table.getByRole("row", { name: name })).toContainText(units(m.groups).toLocaleString("en-GB"));
  }
  const groceries = months.months.slice(0, 12).flatMap((m) => m.groups.filter((g) => g.group === "groceries"));
  await expect(page.getByRole("table", { name: "By category" }).getByRole("row", { name: "Groceries" })).toContainText(units(groceries).toLocaleString("en-GB"));

  const latest = page.getByRole("region", { name: "Latest transactions" }).getByRole("listitem");
  await expect(latest).toHaveCount(6);
  await expect(latest.first()).toContainText("18 Dec 2019");
  await latest.first().click();
  await expect(latest.first().getByText("Base reward")).toBeVisible();
  await accessible(page);
  await fits(page);
  await accessible(page);
});

test("campaigns that fit the cards, and no others", async ({ signInAs, apiAs }) => {
  const call = await apiAs("admin");
  const now = new Date();
  const until = `${now.getUTCFullYear() + 1}-01-31`;
  const campaign = { min_spend: 0, start_date: `${now.getUTCFullYear()}-01-01`, end_date: until, reward_amount: 2.5, mcc: "5411,5812-5814", merchant: "", base_reward: false, foreign_currency: false };
  const fitting = (await call("POST", "/campaign", { ...campaign, name: "Fits the miles", reward_program: "scis_platinummiles" })).body as { data: { id: string } };
  const other = (await call("POST", "/campaign", { ...campaign, name: "Fits another card", reward_program: "scis_freedom" })).body as { data: { id: string } };
  try {
    const page = await signInAs("user");
    await page.goto("/dashboard");
    const region = page.getByRole("region", { name: "Campaigns for your cards" });
    await expect(region).toContainText("Fits the miles");
    await expect(region).toContainText("2.5 miles for each CAD 1 on groceries and restaurants (merchant categories 5411, 5812–5814).");
    await expect(region).not.toContainText("Fits another card");
  } finally {
    for (const c of [fitting, other]) await call("DELETE", `/campaign/${c.data.id}`);
  }
});

test("who has no card yet is told", async ({ page, context, request, apiAs }) => {
  await signIn(context.request, await readyUser(await apiAs("admin"), request));
  await page.goto("/dashboard");
  await expect(page.getByRole("heading", { name: "No cards yet" })).toBeVisible();
  await fits(page);
  await page.goto("/cards");
  await expect(page.getByRole("heading", { name: "No cards yet" })).toBeVisible();
  await accessible(page);
});

test("the dashboard loads no more than 200 KB of scripts", async ({ signInAs }) => {
  const page = await signInAs("user");
  let bytes = 0;
  const all: Promise<void>[] = [];
  page.on("response", (r) => {
    if (r.request().resourceType() === "script") all.push(r.request().sizes().then((s) => void (bytes += s.responseBodySize)));
  });
  await page.goto("/dashboard");
  await page.waitForLoadState("networkidle");
  await Promise.all(all);
  expect(bytes).toBeGreaterThan(50_000);
  expect(bytes).toBeLessThanOrEqual(200_000);
});
