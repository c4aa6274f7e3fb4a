import { randomBytes } from "node:crypto";
import type { Page } from "@playwright/test";
import { type Call, expect } from "./test";

/** word is a name that no other test has, of letters alone: digits could look like a card's number. */
export function word(): string {
  return [...randomBytes(8)].map((b) => String.fromCharCode(97 + (b % 26))).join("");
}

/** bankDay is a day as the bank counts them, so many from today. */
export function bankDay(days = 0): string {
  return new Intl.DateTimeFormat("en-CA", { timeZone: "America/Toronto", year: "numeric", month: "2-digit", day: "2-digit" }).format(Date.now() + days * 86_400_000);
}

interface Rule {
  id: string;
  version: number;
}

async function made(call: Call, to: string, body: object): Promise<Rule> {
  const r = await call("POST", to, body);
  expect(r.status, JSON.stringify(r.body)).toBe(201);
  return (r.body as { data: Rule }).data;
}

export interface CampaignBody {
  name: string;
  min_spend: number;
  start_date: string;
  end_date: string;
  reward_program: string;
  reward_amount: number;
  mcc: string;
  merchant: string;
  base_reward: boolean;
  foreign_currency: boolean;
}

export function campaignBody(over: Partial<CampaignBody> = {}): CampaignBody {
  return { name: `Test ${word()}`, min_spend: 0, start_date: bankDay(-30), end_date: bankDay(30), reward_program: "scis_shopping", reward_amount: 3, mcc: "0", merchant: word(), base_reward: false, foreign_currency: false, ...over };
}

export async function campaign(call: Call, over: Partial<CampaignBody> = {}): Promise<Rule & CampaignBody> {
  const body = campaignBody(over);
  return { ...body, ...(await made(call, "/campaign", body)) };
}

export async function exclusion(call: Call, mcc: number, from: string): Promise<Rule> {
  return made(call, "/exclusion", { mcc, valid_from: from });
}

export async function user(call: Call, over: { first_name?: string; last_name?: string; email?: string; Role?: string } = {}): Promise<{ id: string; name: string; email: string }> {
  const w = word();
  const password = `${word()} ${word()}`;
  const body = { first_name: "Test", last_name: w, email: `${w}@example.com`, Role: "user", password, confirm_password: password, ...over };
  const u = await made(call, "/user", body);
  return { id: u.id, name: `${body.first_name} ${body.last_name}`, email: body.email };
}

/** dialog is the one that is open. */
export function dialog(page: Page) {
  return page.locator("dialog[open]");
}

/** settled waits until the browser's part of a page has taken over what the server sent: it sees nothing of what comes before. */
export async function settled(page: Page) {
  await page.waitForFunction(() => {
    const all = [...document.querySelectorAll("main h1, main button, main input, main select")];
    return all.some((e) => e.localName === "h1") && all.every((e) => Object.keys(e).some((k) => k.startsWith("__react")));
  });
}
