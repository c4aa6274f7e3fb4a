import type { Metadata } from "next";
import { TryForm } from "@/components/manage/try-form";
import { PageHeader } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { api, load } from "@/lib/api/client";
import { config } from "@/lib/config";
import { today } from "@/lib/format";
import { cardTypes } from "@/lib/manage/card-types";
import { Query } from "@/lib/manage/query";
import { tryOut as m } from "@/messages/en/manage-try";

export const metadata: Metadata = { title: m.title };

export default async function Try({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const q = new Query("/manage/try", await searchParams);
  const client = await api();
  const [types, campaigns] = await Promise.all([cardTypes(), load(client.GET("/campaign", { params: { query: { page_size: 1000, sort: "name" } } }))]);
  if (!types.ok) return <ProblemPage problem={types.problem} retry={q.with({})} />;
  if (!campaigns.ok) return <ProblemPage problem={campaigns.problem} retry={q.with({})} />;
  const { timezone, homeCurrency: home } = config();
  // From a campaign's page: a transaction of its card on a day of its own.
  const c = campaigns.data.data.find((one) => one.id === q.text("campaign"));
  const now = today(timezone);
  const date = c && (c.start_date.slice(0, 10) > now || c.end_date.slice(0, 10) < now) ? c.start_date.slice(0, 10) : now;
  return (
    <>
      <PageHeader title={m.title} text={m.text} />
      <TryForm
        types={types.data.data} home={home} today={now}
        campaigns={campaigns.data.data.map((one) => ({ id: one.id, name: one.name }))}
        initial={{ card_type: c?.reward_program ?? "", amount: c && c.min_spend !== "0" ? c.min_spend : "", currency: home, transaction_date: date, merchant: c?.merchant ?? "", mcc: c && c.mcc !== "0" ? (/\d+/.exec(c.mcc)?.[0] ?? "") : "", sgd_amount: "" }}
      />
    </>
  );
}
