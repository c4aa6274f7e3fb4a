import { readFileSync } from "node:fs";
import path from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { test as base, expect, type Page, type APIRequestContext, type BrowserContext } from "@playwright/test";

export { expect };
export type Role = "user" | "bank" | "admin";
export interface Account {
  id: string;
  email: string;
  password: string;
}

export const portal = () => process.env.E2E_PORTAL ?? "";
export const apiOrigin = () => process.env.E2E_API ?? "";

/** sample is the sample user of a role, as `angelowl up --sample-users` made it. */
export function sample(role: Role): Account {
  const all = JSON.parse(readFileSync(path.join(process.env.E2E_DATA ?? "", "sample-users.json"), "utf8")) as (Account & { role: string })[];
  const found = all.find((a) => a.role === role);
  if (!found) throw new Error(`no sample user of role ${role}`);
  return found;
}

interface Fixtures {
  /** Signs the page's context in as a role's sample user, without the form. */
  signInAs: (role: Role) => Promise<Page>;
  /** Calls the API itself as a role, for what a test needs beforehand or looks up afterwards. */
  apiAs: (role: Role) => Promise<Call>;
}
export type Call = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<{ status: number; body: unknown }>;

type State = Awaited<ReturnType<BrowserContext["storageState"]>>;

export const test = base.extend<Fixtures & { quiet: undefined; complaints: RegExp | undefined }, { states: Map<Role, State>; tokens: Map<Role, string> }>({
  baseURL: async ({}, use) => use(portal()),
  states: [async ({}, use) => use(new Map()), { scope: "worker" }],
  tokens: [async ({}, use) => use(new Map()), { scope: "worker" }],

  signInAs: async ({ page, context, states }, use) => {
    await use(async (role) => {
      let state = states.get(role);
      if (!state) {
        await signIn(context.request, sample(role));
        state = await context.storageState();
        states.set(role, state);
      }
      await context.addCookies(state.cookies);
      return page;
    });
  },

  apiAs: async ({ request, tokens }, use) => {
    await use(async (role) => {
      let token = tokens.get(role);
      if (!token) {
        const { email, password } = sample(role);
        const res = await request.post(apiOrigin() + "/auth/login", { data: { email, password } });
        token = ((await res.json()) as { data: { token: string } }).data.token;
        tokens.set(role, token);
      }
      return caller(request, token);
    });
  },

  /** What the browser may complain of in a test. */
  complaints: [undefined, { option: true }],

  // Scripts that the policy stops, hydration that does not fit, errors that nobody caught: none may pass unseen.
  quiet: [
    async ({ page, complaints }, use) => {
      const seen: string[] = [];
      page.on("console", (m) => {
        // What Chromium writes of an answer that is an error is the page's to show.
        if (m.type() === "error" && !/Failed to load resource/.test(m.text()) && !complaints?.test(m.text())) seen.push(m.text());
      });
      page.on("pageerror", (e) => seen.push(String(e)));
      await use(undefined);
      expect(seen, "what the browser complained of").toEqual([]);
    },
    { auto: true },
  ],
});

export function caller(request: APIRequestContext, token: string): Call {
  return async (method, to, body, headers) => {
    const res = await request.fetch(apiOrigin() + to, { method, data: body as never, headers: { Authorization: `Bearer ${token}`, ...headers } });
    const text = await res.text();
    return { status: res.status(), body: text ? (JSON.parse(text) as unknown) : undefined };
  };
}

/** signIn does what the form does. */
export async function signIn(request: APIRequestContext, { email, password }: { email: string; password: string }, origin = portal()) {
  const { csrfToken } = (await (await request.get(origin + "/api/auth/csrf")).json()) as { csrfToken: string };
  const res = await request.post(origin + "/api/auth/callback/credentials", { headers: { Origin: origin }, form: { email, password, csrfToken, json: "true", callbackUrl: "/" } });
  expect(res.status(), await res.text()).toBe(200);
}

/**
 * accessible looks for violations of WCAG 2.2 A and AA in the page as it is now, whatever is open. What lasts counts: for
 * a moment of a change of page there is no title, since Next.js takes the old one off first.
 */
export async function accessible(page: Page) {
  await expect(async () => {
    const found = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
    expect(found.violations.map((v) => `${v.id}: ${v.help}\n  ${v.nodes.map((n) => n.html).join("\n  ")}`)).toEqual([]);
  }).toPass({ timeout: 30_000, intervals: [200, 1_000] });
}

/** fits says that a page needs no pushing sideways at 320 px, which is also 1280 px at 400 %, and at 200 % zoom. */
export async function fits(page: Page) {
  for (const width of [320, 640]) {
    await page.setViewportSize({ width, height: 700 });
    const [have, need] = await page.evaluate(() => [document.documentElement.clientWidth, document.documentElement.scrollWidth]);
    expect(need, `at ${width} px`).toBeLessThanOrEqual(have ?? 0);
  }
}

/** alert is what the page says to be wrong. */
export function alert(page: Page) {
  return page.locator('[role="alert"]:not(#__next-route-announcer__):not(:empty)');
}
