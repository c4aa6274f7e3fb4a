import { decode, encode } from "next-auth/jwt";
import { newUser, readyUser, totp } from "./accounts";
import { accessible, alert, apiOrigin, expect, fits, portal, sample, signIn, test } from "./test";

test("a person signs in and finds the start page of the role", async ({ page }) => {
  const { email, password } = sample("user");
  await page.goto("/");
  await accessible(page);
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Dashboard" })).toBeVisible();
  // An address that was asked for before the sign-in is where it leads.
  await page.context().clearCookies();
  await page.goto("/campaigns?state=ended");
  await expect(page).toHaveURL(/\/signin\?next=/);
  await page.getByLabel("Email").fill(email.toUpperCase());
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/campaigns\?state=ended$/);
});

test("a wrong password is refused and the email stays", async ({ page }) => {
  await page.goto("/signin");
  await page.getByLabel("Email").fill(sample("user").email);
  await page.getByLabel("Password", { exact: true }).fill("not the one");
  await page.getByRole("button", { name: "Show password" }).click();
  await expect(page.getByLabel("Password", { exact: true })).toHaveAttribute("type", "text");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(alert(page)).toContainText("The email or the password is not right.");
  await expect(page.getByLabel("Email")).toHaveValue(sample("user").email);
  await accessible(page);
  await fits(page);
});

test("an account with a second factor is asked for its code", async ({ page, request, apiAs }) => {
  const who = await readyUser(await apiAs("admin"), request, "bank");
  await page.goto("/signin?next=/account");
  await page.getByLabel("Email").fill(who.email);
  await page.getByLabel("Password", { exact: true }).fill(who.password);
  await page.getByRole("button", { name: "Sign in" }).click();

  // It is set up in the account, by a picture or a key.
  await page.getByRole("button", { name: "Set up a second factor" }).click();
  await expect(page.getByRole("img", { name: "The key as a picture to scan" })).toBeVisible();
  const secret = await page.locator("form", { has: page.getByRole("img") }).getByText(/^([A-Z2-7]{4} ?)+$/).innerText();
  await page.getByLabel("Code that the app shows").fill("000000");
  await page.getByRole("button", { name: "Confirm" }).click();
  await expect(page.getByLabel("Code that the app shows")).toHaveAttribute("aria-invalid", "true");
  await accessible(page);
  await page.getByLabel("Code that the app shows").fill(totp(secret));
  await page.getByRole("button", { name: "Confirm" }).click();
  await expect(page.getByText("It is set up.")).toBeVisible();

  // From now on the sign-in asks for it. A code is good once: the next one is good already.
  await page.context().clearCookies();
  await page.goto("/signin?next=/account");
  await page.getByLabel("Email").fill(who.email);
  await page.getByLabel("Password", { exact: true }).fill(who.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  const code = page.getByLabel("Code of your second factor");
  await expect(code).toBeFocused();
  await code.fill("000000");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(alert(page)).toContainText("The code is not right");
  await accessible(page);
  await code.fill(totp(secret, Date.now() + 30_000));
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Account" })).toBeVisible();
});

test("signing out ends the session at the bank, too", async ({ page, request, apiAs }) => {
  const who = await readyUser(await apiAs("admin"), request);
  await page.goto("/signin");
  await page.getByLabel("Email").fill(who.email);
  await page.getByLabel("Password", { exact: true }).fill(who.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByText("No cards yet")).toBeVisible();
  await accessible(page);
  const before = await page.context().storageState();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("status").filter({ hasText: "You have signed out." })).toBeVisible();
  await page.goto("/dashboard");
  await expect(page).toHaveURL(/\/signin/);
  // Who has kept the old cookie cannot go on with it: the bank has ended the session, too.
  const cookie = before.cookies.find((c) => c.name === "angelowl-session");
  const held = await decode({ token: cookie?.value, secret: process.env.E2E_SECRET ?? "" });
  const res = await request.post(apiOrigin() + "/auth/refresh", { data: { refresh_token: held?.refreshToken } });
  expect(await res.json()).toMatchObject({ code: "invalid_refresh_token" });
});

test("a first sign-in leads nowhere but to the choice of a password", async ({ page, apiAs }) => {
  const who = await newUser(await apiAs("admin"));
  await page.goto("/signin");
  await page.getByLabel("Email").fill(who.email);
  await page.getByLabel("Password", { exact: true }).fill(who.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Choose a password" })).toBeVisible();
  for (const path of ["/", "/dashboard", "/account", "/manage/campaigns"]) {
    await page.goto(path);
    await expect(page).toHaveURL(/\/password$/);
  }
});

test("staff that need a second factor set it up before anything else", async ({ page, context, request, apiAs }) => {
  // REQUIRE_MFA is off in the system that all tests share, so the session is made one of a system where it is on.
  const who = await readyUser(await apiAs("admin"), request, "bank");
  await signIn(context.request, who);
  const secret = process.env.E2E_SECRET ?? "";
  const cookie = (await context.cookies()).find((c) => c.name === "angelowl-session");
  const held = await decode({ token: cookie?.value, secret });
  await context.addCookies([{ name: "angelowl-session", value: await encode({ token: { ...held, must: "totp" }, secret }), url: portal(), httpOnly: true, sameSite: "Lax" }]);
  await page.goto("/uploads");
  await expect(page).toHaveURL(/\/second-factor$/);
  await page.getByRole("button", { name: "Set up a second factor" }).click();
  const key = await page.getByText(/^([A-Z2-7]{4} ?)+$/).innerText();
  await accessible(page);
  await fits(page);
  await page.getByLabel("Code that the app shows").fill(totp(key));
  await page.getByRole("button", { name: "Confirm" }).click();
  await expect(page).not.toHaveURL(/second-factor/);
});
