import { chosen, readyUser, token, unsubscribeToken } from "./accounts";
import { accessible, alert, caller, expect, fits, signIn, test } from "./test";

test("a session that ends in the middle of a form asks to sign in, and what was typed is saved", async ({ page, request, context, apiAs }) => {
  const who = await readyUser(await apiAs("admin"), request);
  await signIn(context.request, who);
  await page.goto("/account");
  await page.getByLabel("First name").fill("Theodora");
  await context.clearCookies();
  await page.getByRole("button", { name: "Save changes" }).click();

  const dialog = page.getByRole("dialog", { name: "Your session has ended" });
  await expect(dialog).toContainText(who.email);
  await accessible(page);
  await fits(page);
  await dialog.getByLabel("Password", { exact: true }).fill("not the one");
  await dialog.getByRole("button", { name: "Sign in" }).click();
  await expect(dialog.getByText("The email or the password is not right.")).toBeVisible();
  await dialog.getByLabel("Password", { exact: true }).fill(who.password);
  await dialog.getByRole("button", { name: "Sign in" }).click();

  // It goes on by itself with what was typed.
  await expect(page.getByText("Your profile is saved.")).toBeVisible();
  await expect(page.getByLabel("First name")).toHaveValue("Theodora");
  const call = caller(request, await token(request, who));
  expect((await call("GET", `/user/${who.id}`)).body).toMatchObject({ data: { first_name: "Theodora" } });
});

test("a field error stands at its field", async ({ page, request, context, apiAs }) => {
  await signIn(context.request, await readyUser(await apiAs("admin"), request));
  await page.goto("/account");
  await page.getByLabel("Phone").fill("call me");
  await page.getByRole("button", { name: "Save changes" }).click();
  const phone = page.getByLabel("Phone");
  await expect(phone).toHaveAttribute("aria-invalid", "true");
  await expect(phone).toBeFocused();
  await expect(phone).toHaveAccessibleDescription(/E\.164|\+/);
  await accessible(page);
  await phone.fill("+65 6765 4321");
  await page.getByRole("button", { name: "Save changes" }).click();
  await expect(page.getByText("Your profile is saved.")).toBeVisible();
  await accessible(page);
});

test("two windows that change one account: the second is told", async ({ page, request, context, apiAs }) => {
  const who = await readyUser(await apiAs("admin"), request);
  await signIn(context.request, who);
  await page.goto("/account");
  const call = caller(request, await token(request, who));
  expect((await call("PUT", `/user/${who.id}`, { last_name: "Elsewhere" })).status).toBe(200);
  await page.getByLabel("First name").fill("Overwritten");
  await page.getByRole("button", { name: "Save changes" }).click();
  await expect(alert(page)).toBeVisible();
  expect((await call("GET", `/user/${who.id}`)).body).toMatchObject({ data: { first_name: "Tess", last_name: "Elsewhere" } });
});

test("the nightly mail is switched off and on", async ({ page, request, context, apiAs }) => {
  const who = await readyUser(await apiAs("admin"), request);
  await signIn(context.request, who);
  const call = caller(request, await token(request, who));
  await page.goto("/account");
  await fits(page);
  const box = page.getByRole("checkbox", { name: "A mail each night" });
  await expect(box).toBeChecked();
  await box.click();
  await expect(page.getByText("You get no more nightly mails.")).toBeVisible();
  await accessible(page);
  expect((await call("GET", `/user/${who.id}`)).body).toMatchObject({ data: { reward_emails: false } });
  await page.reload();
  await expect(box).not.toBeChecked();
  await box.click();
  await expect(page.getByText("You get the nightly mail again.")).toBeVisible();
  expect((await call("GET", `/user/${who.id}`)).body).toMatchObject({ data: { reward_emails: true } });
});

test("the link of a mail ends the mails with one click", async ({ page, request, apiAs }) => {
  const who = await readyUser(await apiAs("admin"), request);
  const call = caller(request, await token(request, who));
  await page.goto(`/unsubscribe/${unsubscribeToken(who.id)}`);
  await accessible(page);
  await fits(page);
  // To look at it is not to click: programs that read mails look.
  expect((await call("GET", `/user/${who.id}`)).body).toMatchObject({ data: { reward_emails: true } });
  await page.getByRole("button", { name: "Stop the mails" }).click();
  await expect(page.getByRole("status").filter({ hasText: "You get no more nightly mails." })).toBeVisible();
  await accessible(page);
  expect((await call("GET", `/user/${who.id}`)).body).toMatchObject({ data: { reward_emails: false } });
  await page.goto("/unsubscribe/of-no-mail");
  await page.getByRole("button", { name: "Stop the mails" }).click();
  await expect(alert(page)).toContainText("not one of our mails");
});

test("the password is changed in the account", async ({ page, request, context, apiAs }) => {
  const who = await readyUser(await apiAs("admin"), request);
  await signIn(context.request, who);
  await page.goto("/account");
  await page.getByLabel("Your password now").fill("not the one, really not");
  await page.getByLabel("New password", { exact: true }).fill("eleven paper boats northward");
  await page.getByLabel("New password again").fill("eleven paper boats northward");
  await page.getByRole("button", { name: "Change the password" }).click();
  await expect(page.getByLabel("Your password now")).toHaveAttribute("aria-invalid", "true");
  await page.getByLabel("Your password now").fill(chosen);
  await page.getByRole("button", { name: "Change the password" }).click();
  await expect(page.getByText("Your password is changed.")).toBeVisible();
  await expect(page.getByLabel("New password again")).toHaveValue("");
  await page.reload();
  await expect(page.getByRole("heading", { level: 1, name: "Account" })).toBeVisible();
  expect(await token(request, { email: who.email, password: "eleven paper boats northward" })).toBeTruthy();
});
