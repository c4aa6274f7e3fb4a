"use server";
import type { components } from "@/lib/api/schema";
import { api, load } from "@/lib/api/client";
import type { Decimal } from "@/lib/api/decimal";
import type { Result } from "@/lib/api/problem";
import { bodyOf, type CampaignDraft, draftOf } from "@/lib/manage/campaign";
import { explain, type Explained } from "@/lib/manage/explain";

/** TryDraft is a transaction as it stands in the form. */
export interface TryDraft {
  card_type: string;
  amount: string;
  currency: string;
  transaction_date: string;
  merchant: string;
  mcc: string;
  sgd_amount: string;
}
export interface CampaignTried {
  id: string;
  draft: CampaignDraft;
}
export interface ExclusionTried {
  id: string;
  mcc: string;
  valid_from: string;
}

/** tryTransaction says what a transaction would earn by the rules in force and by drafts. */
export async function tryTransaction(t: TryDraft, campaigns: CampaignTried[], exclusions: ExclusionTried[]): Promise<Result<Explained>> {
  const transaction: components["schemas"]["TryTransaction"] = {
    card_type: t.card_type,
    amount: (t.amount.trim() || undefined) as Decimal,
    currency: t.currency.trim(),
    transaction_date: t.transaction_date,
    merchant: t.merchant,
    mcc: whole(t.mcc),
    ...(t.sgd_amount.trim() ? { sgd_amount: t.sgd_amount.trim() as Decimal } : {}),
  };
  const r = await load((await api()).POST("/campaign/try", {
    body: {
      transaction,
      campaigns: campaigns.map((c) => ({ ...bodyOf(c.draft), id: c.id })),
      exclusions: exclusions.map((e) => ({ id: e.id, mcc: whole(e.mcc), valid_from: e.valid_from })),
    },
  }));
  if (!r.ok) {
    const fields = Object.fromEntries(Object.entries(r.problem.fields).map(([name, text]) => [name.replace(/^transaction\./, ""), text]));
    return { ok: false, problem: { ...r.problem, fields } };
  }
  return { ok: true, data: explain(r.data.data) };
}

/** whole is what was typed, as a number where it is one. The server says what is wrong with what is not. */
function whole(text: string): number {
  const t = text.trim();
  return (/^\d{1,9}$/.test(t) ? Number(t) : t) as number;
}

/** campaignDraft is a campaign that there is, to change it in a draft. */
export async function campaignDraft(id: string): Promise<Result<CampaignDraft>> {
  const r = await load((await api()).GET("/campaign/{id}", { params: { path: { id } } }));
  return r.ok ? { ok: true, data: draftOf(r.data.data) } : r;
}
