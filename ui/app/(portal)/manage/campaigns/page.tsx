import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { Button, ButtonLink, TextLink } from "@/components/button";
import { Icon } from "@/components/icons";
import { CampaignActions, type Days } from "@/components/manage/campaign-actions";
import { ChoiceFilter, SearchFilter } from "@/components/manage/filter-fields";
import { Filters } from "@/components/manage/filters";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { Empty } from "@/components/states";
import { type Column, DataTable, Pagination } from "@/components/table";
import { Tabs } from "@/components/tabs";
import { api, load } from "@/lib/api/client";
import { config } from "@/lib/config";
import { amount, day, today } from "@/lib/format";
import { type Campaign, dayBefore, mccWords, rateWords, type State, stateOf } from "@/lib/manage/campaign";
import { cardTypes } from "@/lib/manage/card-types";
import { Query } from "@/lib/manage/query";
import { common } from "@/messages/en/common";
import { campaigns as m } from "@/messages/en/manage-campaigns";
import { StateBadge } from "@/components/manage/state-badge";

export const metadata: Metadata = { title: m.title };

const size = 25;
const states = ["live", "scheduled", "ended"] as const;
const sorts = ["name", "start_date", "end_date", "reward_program", "reward_amount", "updated_at", "-name", "-start_date", "-end_date", "-reward_program", "-reward_amount", "-updated_at"] as const;

export default async function Campaigns({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const q = new Query("/manage/campaigns", await searchParams);
  const state = q.one<State>("state", states);
  const sort = q.one("sort", sorts) ?? "-updated_at";
  const kind = q.one("kind", ["base", "promo"]);
  const filter = { q: q.text("q") || undefined, programme: q.text("programme") || undefined, base_reward: kind && kind === "base" };
  const client = await api();
  const count = (s?: State) => load(client.GET("/campaign", { params: { query: { ...filter, state: s, page_size: 1 } } }));
  const [list, types, all, ...counts] = await Promise.all([
    load(client.GET("/campaign", { params: { query: { ...filter, state, sort, page_size: size, page_no: q.page() } } })),
    cardTypes(),
    count(),
    ...states.map((s) => count(s)),
  ]);
  if (!list.ok) return <ProblemPage problem={list.problem} retry={q.with({})} />;
  if (!types.ok) return <ProblemPage problem={types.problem} retry={q.with({})} />;

  const { timezone, homeCurrency: home } = config();
  const now = today(timezone);
  const days: Days = { today: now, todayText: day(now), yesterday: dayBefore(now), yesterdayText: day(dayBefore(now)) };
  const typeOf = (c: Campaign) => types.data.data.find((t) => t.card_type === c.reward_program);
  const filtered = !!(filter.q || filter.programme || kind || state);
  const columns: Column<Campaign>[] = [
    {
      key: "name", header: m.columns.name, main: true, sortable: true,
      cell: (c) => (
        <Box minW={{ base: "0", md: "56" }}>
          <TextLink href={`/manage/campaigns/${c.id}`} color="fg" fontWeight="medium" overflowWrap="anywhere">{c.name}</TextLink>
          <Box color="fg.muted" fontSize="xs" fontWeight="normal" overflowWrap="anywhere">{conditions(c, home)}</Box>
        </Box>
      ),
    },
    { key: "reward_program", header: m.columns.programme, sortable: true, cell: (c) => typeOf(c)?.name ?? c.reward_program },
    { key: "kind", header: m.columns.kind, cell: (c) => (c.base_reward ? m.kinds.base : m.kinds.promo) },
    { key: "reward_amount", header: m.columns.rate, sortable: true, numeric: true, cell: (c) => <Box as="span" whiteSpace="nowrap">{rateWords(c.reward_amount, typeOf(c))}</Box> },
    { key: "start_date", header: m.columns.dates, sortable: true, cell: (c) => <Box as="span" whiteSpace={{ xl: "nowrap" }}>{period(c)}</Box> },
    { key: "state", header: m.columns.state, cell: (c) => <StateBadge state={stateOf(c, now)} /> },
    { key: "actions", header: m.columns.actions, cell: (c) => <Box display="flex" justifyContent="flex-end" w="full"><CampaignActions menu days={days} campaign={{ id: c.id, name: c.name, version: c.version, start: c.start_date.slice(0, 10), endable: stateOf(c, now) === "live" }} /></Box> },
  ];
  const total = (r: (typeof counts)[number] | undefined) => (r?.ok ? new Intl.NumberFormat("en-GB").format(r.data.total) : undefined);
  return (
    <>
      <PageHeader title={m.title} text={m.text} actions={<ButtonLink href="/manage/campaigns/new"><Icon name="plus" size={16} />{m.create}</ButtonLink>} />
      <Panel flush>
        <Box px={{ base: "4", md: "5" }} pt="4" display="flex">
          <Tabs
            label={m.stateLabel}
            items={[
              { href: q.with({ state: undefined }), label: m.withCount(m.states.all, total(all)), current: !state },
              ...states.map((s, i) => ({ href: q.with({ state: s }), label: m.withCount(m.states[s], total(counts[i])), current: state === s })),
            ]}
          />
        </Box>
        <Filters action="/manage/campaigns" keep={{ state, sort: q.text("sort") }}>
          <SearchFilter name="q" label={m.searchShort} value={q.text("q")} />
          <ChoiceFilter name="programme" label={m.programme} value={q.text("programme")} options={[["", m.anyProgramme], ...types.data.data.map((t) => [t.card_type, t.name] as const)]} />
          <ChoiceFilter name="kind" label={m.kind} value={kind ?? ""} options={[["", m.anyKind], ["base", m.kinds.base], ["promo", m.kinds.promo]]} />
          <Button type="submit" variant="outline"><Icon name="search" size={16} />{common.search}</Button>
        </Filters>
        {list.data.data.length === 0
          ? filtered ? <Empty {...m.noneFit} action={{ href: "/manage/campaigns", label: m.noneFit.action }} /> : <Empty icon="tag" {...m.none} action={{ href: "/manage/campaigns/new", label: m.create }} />
          : (
            <Box borderTopWidth="1px">
              <DataTable caption={m.caption} columns={columns} rows={list.data.data} rowKey={(c) => c.id} sort={sort} sortHref={(s) => q.with({ sort: s })} />
              <Pagination page={q.page()} size={size} total={list.data.total} href={(p) => q.with({ page: String(p) })} />
            </Box>
          )}
      </Panel>
      <Box color="fg.muted" fontSize="xs">{m.statesAsOf(day(now))}</Box>
    </>
  );
}

/** period is a campaign's first and last day. */
function period(c: Campaign): string {
  const [from, to] = [new Date(c.start_date), new Date(c.end_date)];
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeZone: "UTC" }).formatRange(from, to);
}

/** conditions says in few words what a campaign asks for. */
function conditions(c: Campaign, home: string): string {
  const all = [
    c.merchant && m.conditionMerchant(c.merchant),
    c.mcc !== "0" && m.conditionMcc(mccWords(c.mcc)),
    !/^0*(\.0*)?$/.test(c.min_spend) && m.conditionMin(amount(c.min_spend, home)),
    c.foreign_currency && m.conditionForeign,
  ].filter((t): t is string => !!t);
  return all.join(" · ") || m.conditionsNone;
}
