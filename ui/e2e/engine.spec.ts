import { randomUUID } from "node:crypto";
import { accessible, alert, apiOrigin, expect, fits, test } from "./test";

const letters = () => randomUUID().replaceAll(/\d/g, (d) => "abcdefabcd"[Number(d)] ?? "a").replace(/^(.{14})./, "$14").replace(/^(.{19})./, "$1a");

test("lag, rate and the rules in force of each partition", async ({ signInAs }) => {
  const page = await signInAs("admin");
  await page.goto("/engine");
  await expect(page.getByText("Everything works")).toBeVisible();
  const table = page.getByRole("table", { name: "Rules in force" });
  await expect(table.getByRole("rowheader")).toHaveText(["0", "1", "2", "3"]);
  await expect(table.getByText("The published one")).toHaveCount(4);
  await expect(page.getByRole("table", { name: "Rewarders" }).getByText("consuming").first()).toBeVisible();
  await accessible(page);
  await fits(page);
});

test("a dead letter is looked at, mended and sent again", async ({ signInAs, apiAs }) => {
  const admin = await apiAs("admin");
  const type = `no_such_type_${Math.random().toString(36).replaceAll(/\d/g, "").slice(0, 8)}`;
  const card = letters();
  const sent = await admin("POST", "/publish", { id: letters(), card_id: card, merchant: "FOOD BASICS", mcc: 5411, currency: "CAD", amount: 12.5, transaction_date: "2019-05-06", card_pan: "************1234", card_type: type });
  expect(sent.status).toBe(202);
  const page = await signInAs("admin");
  const row = page.getByRole("row").filter({ hasText: type });
  await expect(async () => {
    await page.goto("/engine/letters?reason=unknown_card_type");
    await expect(row).toHaveCount(1, { timeout: 1000 });
  }).toPass({ timeout: 20_000 });
  await accessible(page);
  await row.getByRole("link").first().click();
  await expect(page.getByText(type).first()).toBeVisible();
  await accessible(page);

  await page.getByRole("button", { name: "Send again" }).click();
  await expect(alert(page)).toBeVisible(); // it would be set aside again
  await page.getByLabel("card_type").fill("scis_platinummiles");
  await page.getByRole("button", { name: "Send again" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Sent again." })).toBeVisible();
  await expect
    .poll(async () => ((await admin("GET", `/reward/${card}`)).body as { data?: { merchant: string }[] }).data?.map((r) => r.merchant))
    .toEqual(["FOOD BASICS"]);
  await page.getByLabel("card_type").fill("scis_platinummiles");
  await page.getByRole("button", { name: "Send again" }).click();
  await expect(page.getByLabel("It was sent again before")).toBeVisible();
  await accessible(page);
  await fits(page);
});

test("the API's documentation is one click away", async ({ signInAs, context }) => {
  const page = await signInAs("admin");
  await page.goto("/engine");
  const res = await context.request.get("/engine/docs/informer");
  expect(res.url()).toBe(`${apiOrigin()}/docs/informer/index.html`);
  expect(res.status()).toBe(200);
  await expect(page.getByRole("link", { name: "informer" })).toHaveAttribute("href", "/engine/docs/informer");
});

test("the corner is for admins alone", async ({ signInAs }) => {
  for (const role of ["bank", "user"] as const) {
    const page = await signInAs(role);
    await page.goto("/engine");
    await expect(page.getByText("This page is not for your account")).toBeVisible();
    await expect(page.getByRole("link", { name: "Engineer's corner" })).toHaveCount(0);
  }
  const page = await signInAs("user");
  await page.goto("/uploads");
  await expect(page.getByText("This page is not for your account")).toBeVisible();
});
