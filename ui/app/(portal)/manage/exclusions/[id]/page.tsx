import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { Back } from "@/components/manage/back";
import { DeleteExclusion, ExclusionForm } from "@/components/manage/exclusion-form";
import { History } from "@/components/manage/history";
import { Live } from "@/components/manage/live";
import { Warnings } from "@/components/manage/warnings";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { api, load } from "@/lib/api/client";
import { config } from "@/lib/config";
import { moment } from "@/lib/format";
import { exclusionDraft } from "@/lib/manage/exclusion";
import { descriptions } from "@/lib/manage/mcc";
import { Query } from "@/lib/manage/query";
import { manage } from "@/messages/en/manage";
import { exclusions as m } from "@/messages/en/manage-rules";

export const metadata: Metadata = { title: m.title };

export default async function ExclusionPage({ params, searchParams }: { params: Promise<{ id: string }>; searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const { id } = await params;
  const q = new Query(`/manage/exclusions/${encodeURIComponent(id)}`, await searchParams);
  const r = await load((await api()).GET("/exclusion/{id}", { params: { path: { id } } }));
  if (!r.ok) return <><Back href="/manage/exclusions" label={m.title} /><ProblemPage problem={r.problem} retry={q.with({})} /></>;
  const e = r.data.data;
  const { timezone, homeCurrency } = config();
  const draft = exclusionDraft(e);
  const words = (await descriptions(draft.mcc)).get(e.mcc);
  return (
    <>
      <Back href="/manage/exclusions" label={m.title} />
      <PageHeader title={m.editTitle(draft.mcc)} text={words} actions={<DeleteExclusion id={e.id} version={e.version} name={draft.mcc} />} />
      <Warnings all={e.warnings} />
      <Box display="grid" gridTemplateColumns={{ base: "1fr", lg: "minmax(0, 1fr) 20rem" }} columnGap="6" alignItems="start">
        <Box minW="0">
          <ExclusionForm key={e.version} old={{ id: e.id, version: e.version }} initial={draft} home={homeCurrency} described={words} />
          <History kind="exclusion" id={e.id} page={q.page()} href={(p) => `${q.with({ page: String(p) })}#history`} />
        </Box>
        <Panel title={manage.live.title}>
          <Live kind="exclusion" id={e.id} version={e.version} published={e.published} />
          <Box color="fg.muted" fontSize="xs" mt="3">{manage.version(e.version)}, {moment(e.updated_at, timezone)}</Box>
        </Panel>
      </Box>
    </>
  );
}
