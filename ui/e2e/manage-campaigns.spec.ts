import { bankDay, campaign, dialog, settled, word } from "./manage";
import { accessible, alert, expect, fits, portal, sample, signIn, test } from "./test";

test("campaigns are searched, sorted and filtered by programme, kind and state", async ({ signInAs, apiAs }) => {
  const call = await apiAs("admin");
  const w = word();
  await campaign(call, { name: `${w} live`, reward_amount: 2, reward_program: "scis_shopping" });
  await campaign(call, { name: `${w} soon`, start_date: bankDay(1), base_reward: true, reward_amount: 7, reward_program: "scis_premiummiles" });
  await campaign(call, { name: `${w} over`, end_date: bankDay(-1), reward_amount: 5, reward_program: "scis_shopping" });
  const page = await signInAs("admin");
  await page.goto("/manage/campaigns");
  await settled(page);
  await accessible(page);
  await page.getByLabel("Name or merchant").fill(w);
  await page.getByRole("button", { name: "Search" }).click();
  const rows = page.getByRole("table", { name: "Campaigns" }).locator("tbody tr");
  await expect(rows).toHaveCount(3);

  await page.getByRole("link", { name: "Earns" }).click();
  await expect(rows.nth(0)).toContainText(`${w} live`);
  await page.getByRole("link", { name: "Earns" }).click();
  await expect(rows.nth(0)).toContainText(`${w} soon`);
  await expect(page.getByRole("columnheader", { name: "Earns" })).toHaveAttribute("aria-sort", "descending");

  for (const [state, name] of [["Live 1", "live"], ["Scheduled 1", "soon"], ["Ended 1", "over"]] as const) {
    await page.getByRole("navigation", { name: "State" }).getByRole("link", { name: state }).click();
    await expect(rows).toHaveCount(1);
    await expect(rows.first()).toContainText(`${w} ${name}`);
    await expect(rows.first()).toContainText(state.split(" ")[0] ?? "");
  }
  await page.getByRole("navigation", { name: "State" }).getByRole("link", { name: "All 3" }).click();
  await expect(rows).toHaveCount(3);
  await page.getByLabel("Kind").selectOption({ label: "Base" });
  await expect(rows).toHaveCount(1);
  await expect(rows.first()).toContainText(`${w} soon`);
  await page.getByLabel("Kind").selectOption({ label: "Base and promo" });
  await expect(rows).toHaveCount(3);
  await page.getByLabel("Card type").selectOption("scis_shopping");
  await expect(rows).toHaveCount(2);
  await page.getByLabel("Kind").selectOption({ label: "Base" });
  await expect(page.getByRole("heading", { name: "No campaign fits" })).toBeVisible();
  await accessible(page);
  await page.getByRole("link", { name: "Show all campaigns" }).click();
  await expect(page).toHaveURL(portal() + "/manage/campaigns");
  await fits(page);
});

test("a campaign is created while the form reads it back as a sentence", async ({ signInAs }) => {
  const page = await signInAs("admin");
  const w = word();
  await page.goto("/manage/campaigns");
  await page.getByRole("link", { name: "New campaign" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "New campaign" })).toBeVisible();
  await settled(page);
  await page.getByLabel("Name", { exact: true }).fill(`Ten ${w}`);
  await page.getByLabel("Card type").selectOption("scis_platinummiles");
  await page.getByLabel("Rate").fill("10");
  await page.getByLabel("First day").fill(bankDay(-1));
  await page.getByLabel("Last day").fill("2030-12-31");
  await page.getByLabel("Merchant", { exact: false }).first().fill(w);
  await page.getByLabel("Add a category").fill("grocery");
  await page.getByRole("option", { name: /^5411/ }).click();
  await expect(page.getByLabel("Merchant categories")).toHaveValue("5411");
  await page.getByLabel("Least amount").fill("20");
  const says = page.getByRole("region", { name: "What it says" });
  await expect(says).toContainText(`SCIS PlatinumMiles Card earns 10 miles for each CAD 1 spent at merchants with “${w}” in their name in the category 5411, from CAD 20.00 a purchase, from`);
  await expect(says).toContainText("to 31 Dec 2030.");
  await expect(says).toContainText("Applies to what arrives from now on.");
  // The server has worked out an example by this draft.
  await expect(says).toContainText(/would earn [\d,]+ miles/);
  await accessible(page);
  await page.getByRole("button", { name: "Create campaign" }).click();
  await expect(page.getByText("The campaign is created.")).toBeVisible();
  await expect(page.getByRole("heading", { level: 1, name: `Ten ${w}` })).toBeVisible();
  await accessible(page); // with the toast
  await fits(page);
});

test("a campaign's form says what is wrong as the server does, at the field", async ({ signInAs }) => {
  const page = await signInAs("admin");
  await page.goto("/manage/campaigns/new");
  await settled(page);
  // While it is typed.
  await page.getByLabel("Rate").fill("ten");
  await page.getByLabel("First day").fill("2026-02-01");
  await page.getByLabel("Last day").fill("2026-01-01");
  await page.getByLabel("Merchant categories").fill("5411,0");
  await page.getByLabel("Merchant categories").blur();
  await expect(page.getByLabel("Last day")).toHaveAccessibleDescription(/before the start date 2026-02-01/i);
  await expect(page.getByLabel("Merchant categories")).toHaveAccessibleDescription(/stands alone/);
  await expect(page.getByLabel("Rate")).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByLabel("Name", { exact: true })).not.toHaveAttribute("aria-invalid", "true");
  // When it is sent: nothing that is missing is forgotten, and what was typed stays.
  await page.getByRole("button", { name: "Create campaign" }).click();
  await expect(alert(page)).toBeVisible();
  await expect(page.getByLabel("Name", { exact: true })).toBeFocused();
  await expect(page.getByLabel("Name", { exact: true })).toHaveAccessibleDescription(/Is missing/);
  await expect(page.getByLabel("Card type")).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByLabel("Merchant categories")).toHaveValue("5411,0");
  await accessible(page);
  await page.getByLabel("Merchant categories").fill("5411");
  await expect(page.getByLabel("Merchant categories")).not.toHaveAttribute("aria-invalid", "true");
  await fits(page);
});

test("a campaign is copied from the menu of its row, by keyboard", async ({ signInAs, apiAs }) => {
  const c = await campaign(await apiAs("admin"), { reward_amount: 6 });
  const page = await signInAs("admin");
  await page.goto(`/manage/campaigns?q=${c.merchant}`);
  await settled(page);
  await page.getByRole("button", { name: `Actions for ${c.name}` }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("menuitem", { name: "Edit" })).toBeFocused();
  await accessible(page);
  await page.keyboard.press("Escape");
  await expect(page.getByRole("menuitem", { name: "Edit" })).toBeHidden();
  await page.keyboard.press("Enter");
  await page.keyboard.press("ArrowDown");
  await expect(page.getByRole("menuitem", { name: "Copy" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue(`Copy of ${c.name}`);
  await expect(page.getByLabel("Rate")).toHaveValue("6");
  await page.getByRole("button", { name: "Create campaign" }).click();
  await expect(page.getByRole("heading", { level: 1, name: `Copy of ${c.name}` })).toBeVisible();
});

test("a live campaign ends yesterday or today, and what follows is said before", async ({ signInAs, apiAs }) => {
  const call = await apiAs("admin");
  const c = await campaign(call);
  const page = await signInAs("admin");
  await page.goto(`/manage/campaigns/${c.id}`);
  await settled(page);
  await page.getByRole("button", { name: "End", exact: true }).click();
  await expect(dialog(page)).toContainText("what was rewarded before stays as it is");
  await accessible(page);
  await dialog(page).getByRole("radio", { name: /^Yesterday/ }).check();
  await dialog(page).getByRole("button", { name: "End campaign" }).click();
  await expect(page.getByText("The campaign's last day is set.")).toBeVisible();
  await expect(page.getByRole("main")).toContainText("Ended");
  expect(((await call("GET", `/campaign/${c.id}`)).body as { data: { end_date: string; reward_amount: number } }).data).toMatchObject({ end_date: `${bankDay(-1)}T00:00:00Z`, reward_amount: 3 });
  await expect(page.getByRole("button", { name: "End", exact: true })).toBeHidden();
});

test("a campaign is deleted, and what follows is said before", async ({ signInAs, apiAs }) => {
  const call = await apiAs("admin");
  const c = await campaign(call);
  const page = await signInAs("admin");
  await page.goto(`/manage/campaigns/${c.id}`);
  await settled(page);
  await page.getByRole("button", { name: "Delete" }).click();
  await expect(dialog(page)).toContainText("It earns nothing for what arrives from now on");
  await accessible(page);
  await page.keyboard.press("Escape");
  await expect(dialog(page)).toBeHidden();
  await page.getByRole("button", { name: "Delete" }).click();
  await dialog(page).getByRole("button", { name: "Delete campaign" }).click();
  await expect(page).toHaveURL(portal() + "/manage/campaigns");
  expect((await call("GET", `/campaign/${c.id}`)).status).toBe(404);
  // Its address leads on.
  await page.goto(`/manage/campaigns/${c.id}`);
  await expect(page.getByRole("heading", { name: "There is nothing here" })).toBeVisible();
  await expect(page.getByRole("link", { name: "Go to the start page" })).toBeVisible();
});

test("an edit is seen to be in force in every partition", async ({ signInAs, apiAs }) => {
  const c = await campaign(await apiAs("admin"));
  const page = await signInAs("admin");
  await page.goto(`/manage/campaigns/${c.id}/edit`);
  await settled(page);
  await page.getByLabel("Rate").fill("4.25");
  await expect(page.getByRole("region", { name: "What you change" })).toContainText("3 → 4.25");
  await page.getByRole("button", { name: "Save changes" }).click();
  await expect(page.getByText("The campaign is saved.")).toBeVisible();
  await expect(page.getByText(/In force in all [1-9]\d* partitions since .*E[DS]T|In force in all [1-9]\d* partitions since .*GMT-[45]/)).toBeVisible();
});

test("bank staff manage campaigns, and are told that an edit is published", async ({ signInAs, apiAs }) => {
  const c = await campaign(await apiAs("bank"));
  const page = await signInAs("bank");
  await page.goto(`/manage/campaigns/${c.id}`);
  await expect(page.getByText("Published: rewarders see this version")).toBeVisible();
  await expect(page.getByRole("link", { name: "Edit" })).toBeVisible();
  await accessible(page);
});

test("the history says who changed what, with the differences", async ({ signInAs, apiAs }) => {
  const c = await campaign(await apiAs("bank"));
  const { name, start_date, end_date, reward_program, mcc, merchant, base_reward, foreign_currency } = c;
  const changed = await (await apiAs("admin"))("PUT", `/campaign/${c.id}`, { name, min_spend: 50, start_date, end_date, reward_program, reward_amount: 3.5, mcc, merchant, base_reward, foreign_currency });
  expect(changed.status).toBe(200);
  const page = await signInAs("admin");
  await page.goto(`/manage/campaigns/${c.id}`);
  const items = page.locator("#history li");
  await expect(items).toHaveCount(2);
  await expect(items.nth(0)).toContainText(/Changed\s*by you/);
  await expect(items.nth(0)).toContainText(/Rate\s*3 → 3.5/);
  await expect(items.nth(0)).toContainText(/Least amount\s*Any → CAD\s50.00/);
  await expect(items.nth(0)).not.toContainText(merchant);
  await expect(items.nth(1)).toContainText("Created");
  await expect(items.nth(1)).not.toContainText("by you");
  await accessible(page);
});

test("two admins edit one campaign: the second is told, and nothing is overwritten", async ({ signInAs, apiAs, browser }) => {
  const call = await apiAs("admin");
  const c = await campaign(call);
  const first = await browser.newContext();
  const second = await signInAs("admin");
  try {
    await signIn(first.request, sample("bank"));
    const other = await first.newPage();
    await other.goto(`/manage/campaigns/${c.id}/edit`);
    await second.goto(`/manage/campaigns/${c.id}/edit`);
    await settled(other);
    await settled(second);
    await second.getByLabel("Rate").fill("9");
    await second.getByLabel("Least amount").fill("25");

    await other.getByLabel("Rate").fill("8");
    await other.getByLabel("Last day").fill("2031-01-31");
    await other.getByRole("button", { name: "Save changes" }).click();
    await expect(other.getByText("The campaign is saved.")).toBeVisible();

    await second.getByRole("button", { name: "Save changes" }).click();
    const told = dialog(second);
    await expect(told.getByRole("heading", { name: "Somebody else has changed this meanwhile" })).toBeVisible();
    await expect(told).toContainText("saved a change on");
    await accessible(second);
    // Each difference is there; what one alone has changed is proposed, what both have is asked.
    await expect(told.getByRole("group", { name: "Last day" }).getByRole("radio", { name: /31 Jan 2031/ })).toBeChecked();
    await expect(told.getByRole("group", { name: "Least amount" }).getByRole("radio", { name: /CAD 25.00/ })).toBeChecked();
    await expect(told.getByRole("group", { name: "Rate" }).getByRole("radio", { checked: true })).toHaveCount(0);
    await expect(told.getByRole("button", { name: "Go on with these" })).toHaveAttribute("aria-disabled", "true");
    await told.getByRole("group", { name: "Rate" }).getByRole("radio", { name: /^9/ }).check();
    await told.getByRole("button", { name: "Go on with these" }).click();
    await expect(told).toBeHidden();
    const saved = async () => ((await call("GET", `/campaign/${c.id}`)).body as { data: { reward_amount: number; min_spend: number; end_date: string } }).data;
    expect(await saved()).toMatchObject({ reward_amount: 8, min_spend: 0 });
    await expect(second.getByLabel("Last day")).toHaveValue("2031-01-31");
    await second.getByRole("button", { name: "Save changes" }).click();
    await expect(second.getByText("The campaign is saved.")).toBeVisible();
    expect(await saved()).toMatchObject({ reward_amount: 9, min_spend: 25, end_date: "2031-01-31T00:00:00Z" });
  } finally {
    await first.close();
  }
});

test("script tags as names of merchants, campaigns and users are seen as text", async ({ signInAs, apiAs }) => {
  const call = await apiAs("admin");
  const w = word();
  const script = `<script>document.title="${w}"</script>`;
  const c = await campaign(call, { name: `${script} campaign`, merchant: `${script} shop`, reward_amount: 40 }); // more than any other
  const u = await call("POST", "/user", { first_name: script, last_name: "<img src=x onerror=alert(1)>", email: `${w}@example.com` });
  expect(u.status).toBe(201);
  const page = await signInAs("admin");
  await page.goto(`/manage/campaigns/${c.id}`);
  await expect(page.getByRole("heading", { level: 1, name: `${script} campaign` })).toBeVisible();
  await expect(page.getByText(`“${script} shop”`).first()).toBeVisible();
  await page.goto(`/manage/campaigns?q=${w}`);
  await expect(page.getByRole("link", { name: `${script} campaign` })).toBeVisible();
  await page.goto(`/manage/campaigns/${c.id}/edit`);
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue(`${script} campaign`);
  await page.goto(`/manage/users?q=${w}`);
  await expect(page.getByRole("link", { name: script })).toBeVisible();
  await page.goto(`/manage/users/${(u.body as { data: { id: string } }).data.id}`);
  await expect(page.getByRole("heading", { level: 1, name: `${script} <img src=x onerror=alert(1)>` })).toBeVisible();
  await page.goto(`/manage/try?campaign=${c.id}`);
  await settled(page);
  await page.getByLabel("Amount", { exact: true }).fill("100");
  await page.getByLabel("Merchant category").fill("5411");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Try it" }).click();
  await expect(page.getByRole("link", { name: `${script} campaign` })).toBeVisible();
  await expect(page).not.toHaveTitle(w);
});

test("the pages of rules and people in the dark, on a phone", async ({ signInAs, apiAs }) => {
  const c = await campaign(await apiAs("admin"));
  const page = await signInAs("admin");
  await page.emulateMedia({ colorScheme: "dark" });
  for (const to of ["/manage/campaigns", `/manage/campaigns/${c.id}`, `/manage/campaigns/${c.id}/edit`, "/manage/try", "/manage/exclusions", "/manage/exclusions/new", "/manage/card-types", "/manage/card-types/scis_shopping", "/manage/users", "/manage/users/new"]) {
    await page.goto(to);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await fits(page);
    await accessible(page);
  }
});
