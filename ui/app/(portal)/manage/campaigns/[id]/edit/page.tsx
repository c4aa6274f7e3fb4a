import type { Metadata } from "next";
import { Back } from "@/components/manage/back";
import { CampaignForm } from "@/components/manage/campaign-form";
import { PageHeader } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { api, load } from "@/lib/api/client";
import { config } from "@/lib/config";
import { draftOf } from "@/lib/manage/campaign";
import { cardTypes } from "@/lib/manage/card-types";
import { campaigns as m } from "@/messages/en/manage-campaigns";

export const metadata: Metadata = { title: m.editTitle };

export default async function EditCampaign({ params }: { params: Promise<{ id: string }> }) {
  const { id } = await params;
  const page = `/manage/campaigns/${encodeURIComponent(id)}`;
  const [r, types] = await Promise.all([load((await api()).GET("/campaign/{id}", { params: { path: { id } } })), cardTypes()]);
  if (!r.ok) return <ProblemPage problem={r.problem} retry={`${page}/edit`} />;
  if (!types.ok) return <ProblemPage problem={types.problem} retry={`${page}/edit`} />;
  const c = r.data.data;
  return (
    <>
      <Back href={page} label={c.name} />
      <PageHeader title={m.editTitle} />
      <CampaignForm old={{ id: c.id, version: c.version }} initial={draftOf(c)} types={types.data.data} home={config().homeCurrency} back={page} />
    </>
  );
}
