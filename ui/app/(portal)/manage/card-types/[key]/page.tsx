import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { ButtonLink } from "@/components/button";
import { Back } from "@/components/manage/back";
import { CardTypeForm, DeleteCardType } from "@/components/manage/card-type-form";
import { History } from "@/components/manage/history";
import { Live } from "@/components/manage/live";
import { Warnings } from "@/components/manage/warnings";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { api, load } from "@/lib/api/client";
import { config } from "@/lib/config";
import { moment } from "@/lib/format";
import { cardTypeDraft } from "@/lib/manage/card-type";
import { Query } from "@/lib/manage/query";
import { manage } from "@/messages/en/manage";
import { cardTypes as m } from "@/messages/en/manage-rules";

export const metadata: Metadata = { title: m.title };

export default async function CardTypePage({ params, searchParams }: { params: Promise<{ key: string }>; searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const key = decodeURIComponent((await params).key);
  const q = new Query(`/manage/card-types/${encodeURIComponent(key)}`, await searchParams);
  const r = await load((await api()).GET("/card/type/{card_type}", { params: { path: { card_type: key } } }));
  if (!r.ok) return <><Back href="/manage/card-types" label={m.title} /><ProblemPage problem={r.problem} retry={q.with({})} /></>;
  const t = r.data.data;
  const { timezone, homeCurrency } = config();
  return (
    <>
      <Back href="/manage/card-types" label={m.title} />
      <PageHeader title={t.name} actions={<><ButtonLink variant="outline" href={`/manage/campaigns?programme=${encodeURIComponent(t.card_type)}`}>{m.campaignsOf}</ButtonLink><DeleteCardType id={t.card_type} version={t.version} name={t.name} /></>} />
      <Warnings all={t.warnings} />
      <Box display="grid" gridTemplateColumns={{ base: "1fr", lg: "minmax(0, 1fr) 20rem" }} columnGap="6" alignItems="start">
        <Box minW="0">
          <CardTypeForm key={t.version} old={{ id: t.card_type, version: t.version }} initial={cardTypeDraft(t)} home={homeCurrency} />
          <History kind="cardType" id={t.card_type} page={q.page()} href={(p) => `${q.with({ page: String(p) })}#history`} />
        </Box>
        <Panel title={manage.live.title}>
          <Live kind="cardType" id={t.card_type} version={t.version} published={t.published} />
          <Box color="fg.muted" fontSize="xs" mt="3">{manage.version(t.version)}, {moment(t.updated_at, timezone)}</Box>
        </Panel>
      </Box>
    </>
  );
}
