import type { components } from "@/lib/api/schema";
import { amount, day, number, units } from "@/lib/format";
import { tryOut as m } from "@/messages/en/manage-try";
import { isCashback, rateWords } from "./campaign";

/** Explained is what a transaction would earn, in words. */
export interface Explained {
  outcome: string;
  earns: string;
  remarks: string;
  converted?: { amount: string; how: string };
  base?: { id: string; name: string; how: string };
  promo?: { id: string; name: string; how: string };
  exclusion?: { id?: string; why: string };
  ruleSet: string;
}

export function explain(r: components["schemas"]["Reward"]): Explained {
  const t = r.trace;
  const c = t.converted;
  const earned = (n: Parameters<typeof units>[0]) => `${units(n, t.decimals)} ${t.unit}`;
  const applied = (a: typeof t.base) =>
    a && c ? { id: a.id, name: a.name, how: m.applied(isCashback({ reward_unit: t.unit }) ? rateWords(a.rate, { reward_unit: t.unit }) : number(a.rate), amount(c.amount, c.currency), earned(a.units)) } : undefined;
  return {
    outcome: t.outcome,
    earns: earned(r.reward_amount),
    remarks: r.remarks,
    ...(c ? { converted: { amount: amount(c.amount, c.currency), how: c.source === "quote" ? m.converted.quote(c.quote_base ?? "", number(c.from_quote ?? "0"), number(c.to_quote ?? "0"), day(c.rate_date ?? "")) : m.converted[c.source]() } } : {}),
    base: applied(t.base),
    promo: applied(t.promo),
    ...(t.exclusion ? { exclusion: { id: t.exclusion.id, why: t.exclusion.reason === "mcc_unknown" ? m.excluded.mcc_unknown : m.excluded.mcc_excluded(day(t.exclusion.valid_from ?? "")) } } : {}),
    ruleSet: t.rule_set,
  };
}
