import { mkdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { decode, encode } from "next-auth/jwt";
import type { BrowserContext, Page } from "@playwright/test";
import { newUser, unsubscribeToken } from "./accounts";
import { expect, portal, type Role, sample, signIn, test } from "./test";

// `npm run screens`: each page of the build at two widths, in docs/screens. What is in the build and is not pictured
// fails, so that a new page cannot be forgotten.
const out = path.join(import.meta.dirname, "../../docs/screens");
mkdirSync(out, { recursive: true });
const widths = { wide: 1280, narrow: 390 } as const;

const built = JSON.parse(readFileSync(path.join(import.meta.dirname, "../.next/server/app-paths-manifest.json"), "utf8")) as Record<string, string>;
const routes = Object.keys(built)
  .filter((r) => r.endsWith("/page") && !r.startsWith("/_"))
  .map((r) => r.replace(/\/page$/, "").replaceAll(/\/\([^)]+\)/g, ""))
  .filter((r) => r !== "");

function role(route: string): Role {
  return /^\/(manage|engine)/.test(route) ? "admin" : route.startsWith("/uploads") ? "bank" : "user";
}

/** What cannot be found by going there as the sample user of the role. */
const special: Record<string, (page: Page, context: BrowserContext) => Promise<string>> = {
  "/signin": () => Promise.resolve("/signin"),
  "/forgot": () => Promise.resolve("/forgot"),
  "/reset": () => Promise.resolve("/reset?token=of-a-mail"),
  "/unsubscribe/[token]": () => Promise.resolve(`/unsubscribe/${unsubscribeToken(sample("user").id)}`),
  "/second-factor": async (_, context) => {
    await signIn(context.request, sample("bank"));
    await must(context, "totp");
    return "/second-factor";
  },
};

/** must makes a session one that has something to do before anything else. */
async function must(context: BrowserContext, what: string) {
  const secret = process.env.E2E_SECRET ?? "";
  const cookie = (await context.cookies()).find((c) => c.name === "angelowl-session");
  const held = await decode({ token: cookie?.value, secret });
  await context.addCookies([{ name: "angelowl-session", value: await encode({ token: { ...held, must: what }, secret }), url: portal(), httpOnly: true, sameSite: "Lax" }]);
}

for (const route of routes) {
  test(`a picture of ${route}`, async ({ page, context, signInAs, apiAs }) => {
    let to = route;
    if (route === "/password") await signIn(context.request, await newUser(await apiAs("admin")));
    else if (special[route]) to = await special[route](page, context);
    else {
      await signInAs(role(route));
      if (route.includes("[")) to = await example(page, route);
    }
    for (const [name, width] of Object.entries(widths)) {
      await page.setViewportSize({ width, height: 900 });
      await page.goto(to);
      await expect(page).toHaveURL(portal() + to);
      await page.waitForLoadState("networkidle");
      // As tall as the page, for what stays at the window's edge.
      await page.setViewportSize({ width, height: Math.max(900, await page.evaluate(() => document.documentElement.scrollHeight)) });
      const { data } = await (await context.newCDPSession(page)).send("Page.captureScreenshot", { format: "webp", quality: 80 });
      await writeFile(path.join(out, `${route.slice(1).replaceAll("/", "-").replaceAll(/[[\]]/g, "")}-${name}.webp`), Buffer.from(data, "base64"));
    }
  });
}

/** example follows the first link of a list to the page of one of its things. */
async function example(page: Page, route: string): Promise<string> {
  const [list = "", rest = ""] = route.split(/\/\[[^\]]+\]/);
  await page.goto(list);
  await page.getByRole("main").waitFor();
  const pattern = new RegExp(`^${list}/(?!new$)[^/?]+$`);
  let found: string | undefined;
  await expect
    .poll(async () => {
      const hrefs = await page.getByRole("main").getByRole("link").evaluateAll((all) => all.map((a) => a.getAttribute("href") ?? ""));
      found = hrefs.find((h) => pattern.test(h));
      return found;
    }, { message: `a link on ${list} to one of its things` })
    .toBeTruthy();
  return (found ?? "") + rest;
}
