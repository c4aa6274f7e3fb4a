import { randomUUID } from "node:crypto";
import { decode } from "next-auth/jwt";
import { readyUser } from "./accounts";
import { within } from "../lib/session/origin";
import { expect, portal, sample, signIn, test } from "./test";

test("script tags in names are text", async ({ signInAs, page, context, request, apiAs }) => {
  const call = await apiAs("admin");
  const tag = "<script>window.ran=1</script><img src=x onerror=window.ran=1>";
  const campaign = (await call("POST", "/campaign", {
    name: tag, min_spend: 0, start_date: "2019-01-01", end_date: "2019-12-31", reward_program: "scis_platinummiles", reward_amount: 0.0001, mcc: "0", merchant: `nobody ${tag}`, base_reward: true, foreign_currency: false,
  })).body as { data: { id: string } };
  const id = randomUUID();
  const miles = "d831d553-d549-53e2-8021-699aada82d4d";
  const sent = await call("POST", "/publish", { id, card_id: miles, merchant: `M ${tag}`, mcc: 5411, currency: "CAD", amount: 10, transaction_date: "2018-12-30", card_pan: "************0343", card_type: "scis_platinummiles" });
  expect(sent.status, JSON.stringify(sent.body)).toBe(202);
  try {
    await signInAs("user");
    await page.goto("/campaigns?q=" + encodeURIComponent("<script>"));
    await expect(page.getByText(tag, { exact: true })).toBeVisible();
    await expect
      .poll(async () => {
        await page.goto(`/cards/${miles}?merchant=${encodeURIComponent("<script>")}`);
        return page.locator("details").count();
      })
      .toBe(1);
    await expect(page.getByText(`M ${tag}`)).toBeVisible();
    expect(await page.evaluate(() => "ran" in window)).toBe(false);

    const who = await readyUser(call, request);
    await context.clearCookies();
    await signIn(context.request, who);
    await page.goto("/account");
    await page.getByLabel("First name").fill(tag);
    await page.getByRole("button", { name: "Save changes" }).click();
    await expect(page.getByText("Your profile is saved.")).toBeVisible();
    await page.goto("/dashboard");
    expect(await page.evaluate(() => "ran" in window)).toBe(false);
  } finally {
    await call("DELETE", `/campaign/${campaign.data.id}`);
  }
});

test("requests from other sites are refused", async ({ request }) => {
  const account = sample("user");
  const { csrfToken } = (await (await request.get(portal() + "/api/auth/csrf")).json()) as { csrfToken: string };
  const form = { email: account.email, password: account.password, csrfToken, json: "true" };
  const post = (headers: Record<string, string>, path = "/api/auth/callback/credentials") => request.post(portal() + path, { headers, form });
  expect((await post({ Origin: "https://evil.example" })).status()).toBe(403);
  expect((await post({ Origin: "null" })).status()).toBe(403);
  expect((await post({ Origin: portal() + ".evil.example" })).status()).toBe(403);
  expect((await post({ "Sec-Fetch-Site": "cross-site" })).status()).toBe(403);
  expect((await post({})).status()).toBe(403);
  // Server actions have no address of their own; they are POSTs to pages.
  expect((await post({ Origin: "https://evil.example", "Next-Action": "00" }, "/account")).status()).toBe(403);
  expect((await request.delete(portal() + "/account", { headers: { Origin: "https://evil.example" } })).status()).toBe(403);
  // With the right origin, next-auth's own token counts.
  const forged = await request.post(portal() + "/api/auth/callback/credentials", { headers: { Origin: portal() }, form: { ...form, csrfToken: "forged" } });
  expect((await request.storageState()).cookies.map((c) => c.name)).not.toContain("angelowl-session");
  expect(await forged.text()).toContain("csrf=true");
});

test("no sign-in leads to another site", async ({ page, request, apiAs }) => {
  const others = ["https://evil.example/", "//evil.example/", "/\\evil.example/", "/\t/evil.example", "javascript:alert(1)", "/./\\evil.example", "evil.example", "", null];
  expect(others.map((o) => within(o))).toEqual(others.map(() => "/"));
  expect(within("/cards?from=2019-01-01")).toBe("/cards?from=2019-01-01");
  expect(within("/..//evil.example/")).toBe("/");
  const who = await readyUser(await apiAs("admin"), request);
  for (const next of ["https://evil.example/", "//evil.example/"]) {
    await page.context().clearCookies();
    await page.goto("/signin?next=" + encodeURIComponent(next));
    await page.getByLabel("Email").fill(who.email);
    await page.getByLabel("Password", { exact: true }).fill(who.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page).not.toHaveURL(/signin/);
    expect(new URL(page.url()).origin).toBe(portal());
  }
  const { csrfToken } = (await (await request.get(portal() + "/api/auth/csrf")).json()) as { csrfToken: string };
  const res = await request.post(portal() + "/api/auth/callback/credentials", { headers: { Origin: portal() }, form: { email: who.email, password: who.password, csrfToken, json: "true", callbackUrl: "https://evil.example/" } });
  expect(await res.text()).not.toContain("evil.example");
});

test("no token reaches the browser", async ({ context, page, request }) => {
  await signIn(context.request, sample("user"));
  const cookies = await context.cookies();
  const session = cookies.find((c) => c.name === "angelowl-session");
  expect(session).toMatchObject({ httpOnly: true, sameSite: "Lax" });
  const held = (await decode({ token: session?.value, secret: process.env.E2E_SECRET ?? "" })) as { token: string; refreshToken: string } | null;
  expect(held?.token).toMatch(/^eyJ/);
  const seen: string[] = [];
  const bodies: Promise<void>[] = [];
  page.on("response", (r) => bodies.push(r.text().then((t) => void seen.push(t), () => undefined)));
  for (const path of ["/dashboard", "/account", "/cards", "/api/auth/csrf"]) {
    await page.goto(path);
    await page.waitForLoadState("networkidle");
  }
  await Promise.all(bodies);
  expect(seen.length).toBeGreaterThan(10);
  for (const text of seen) {
    expect(text.includes(held?.token ?? "?")).toBe(false);
    expect(text.includes(held?.refreshToken ?? "?")).toBe(false);
  }
  expect(await page.evaluate(() => document.cookie)).not.toContain("angelowl-session");
  // The addresses of next-auth that would show or change a session are closed.
  for (const path of ["session", "providers", "signin", "signout", "error"]) expect((await request.get(`${portal()}/api/auth/${path}`)).status()).toBe(404);
  expect((await request.post(`${portal()}/api/auth/session`, { headers: { Origin: portal() }, data: { token: "mine" } })).status()).toBe(404);
});

test("what is sent before the scripts run does not stand in the address", async ({ browser }) => {
  const context = await browser.newContext({ javaScriptEnabled: false, baseURL: portal() });
  const page = await context.newPage();
  await page.goto("/signin");
  await page.getByLabel("Email").fill("early@test.example");
  await page.getByLabel("Password", { exact: true }).fill("typed too early");
  await page.getByLabel("Password", { exact: true }).press("Enter");
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  expect(page.url()).not.toContain("early");
  await context.close();
});
