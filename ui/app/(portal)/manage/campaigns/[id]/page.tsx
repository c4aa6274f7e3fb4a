import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { Badge, ButtonLink } from "@/components/button";
import { Icon } from "@/components/icons";
import { Back } from "@/components/manage/back";
import { CampaignActions } from "@/components/manage/campaign-actions";
import { Facts } from "@/components/manage/facts";
import { History } from "@/components/manage/history";
import { Live } from "@/components/manage/live";
import { Sentence } from "@/components/manage/sentence";
import { StateBadge } from "@/components/manage/state-badge";
import { Warnings } from "@/components/manage/warnings";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { api, load } from "@/lib/api/client";
import { config } from "@/lib/config";
import { day, moment, today } from "@/lib/format";
import { campaignFields, dayBefore, draftOf, rateWords, sentence, stateOf } from "@/lib/manage/campaign";
import { cardTypes } from "@/lib/manage/card-types";
import { fieldsOf, shown } from "@/lib/manage/changes";
import { Query } from "@/lib/manage/query";
import { campaigns as m, campaignWords } from "@/messages/en/manage-campaigns";
import { manage } from "@/messages/en/manage";

export const metadata: Metadata = { title: m.title };

export default async function CampaignPage({ params, searchParams }: { params: Promise<{ id: string }>; searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const { id } = await params;
  const q = new Query(`/manage/campaigns/${encodeURIComponent(id)}`, await searchParams);
  const [r, types] = await Promise.all([load((await api()).GET("/campaign/{id}", { params: { path: { id } } })), cardTypes()]);
  if (!r.ok) return <><Back href="/manage/campaigns" label={m.title} /><ProblemPage problem={r.problem} retry={q.with({})} /></>;
  if (!types.ok) return <ProblemPage problem={types.problem} retry={q.with({})} />;
  const c = r.data.data;
  const type = types.data.data.find((t) => t.card_type === c.reward_program);
  const { timezone, homeCurrency: home } = config();
  const now = today(timezone);
  const state = stateOf(c, now);
  const labels = Object.fromEntries(fieldsOf("campaign").map((f) => [f.name, f.label]));
  const draft = draftOf(c);
  return (
    <>
      <Back href="/manage/campaigns" label={m.title} />
      <PageHeader
        title={c.name}
        text={<Box as="span" display="inline-flex" gap="1.5" mt="1"><StateBadge state={state} /><Badge colorPalette="gray">{c.base_reward ? m.kinds.base : m.kinds.promo}</Badge></Box>}
        actions={<CampaignActions campaign={{ id: c.id, name: c.name, version: c.version, start: c.start_date.slice(0, 10), endable: state === "live" }} days={{ today: now, todayText: day(now), yesterday: dayBefore(now), yesterdayText: day(dayBefore(now)) }} />}
      />
      <Warnings all={c.warnings} />
      <Box display="grid" gridTemplateColumns={{ base: "minmax(0, 1fr)", lg: "minmax(0, 1fr) 20rem" }} gridTemplateRows={{ lg: "auto 1fr" }} columnGap="6" alignItems="start">
        <Box minW="0">
          <Panel title={m.rule} actions={<ButtonLink size="sm" variant="outline" href={`/manage/try?campaign=${c.id}`}><Icon name="flask" size={15} />{m.tryIt}</ButtonLink>}>
            <Box fontSize="lg" lineHeight="1.6"><Sentence parts={sentence(draft, types.data.data, home)} /></Box>
            <Box color="fg.muted" mt="2">{c.base_reward ? campaignWords.base : campaignWords.promo}</Box>
          </Panel>
        </Box>
        <Box minW="0" gridColumn={{ lg: 2 }} gridRow={{ lg: "1 / 3" }}>
          <Panel title={manage.live.title}>
            <Live kind="campaign" id={c.id} version={c.version} published={c.published} />
            <Box color="fg.muted" fontSize="xs" mt="3">{m.fromNowOn}</Box>
            <Box color="fg.muted" fontSize="xs" mt="2">{manage.version(c.version)}, {moment(c.updated_at, timezone)}</Box>
          </Panel>
          <Panel title={m.facts}>
            <Facts facts={campaignFields.filter((f) => f !== "name").map((f) => [labels[f] ?? f, f === "reward_program" ? (type?.name ?? c.reward_program) : f === "reward_amount" ? rateWords(c.reward_amount, type) : shown("campaign", f, draft[f], home)] as const)} narrow />
          </Panel>
        </Box>
        <Box minW="0">
          <History kind="campaign" id={c.id} page={q.page()} href={(p) => `${q.with({ page: String(p) })}#history`} />
        </Box>
      </Box>
    </>
  );
}
