import type { Metadata } from "next";
import { Back } from "@/components/manage/back";
import { CampaignForm } from "@/components/manage/campaign-form";
import { PageHeader } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { api, load } from "@/lib/api/client";
import { config } from "@/lib/config";
import { draftOf, emptyCampaign } from "@/lib/manage/campaign";
import { cardTypes } from "@/lib/manage/card-types";
import { Query } from "@/lib/manage/query";
import { campaigns as m } from "@/messages/en/manage-campaigns";

export const metadata: Metadata = { title: m.newTitle };

export default async function NewCampaign({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const q = new Query("/manage/campaigns/new", await searchParams);
  const types = await cardTypes();
  if (!types.ok) return <ProblemPage problem={types.problem} retry={q.with({})} />;
  let initial = { ...emptyCampaign, reward_program: types.data.data.some((t) => t.card_type === q.text("programme")) ? q.text("programme") : "" };
  const copy = q.text("copy");
  if (copy) {
    const r = await load((await api()).GET("/campaign/{id}", { params: { path: { id: copy } } }));
    if (!r.ok) return <ProblemPage problem={r.problem} retry={q.with({})} />;
    initial = draftOf(r.data.data);
    initial.name = m.copyTitle(initial.name);
  }
  return (
    <>
      <Back href="/manage/campaigns" label={m.title} />
      <PageHeader title={m.newTitle} />
      <CampaignForm key={copy} initial={initial} types={types.data.data} home={config().homeCurrency} back="/manage/campaigns" />
    </>
  );
}
