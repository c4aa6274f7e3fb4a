import { dialog, settled, user, word } from "./manage";
import { accessible, alert, expect, fits, portal, test } from "./test";

// The number that networks give for tests.
const pan = "4111 1111 1111 1111";

test("users are found by name, by email, by role and by whether they are locked", async ({ signInAs, apiAs }) => {
  const call = await apiAs("admin");
  const w = word();
  const a = await user(call, { last_name: `${w} one` });
  await user(call, { last_name: `${w} two`, Role: "bank" });
  expect((await call("PUT", `/user/${a.id}`, { locked: true })).status).toBe(200);
  const page = await signInAs("admin");
  await page.goto("/manage/users");
  await accessible(page);
  await settled(page);
  const rows = page.getByRole("table", { name: "Users" }).locator("tbody tr");
  await page.getByLabel("Name or email").fill(w);
  await page.getByLabel("Name or email").press("Enter");
  await expect(rows).toHaveCount(2);
  await page.getByLabel("Role").selectOption("bank");
  await expect(rows).toHaveCount(1);
  await expect(rows).toContainText(`${w} two`);
  await page.getByLabel("Role").selectOption("");
  await expect(rows).toHaveCount(2);
  await page.getByLabel("State").selectOption("true");
  await expect(rows).toHaveCount(1);
  await expect(rows).toContainText("Locked");
  await page.goto(`/manage/users?q=${encodeURIComponent(a.email)}`);
  await expect(rows).toHaveCount(1);
  await page.goto(`/manage/users?q=${word()}`);
  await expect(page.getByRole("heading", { name: "Nobody fits" })).toBeVisible();
  await fits(page);
});

test("a user is created with a card, and found by its number, which stands in no address", async ({ signInAs, apiAs }) => {
  const call = await apiAs("admin");
  const page = await signInAs("bank");
  const w = word();
  const addresses: string[] = [];
  page.on("request", (r) => addresses.push(r.url()));
  await page.goto("/manage/users/new");
  await settled(page);
  await expect(page.getByLabel("Role")).toBeHidden(); // bank staff make cardholders alone
  await page.getByLabel("First name").fill("Ann");
  await page.getByLabel("Last name").fill(w);
  await page.getByLabel("Email", { exact: true }).fill("not an address");
  await page.getByLabel("Phone").fill("12");
  await page.getByRole("button", { name: "Create user" }).click();
  await expect(alert(page)).toBeVisible();
  await expect(page.getByLabel("Email", { exact: true })).toHaveAccessibleDescription(/must be one email address/i);
  await expect(page.getByLabel("Phone")).toHaveAttribute("aria-invalid", "true");
  await accessible(page);
  await page.getByLabel("Email", { exact: true }).fill(`${w}@example.com`);
  await page.getByLabel("Phone").fill("+65 9123 4567");
  await page.getByRole("button", { name: "Create user" }).click();
  await expect(page.getByRole("heading", { level: 1, name: `Ann ${w}` })).toBeVisible();
  await expect(page.getByText("First password", { exact: true })).toBeVisible();

  await page.getByRole("button", { name: "Add a card" }).click();
  await dialog(page).getByLabel("Card number").fill("4111 1111 1111 1112");
  await dialog(page).getByLabel("Card type").selectOption("scis_freedom");
  await dialog(page).getByRole("button", { name: "Add card" }).click();
  await expect(dialog(page).getByLabel("Card number")).toHaveAccessibleDescription(/a digit that is wrong/);
  await accessible(page);
  await dialog(page).getByLabel("Card number").fill(pan);
  await dialog(page).getByRole("button", { name: "Add card" }).click();
  const cards = page.getByRole("table", { name: "Cards of the account" });
  await expect(cards).toContainText("•••• 1111");
  await accessible(page);
  await fits(page);
  await page.setViewportSize({ width: 1280, height: 720 });

  await page.goto("/manage/users");
  await settled(page);
  await page.getByRole("button", { name: "Find by card number" }).click();
  await dialog(page).getByLabel("Card number").fill("12");
  await dialog(page).getByRole("button", { name: "Find" }).click();
  await expect(dialog(page).getByLabel("Card number")).toHaveAttribute("aria-invalid", "true");
  await dialog(page).getByLabel("Card number").fill(pan);
  await dialog(page).getByRole("button", { name: "Find" }).click();
  await expect(dialog(page).getByRole("link", { name: `Ann ${w}` })).toBeVisible();
  await accessible(page);
  await dialog(page).getByRole("link", { name: `Ann ${w}` }).click();

  await expect(page.getByRole("heading", { level: 1, name: `Ann ${w}` })).toBeVisible();
  await settled(page);
  await page.getByRole("button", { name: "Remove the card •••• 1111" }).click();
  await expect(dialog(page)).toContainText("never given to anybody else");
  await accessible(page);
  await dialog(page).getByRole("button", { name: "Remove card" }).click();
  await expect(page.getByText("No cards yet.")).toBeVisible();
  expect(addresses.filter((a) => /4111[ +%20-]*1111/.test(decodeURIComponent(a)))).toEqual([]);
  const id = page.url().split("/").at(-1) ?? "";
  expect(((await call("GET", `/user/${id}`)).body as { data: object }).data).toMatchObject({ Role: "user", phone: "+6591234567", CreditCards: [] });
});

test("an account is locked and unlocked, and gets a new first password", async ({ signInAs, apiAs }) => {
  const call = await apiAs("admin");
  const u = await user(call);
  const page = await signInAs("bank");
  await page.goto(`/manage/users/${u.id}`);
  await settled(page);
  await page.getByRole("button", { name: "Lock", exact: true }).click();
  await expect(dialog(page)).toContainText("Nobody can sign in to the account until it is unlocked");
  await accessible(page);
  await dialog(page).getByRole("button", { name: "Lock account" }).click();
  await expect(page.getByText("The account is locked.")).toBeVisible();
  await expect(page.locator("#history li").first()).toContainText(/Locked\s*No → Yes/);
  await page.getByRole("button", { name: "Unlock", exact: true }).click();
  await dialog(page).getByRole("button", { name: "Unlock account" }).click();
  await expect(page.getByText("The account is unlocked.")).toBeVisible();
  await page.getByRole("button", { name: "Send a new first password" }).click();
  await expect(dialog(page)).toContainText(u.email);
  await accessible(page);
  await dialog(page).getByRole("button", { name: "Send it" }).click();
  await expect(page.getByText("A new first password is on its way.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Reset the second factor" })).toBeHidden(); // an admin's
});

test("an account that somebody else has changed meanwhile is not locked unseen", async ({ signInAs, apiAs }) => {
  const call = await apiAs("admin");
  const u = await user(call);
  const page = await signInAs("admin");
  await page.goto(`/manage/users/${u.id}`);
  await settled(page);
  expect((await call("PUT", `/user/${u.id}`, { phone: "+6591234567" })).status).toBe(200);
  await page.getByRole("button", { name: "Lock", exact: true }).click();
  await dialog(page).getByRole("button", { name: "Lock account" }).click();
  await expect(dialog(page).getByRole("alert")).toContainText("Somebody else has changed this account meanwhile");
  expect(((await call("GET", `/user/${u.id}`)).body as { data: { locked: boolean } }).data.locked).toBe(false);
  await dialog(page).getByRole("button", { name: "Lock account" }).click(); // the page has read it again
  await expect(page.getByText("The account is locked.")).toBeVisible();
});

test("an admin gives an account another role, and takes away a lost second factor", async ({ signInAs, apiAs }) => {
  const call = await apiAs("admin");
  const u = await user(call);
  const page = await signInAs("admin");
  await page.goto(`/manage/users/${u.id}/edit`);
  await settled(page);
  await page.getByLabel("Role").selectOption("bank");
  await accessible(page);
  await page.getByRole("button", { name: "Save changes" }).click();
  await expect(page.getByText("The user is saved.")).toBeVisible();
  await expect(page.locator("#history li").first()).toContainText(/Role\s*Cardholder → Bank operations/);
  await settled(page);
  await page.getByRole("button", { name: "Reset the second factor" }).click();
  await expect(dialog(page)).toContainText("Make sure that it is the person who asks.");
  await accessible(page);
  await dialog(page).getByRole("button", { name: "Take it away" }).click();
  await expect(dialog(page).getByRole("alert")).toContainText(/no second factor/); // it has none
  await page.keyboard.press("Escape");
  await fits(page);
});

test("bank staff do not see accounts of other roles", async ({ signInAs, apiAs }) => {
  const u = await user(await apiAs("admin"), { Role: "admin" });
  const page = await signInAs("bank");
  await page.goto(`/manage/users/${u.id}`);
  await expect(page.getByRole("heading", { name: "There is nothing here" })).toBeVisible();
  await page.goto(`/manage/users?q=${encodeURIComponent(u.email)}`);
  await expect(page.getByRole("heading", { name: "Nobody fits" })).toBeVisible();
  await expect(page.getByLabel("Role")).toBeHidden();
});

test("a cardholder finds none of these pages", async ({ signInAs }) => {
  const page = await signInAs("user");
  for (const to of ["/manage/users", "/manage/try"]) {
    await page.goto(to);
    await expect(page.getByRole("heading", { name: "This page is not for your account" })).toBeVisible();
    await accessible(page);
  }
  expect(page.url().startsWith(portal())).toBe(true);
});
