import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Page } from "@playwright/test";
import { accessible, expect, fits, test } from "./test";

const header = "id,card_id,merchant,mcc,currency,amount,sgd_amount,transaction_id,transaction_date,card_pan,card_type";

/** uuid has no run of digits that could be taken for a card number. */
const uuid = () => randomUUID().replaceAll(/\d/g, (d) => "abcdefabcd"[Number(d)] ?? "a").replace(/^(.{14})./, "$14").replace(/^(.{19})./, "$1a");

/** row is a transaction of a card that nobody owns. */
const row = (o: Partial<Record<"id" | "card" | "merchant" | "mcc" | "amount" | "date" | "type", string>> = {}) =>
  [o.id ?? uuid(), o.card ?? uuid(), o.merchant ?? "FOOD BASICS", o.mcc ?? "5411", "CAD", o.amount ?? "10.00", "", "", o.date ?? "2019-05-06", "************1234", o.type ?? "scis_platinummiles"].join(",");

const csv = (name: string, text: string) => ({ name, mimeType: "text/csv", buffer: Buffer.from(text) });

async function choose(page: Page, ...files: { name: string; mimeType: string; buffer: Buffer }[]) {
  await page.goto("/uploads/new");
  await page.locator("input[type=file]").setInputFiles(files);
}

const line = (page: Page, name: string) => page.getByRole("listitem").filter({ hasText: name });

test("files are chosen, sent, read, rewarded and reconciled", async ({ signInAs }) => {
  const page = await signInAs("bank");
  const tag = uuid().slice(0, 8);
  await choose(page, csv(`${tag}-one.csv`, [header, row(), row()].join("\n")), csv(`${tag}-two.csv`, [header, row()].join("\n")));
  await expect(line(page, `${tag}-one.csv`)).toContainText("Ready to be sent");
  await accessible(page);
  await page.getByRole("button", { name: "Send 2 files" }).click();
  for (const [name, rows] of [["one", 2], ["two", 1]] as const) {
    await expect(line(page, `${tag}-${name}.csv`)).toContainText(`Done: all ${rows} rows are accounted for`, { timeout: 40_000 });
  }
  await accessible(page);
  await page.getByRole("link", { name: `Report of ${tag}-one.csv` }).click();
  await expect(page.getByRole("heading", { level: 1, name: `${tag}-one.csv` })).toBeVisible();
  await expect(page.getByRole("listitem").filter({ hasText: "Reconciled" })).toContainText("done");
});

test("a file is dropped on the page", async ({ signInAs }) => {
  const page = await signInAs("bank");
  await page.goto("/uploads/new");
  const data = await page.evaluateHandle((text) => {
    const d = new DataTransfer();
    d.items.add(new File([text], "dropped.csv", { type: "text/csv" }));
    return d;
  }, [header, row()].join("\n"));
  await page.getByTestId("drop").dispatchEvent("drop", { dataTransfer: data });
  await expect(line(page, "dropped.csv")).toContainText("Ready to be sent");
  await page.getByRole("button", { name: "Take dropped.csv out" }).click();
  await expect(line(page, "dropped.csv")).toHaveCount(0);
  await fits(page);
});

test("what cannot be read is said before it is sent", async ({ signInAs }) => {
  const page = await signInAs("bank");
  const utf16 = Buffer.from("\ufeff" + header + "\n" + row(), "utf16le");
  const bad: [string, Buffer, string][] = [
    ["zero.csv", Buffer.alloc(0), "It is empty"],
    ["book.xlsx", Buffer.from("PK\u0003\u0004"), "Its name does not end in .csv"],
    ["zipped.csv", Buffer.from("PK\u0003\u0004 and more"), "It is a ZIP archive or a spreadsheet"],
    ["wide.csv", utf16, "It is written in UTF-16"],
    ["latin.csv", Buffer.concat([Buffer.from(header + "\n"), Buffer.from([0xe9, 0x2c, 0xff, 0x0a])]), "not UTF-8"],
    ["semicolons.csv", Buffer.from(header.replaceAll(",", ";")), "separated by something else than commas"],
    ["short.csv", Buffer.from("id,merchant,amount\n1,2,3\n"), "lacks the columns card_id, mcc, currency, transaction_date, card_pan, card_type"],
    ["people.csv", Buffer.from("id,first_name,last_name,phone,email,card_id,card_pan,card_type\na,b,c,d,e,f,g,h\n"), "Its header is that of a file of users"],
    ["bare.csv", Buffer.from(header + "\n"), "It has a header and no rows"],
    ["not.csv.gz", Buffer.from(header), "it is not gzipped"],
  ];
  await choose(page, ...bad.map(([name, buffer]) => ({ name, mimeType: "text/csv", buffer })));
  for (const [name, , why] of bad) await expect(line(page, name)).toContainText(why);
  await expect(page.getByRole("button", { name: /^Send \d/ })).toHaveCount(0);
  await accessible(page);
  await page.getByLabel(/^Users/).check();
  await expect(line(page, "people.csv")).toContainText("Ready to be sent");
});

test("a connection that is lost is said, and the file is sent again", async ({ signInAs }) => {
  const page = await signInAs("bank");
  const name = `${uuid().slice(0, 8)}-lost.csv`;
  let cut = true;
  await page.route(/X-Amz-Signature/, (route) => (cut && route.request().method() === "PUT" ? route.abort("connectionreset") : route.continue()));
  await choose(page, csv(name, [header, row()].join("\n")));
  await page.getByRole("button", { name: "Send 1 file" }).click();
  await expect(line(page, name)).toContainText("The connection was lost");
  await accessible(page);
  cut = false;
  await page.getByRole("button", { name: `Send ${name} again` }).click();
  await expect(line(page, name)).toContainText("Done: all 1 rows are accounted for", { timeout: 40_000 });
});

test("the report accounts for each row", async ({ signInAs }) => {
  const page = await signInAs("bank");
  const name = `${uuid().slice(0, 8)}-report.csv`;
  const twice = { id: uuid(), card: uuid() };
  const rows = [row(), row({ mcc: "" }), row(twice), row(twice), row({ ...twice, amount: "11.00" }), row({ type: "nobody_has_this" }), row({ amount: "ten" })];
  await choose(page, csv(name, [header, ...rows].join("\n")));
  await page.getByLabel("Your own count").fill("8");
  await page.getByRole("button", { name: "Send 1 file" }).click();
  await expect(line(page, name)).toContainText("Done: 6 rows accepted, 1 refused", { timeout: 40_000 });
  await page.goto("/uploads");
  await accessible(page);
  await page.getByRole("link", { name }).click();
  const cell = (what: string) => page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: what, exact: true }) });
  await expect(page.getByRole("alert").filter({ hasText: "the bank says 8, the file has 7" })).toBeVisible();
  for (const [what, n] of [["Rewarded", "2"], ["Excluded", "1"], ["Duplicates: had arrived before", "1"], ["Conflicts: same identity, other content", "1"], ["Set aside (dead letters)", "1"]] as const) {
    await expect(cell(what).getByRole("cell").first(), what).toHaveText(n);
  }
  await expect(page.getByText("amount CAD 11.00")).toBeVisible();
  await expect(cell("CAD")).toContainText("CAD 61.00");
  await accessible(page);
  await fits(page);
});

test("refused rows are fetched, mended and sent again", async ({ signInAs }) => {
  const page = await signInAs("bank");
  const tag = uuid().slice(0, 8);
  await choose(page, csv(`${tag}.csv`, [header, row(), row({ amount: "1O.50" })].join("\n")));
  await page.getByRole("button", { name: "Send 1 file" }).click();
  await expect(line(page, `${tag}.csv`)).toContainText("1 refused", { timeout: 40_000 });
  await page.getByRole("link", { name: "Report" }).click();
  const fetched = page.waitForEvent("download");
  await page.getByRole("link", { name: "Refused rows as CSV" }).click();
  const text = await readFile(await (await fetched).path(), "utf8");
  expect(text).toContain("1O.50");
  await page.getByRole("link", { name: "Send the mended file" }).click();
  await page.locator("input[type=file]").setInputFiles(csv(`${tag}-mended.csv`, text.replace("1O.50", "10.50")));
  await page.getByRole("button", { name: "Send 1 file" }).click();
  await expect(line(page, `${tag}-mended.csv`)).toContainText("Done: all 1 rows are accounted for", { timeout: 40_000 });
});

test("a file that cannot be read says what to do", async ({ signInAs }) => {
  const page = await signInAs("bank");
  const name = `${uuid().slice(0, 8)}-twice.csv`;
  await choose(page, csv(name, [header + ",merchant", row() + ",x"].join("\n")));
  await page.getByRole("button", { name: "Send 1 file" }).click();
  await expect(line(page, name)).toContainText("the column merchant is there twice", { timeout: 40_000 });
  await page.getByRole("link", { name: `Report of ${name}` }).click();
  await expect(page.getByRole("alert").filter({ hasText: "the column merchant is there twice" })).toBeVisible();
  await accessible(page);
});

test("a file of users makes users", async ({ signInAs, apiAs }) => {
  const page = await signInAs("bank");
  const admin = await apiAs("admin");
  const email = `${uuid().replaceAll("-", "")}@test.example`;
  const text = `id,first_name,last_name,phone,email,created_at,updated_at,card_id,card_pan,card_type\n${uuid()},Uma,User,+6561234567,${email},,,${uuid()},${"4".padEnd(15, "0")}2,scis_platinummiles\n`;
  await page.goto("/uploads/new?kind=users");
  await page.locator("input[type=file]").setInputFiles(csv("people.csv", text));
  await page.getByRole("button", { name: "Send 1 file" }).click();
  await expect(line(page, "people.csv")).toContainText("Done: all 1 rows are accounted for", { timeout: 40_000 });
  const found = (await admin("GET", `/user?search=${email}`)).body as { data: { email: string }[] };
  expect(found.data.map((u) => u.email)).toEqual([email]);
  await page.getByRole("link", { name: "Report of people.csv" }).click();
  await expect(page.getByText("First passwords asked for")).toBeVisible();
});
