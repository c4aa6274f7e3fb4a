import { bankDay, campaign, dialog, settled, word } from "./manage";
import { accessible, alert, expect, fits, test } from "./test";

test("a transaction is tried, and it is said which rules apply and why", async ({ signInAs, apiAs }) => {
  const call = await apiAs("admin");
  const c = await campaign(call, { reward_program: "scis_platinummiles", reward_amount: 10, start_date: "2019-05-01", end_date: "2019-05-31" });
  const page = await signInAs("admin");
  await page.goto("/manage/try");
  await settled(page);
  await expect(page.getByText("Fill in a transaction and try it")).toBeVisible();
  await page.getByRole("button", { name: "Try it" }).click();
  await expect(alert(page)).toBeVisible();
  await expect(page.getByLabel("Amount", { exact: true })).toHaveAttribute("aria-invalid", "true");
  await accessible(page);

  await page.getByLabel("Card type").selectOption("scis_platinummiles");
  await page.getByLabel("Amount", { exact: true }).fill("100");
  await page.getByLabel("Date").fill("2019-05-15");
  await page.getByLabel("Merchant", { exact: false }).first().fill(`The ${c.merchant} shop`);
  await page.getByLabel("Merchant category").fill("5411");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Try it" }).click();
  const result = page.getByRole("region", { name: "What it would earn" });
  await expect(result).toContainText("1,140 miles");
  await expect(result).toContainText("Rewarded");
  await expect(result).toContainText("10 × CAD 100.00 = 1,000 miles");
  await expect(result).toContainText("1.4 × CAD 100.00 = 140 miles");
  await expect(result.getByRole("link", { name: c.name })).toBeVisible();
  await accessible(page);

  // In another currency: the quotes of the day say what it is at home.
  await page.getByLabel("Currency").fill("usd");
  await expect(result).toContainText("have changed since");
  await page.getByRole("button", { name: "Try it" }).click();
  await expect(result).toContainText("By the quotes of");
  // Excluded.
  await page.getByLabel("Merchant category").fill("6051");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Try it" }).click();
  await expect(result).toContainText("Excluded");
  await expect(result.getByRole("link", { name: /The merchant category earns nothing from/ })).toBeVisible();
  await fits(page);
});

test("a transaction is tried with drafts of a campaign and of an exclusion", async ({ signInAs }) => {
  const page = await signInAs("admin");
  const w = word();
  await page.goto("/manage/try");
  await settled(page);
  await page.getByLabel("Card type").selectOption("scis_shopping");
  await page.getByLabel("Amount", { exact: true }).fill("10");
  await page.getByLabel("Merchant", { exact: false }).first().fill(w);
  await page.getByLabel("Merchant category").fill("5499");
  await page.keyboard.press("Escape");

  await page.getByRole("button", { name: "Add a campaign" }).click();
  const d = dialog(page);
  await d.getByLabel("Name", { exact: true }).fill(`Draft ${w}`);
  await d.getByRole("button", { name: "Use this draft" }).click();
  await expect(d.getByLabel("Rate")).toHaveAttribute("aria-invalid", "true");
  await accessible(page);
  await d.getByLabel("Rate").fill("7");
  await d.getByLabel("Merchant", { exact: false }).first().fill(w);
  await d.getByRole("button", { name: "Use this draft" }).click();
  await expect(d).toBeHidden();
  await page.getByRole("button", { name: "Try it" }).click();
  const result = page.getByRole("region", { name: "What it would earn" });
  await expect(result).toContainText("7 × CAD 10.00 = 70 points");
  await expect(result).toContainText(`Draft ${w}`);

  await page.getByRole("button", { name: "Add an exclusion" }).click();
  await expect(dialog(page).getByLabel("Merchant category")).toHaveValue("5499");
  await accessible(page);
  await dialog(page).getByRole("button", { name: "Use this draft" }).click();
  await page.getByRole("button", { name: "Try it" }).click();
  await expect(result).toContainText("0 points");
  await expect(result).toContainText("Excluded");
  await page.getByRole("button", { name: /^Remove the draft 5499/ }).click();
  await page.getByRole("button", { name: "Try it" }).click();
  await expect(result).toContainText("70 points");
  await fits(page);
});

test("a campaign that is being typed is tried before it is saved", async ({ signInAs, apiAs }) => {
  const c = await campaign(await apiAs("admin"), { start_date: bankDay(-3) });
  const page = await signInAs("admin");
  await page.goto(`/manage/campaigns/${c.id}/edit`);
  await settled(page);
  await page.getByLabel("Rate").fill("12");
  await page.getByRole("button", { name: "Try it" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Try a transaction" })).toBeVisible();
  await expect(page.getByLabel("Merchant", { exact: false }).first()).toHaveValue(c.merchant);
  await page.getByLabel("Amount", { exact: true }).fill("5");
  await page.getByLabel("Merchant category").fill("5411");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Try it" }).click();
  await expect(page.getByText("12 × CAD 5.00 = 60 points")).toBeVisible();
});
