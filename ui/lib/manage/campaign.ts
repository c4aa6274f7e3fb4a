import type { Decimal } from "@/lib/api/decimal";
import { scaled, unscaled } from "@/lib/api/decimal";
import type { components } from "@/lib/api/schema";
import { amount, day, number } from "@/lib/format";
import { campaignWords as w } from "@/messages/en/manage-campaigns";

export type Campaign = components["schemas"]["Campaign"];
export type CardType = components["schemas"]["CardType"];

/** CampaignDraft is a campaign as it stands in a form: what was typed, whatever it is. */
export interface CampaignDraft {
  name: string;
  reward_program: string;
  base_reward: boolean;
  reward_amount: string;
  foreign_currency: boolean;
  mcc: string;
  merchant: string;
  min_spend: string;
  start_date: string;
  end_date: string;
}

export const campaignFields = ["name", "reward_program", "base_reward", "reward_amount", "foreign_currency", "mcc", "merchant", "min_spend", "start_date", "end_date"] as const satisfies readonly (keyof CampaignDraft)[];

export const emptyCampaign: CampaignDraft = { name: "", reward_program: "", base_reward: false, reward_amount: "", foreign_currency: false, mcc: "0", merchant: "", min_spend: "", start_date: "", end_date: "" };

export function draftOf(c: Omit<Campaign, "version" | "published" | "updated_at" | "id" | "warnings">): CampaignDraft {
  return {
    name: c.name,
    reward_program: c.reward_program,
    base_reward: c.base_reward,
    reward_amount: c.reward_amount,
    foreign_currency: c.foreign_currency,
    mcc: c.mcc,
    merchant: c.merchant,
    min_spend: /^0*(\.0*)?$/.test(c.min_spend) ? "" : c.min_spend,
    start_date: c.start_date.slice(0, 10),
    end_date: c.end_date.slice(0, 10),
  };
}

/** bodyOf is a draft as the API takes it, digit for digit. The server says what is wrong with it. */
export function bodyOf(d: CampaignDraft): components["schemas"]["CampaignInput"] {
  return {
    name: d.name,
    reward_program: d.reward_program,
    base_reward: d.base_reward,
    reward_amount: (d.reward_amount.trim() || undefined) as Decimal,
    foreign_currency: d.foreign_currency,
    mcc: d.mcc.trim(),
    merchant: d.merchant,
    min_spend: (d.min_spend.trim() || "0") as Decimal,
    start_date: d.start_date,
    end_date: d.end_date,
  };
}

export type State = "scheduled" | "live" | "ended";

/** stateOf is a campaign's state on a day of the bank. Both of its days are included. */
export function stateOf(c: { start_date: string; end_date: string }, today: string): State {
  if (c.start_date.slice(0, 10) > today) return "scheduled";
  return c.end_date.slice(0, 10) < today ? "ended" : "live";
}

/** dayBefore is the day before one of the calendar. */
export function dayBefore(date: string): string {
  const at = new Date(date + "T00:00:00Z");
  at.setUTCDate(at.getUTCDate() - 1);
  return at.toISOString().slice(0, 10);
}

const plain = /^\d+(\.\d+)?$/;

export function isCashback(t: { reward_unit: string } | undefined): boolean {
  return t?.reward_unit.toLowerCase() === "cashback";
}

/** rate is "4 points", or "5% cashback". */
export function rateWords(rate: string, t: { reward_unit: string } | undefined): string {
  if (!plain.test(rate.trim())) return w.missing;
  const r = rate.trim() as Decimal;
  if (isCashback(t)) return w.percent(number(unscaled(scaled(r, 14), 12)));
  const unit = t?.reward_unit ?? w.units;
  return `${number(r)} ${/^0*1(\.0*)?$/.test(r) ? unit.replace(/s$/, "") : unit}`;
}

/** codes shows an mcc list with spaces, and ranges with a dash. */
export function mccWords(mcc: string): string {
  return mcc.split(",").map((m) => m.trim().replace(/\s*-\s*/, "–")).join(", ");
}

export type Part = string | { b: string };

/** sentence reads a rule back in words, whatever of it is there already. */
export function sentence(d: CampaignDraft, types: readonly CardType[], home: string): Part[] {
  const t = types.find((c) => c.card_type === d.reward_program);
  const cashback = isCashback(t);
  const out: Part[] = [{ b: t?.name ?? (d.reward_program || w.missingCard) }, ` ${w.earns} `, { b: rateWords(d.reward_amount, t) }];
  if (cashback) out.push(` ${w.onSpend}`);
  else out.push(` ${w.forEach} `, { b: `${home} 1` }, ` ${w.spent}`);
  if (d.foreign_currency) out.push(" ", { b: w.inForeign(home) });
  if (d.merchant.trim()) out.push(` ${w.atMerchants} `, { b: `“${d.merchant.trim()}”` }, ` ${w.inName}`);
  if (d.mcc.trim() !== "0") out.push(` ${w.inCategories(d.mcc.includes(",") || d.mcc.includes("-"))} `, { b: d.mcc.trim() ? mccWords(d.mcc) : w.missing });
  const least = d.min_spend.trim();
  if (least && !/^0*(\.0*)?$/.test(least)) out.push(`, ${w.fromAmount} `, { b: plain.test(least) ? amount(least as Decimal, home) : w.missing }, ` ${w.aPurchase}`);
  out.push(`, ${w.from} `, { b: d.start_date ? day(d.start_date) : w.missing }, ` ${w.to} `, { b: d.end_date ? day(d.end_date) : w.missing }, d.end_date ? "." : "");
  return out;
}

export function plainSentence(parts: Part[]): string {
  return parts.map((p) => (typeof p === "string" ? p : p.b)).join("");
}
