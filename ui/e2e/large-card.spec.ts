import { randomInt, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { readyUser } from "./accounts";
import { accessible, expect, portal, signIn, test } from "./test";

const rows = 100_000;
const header = "id,card_id,merchant,mcc,currency,amount,sgd_amount,transaction_id,transaction_date,card_pan,card_type";

/** letters is an id without a run of digits that could be taken for a card number. */
const letters = () => randomUUID().replaceAll(/\d/g, (d) => "abcdefabcd"[Number(d)] ?? "a").replace(/^(.{14})./, "$14").replace(/^(.{19})./, "$1a");

/** cardNumber is one of the test range 4000 00…, with its check digit (ISO/IEC 7812-1, B). */
function cardNumber(): string {
  const body = "400000" + String(randomInt(1_000_000_000)).padStart(9, "0");
  const sum = [...body].map(Number).reduce((s, d, i) => s + (i % 2 === 0 ? (d > 4 ? 2 * d - 9 : 2 * d) : d), 0);
  return body + String((10 - (sum % 10)) % 10);
}

test("a card of 100,000 transactions is paged, filtered and downloaded", async ({ page, context, request, apiAs }) => {
  test.setTimeout(300_000);
  const admin = await apiAs("admin");
  const bank = await apiAs("bank");
  const owner = await readyUser(admin, request);
  const pan = cardNumber();
  const made = await admin("POST", "/card", { user_id: owner.id, card_pan: pan, card_type: "scis_freedom" });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  const card = (made.body as { data: { id: string } }).data.id;

  // A thousand days, a hundred transactions each. One in a thousand is of a merchant that is looked for.
  const star = "*".repeat(12) + pan.slice(-4);
  const lines = [header];
  for (let i = 0; i < rows; i++) {
    const date = new Date(Date.UTC(2020, 0, 1 + (i % 1000))).toISOString().slice(0, 10);
    lines.push([letters(), card, i % 1000 === 7 ? "NEEDLE AND THREAD" : `SHOP ${i % 300}`, "5411", "CAD", "10.00", "", `row-${i.toString(36)}`, date, star, "scis_freedom"].join(","));
  }
  const body = Buffer.from(lines.join("\n") + "\n");
  const asked = await bank("POST", "/upload", { kind: "spend", filename: "large-card.csv", size: body.length });
  const upload = (asked.body as { data: { id: string; url: string; headers: Record<string, string> } }).data;
  expect((await request.put(upload.url, { data: body, headers: upload.headers })).status()).toBe(200);
  await expect
    .poll(async () => ((await bank("GET", `/upload/${upload.id}`)).body as { data: { state: string } }).data.state, { timeout: 200_000, intervals: [1000] })
    .toBe("reconciled");

  await signIn(context.request, owner);
  await page.goto("/dashboard");
  await expect(page.getByRole("main")).toContainText("5,000"); // 0.5 % of a million
  await page.goto(`/cards/${card}`);
  const details = page.locator("details");
  for (let i = 0; i < 6; i++) {
    await expect(page.getByText(`${25 * i + 1} to ${25 * i + 25} of 100,000`, { exact: true })).toBeVisible();
    await expect(details).toHaveCount(25); // a page never grows
    await page.getByRole("link", { name: "Next" }).click();
  }
  await accessible(page);

  // The far end of the history, by its dates: a page of there comes as the first does.
  await page.goto(`/cards/${card}?to=2020-01-01`);
  await expect(details).toHaveCount(25);
  await expect(details.first()).toContainText("1 Jan 2020");

  // A merchant that is rare is found, a part of the history at a time.
  await page.goto(`/cards/${card}?merchant=needle`);
  let found = 0;
  for (;;) {
    await expect(page.getByRole("main")).toContainText(/NEEDLE AND THREAD|Nothing so far|No transaction fits/);
    found += await details.count();
    const on = page.getByRole("link", { name: /^(Next|Search further back)$/ });
    if (found >= 100 || (await on.count()) === 0) break;
    await page.goto(portal() + ((await on.first().getAttribute("href")) ?? ""));
  }
  expect(found).toBe(100);

  await page.goto(`/cards/${card}`);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download as CSV" }).click()]);
  expect((await readFile(await download.path(), "utf8")).trim().split("\n")).toHaveLength(1 + rows);
});
