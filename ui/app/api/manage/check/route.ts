import { api, load } from "@/lib/api/client";
import type { Decimal } from "@/lib/api/decimal";
import type { components } from "@/lib/api/schema";
import { scaled } from "@/lib/api/decimal";
import { config } from "@/lib/config";
import { amount, day, units } from "@/lib/format";
import { bodyOf, type CampaignDraft } from "@/lib/manage/campaign";
import type { Check } from "@/lib/manage/check";

const prefix = "campaigns[0].";

/** POST has the server look at a campaign that is being typed. It is what POST /campaign/try says of a draft. */
export async function POST(request: Request): Promise<Response> {
  const { id, draft } = (await request.json()) as { id?: string; draft: CampaignDraft };
  const home = config().homeCurrency;
  const body = { ...bodyOf(draft), ...(id ? { id } : {}) };
  const r = await load((await api()).POST("/campaign/try", { body: { transaction: purchase(draft, home), campaigns: [body] } }));
  if (!r.ok) {
    if (r.problem.status !== 400 && r.problem.status !== 422) return Response.json(null, { status: r.problem.status || 503 });
    const fields = Object.entries(r.problem.fields).filter(([name]) => name.startsWith(prefix));
    return Response.json({ fields: Object.fromEntries(fields.map(([name, text]) => [name.slice(prefix.length), text])) } satisfies Check);
  }
  const t = r.data.data;
  const answer: Check = {
    fields: {},
    example: { spend: amount(t.amount, t.currency), day: day(t.transaction_date), earns: `${units(t.reward_amount, t.trace.decimals)} ${t.trace.unit}`, remarks: t.remarks },
  };
  return Response.json(answer);
}

/** purchase is one that fits the draft, so far as it can be told. */
function purchase(d: CampaignDraft, home: string): components["schemas"]["TryTransaction"] {
  const least = d.min_spend.trim();
  const spend = (/^\d+(\.\d+)?$/.test(least) && scaled(least, 6) > scaled("100", 6) ? least : "100") as Decimal;
  const mcc = /\d+/.exec(d.mcc)?.[0];
  return {
    card_type: d.reward_program,
    merchant: d.merchant,
    mcc: mcc && Number(mcc) > 0 ? Number(mcc) : 5411,
    currency: d.foreign_currency ? (home === "EUR" ? "USD" : "EUR") : home,
    amount: spend,
    ...(d.foreign_currency ? { sgd_amount: spend } : {}),
    transaction_date: d.start_date,
  };
}
