import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { Badge, ButtonLink, TextLink } from "@/components/button";
import { CampaignList } from "@/components/campaign-list";
import { CardFace } from "@/components/card-face";
import { MonthChart, ShareChart } from "@/components/chart";
import { Details, Summary } from "@/components/html";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { ProblemNote } from "@/components/problem-note";
import { Empty } from "@/components/states";
import { DataTable } from "@/components/table";
import { Tabs } from "@/components/tabs";
import { Transactions } from "@/components/transactions";
import { api, load } from "@/lib/api/client";
import type { Problem, Result } from "@/lib/api/problem";
import type { components } from "@/lib/api/schema";
import { type Campaign, type OwnCard, ownCards, type Reward, rewards } from "@/lib/cards";
import { config } from "@/lib/config";
import * as format from "@/lib/format";
import { byCategory, largest, sum, year } from "@/lib/summary";
import { cards as messages } from "@/messages/en/cards";

const t = messages.dashboard;
export const metadata: Metadata = { title: t.title };

type Total = components["schemas"]["TotalAnswer"];
type MonthSummary = components["schemas"]["MonthSummary"];
interface Earned {
  card: OwnCard;
  total: Result<Total>;
  months: Result<MonthSummary[]>;
  latest: Result<Reward[]>;
}

const shown = 6;

async function earned(card: OwnCard): Promise<Earned> {
  const client = await api();
  const path = { cardId: card.id };
  const [total, summary, latest] = await Promise.all([
    load(client.GET("/reward/total/{cardId}", { params: { path } })),
    load(client.GET("/reward/summary/{cardId}", { params: { path } })),
    rewards(card.id, { page_size: shown }),
  ]);
  return { card, total, months: summary.ok ? { ok: true, data: summary.data.data.months } : summary, latest: latest.ok ? { ok: true, data: latest.data.data } : latest };
}

/** live are the campaigns that run now for the types of cards. */
async function live(types: string[]): Promise<Result<Campaign[]>> {
  const client = await api();
  const all = await Promise.all(types.map((programme) => load(client.GET("/campaign", { params: { query: { programme, state: "live", page_size: 4 } } }))));
  const wrong = all.find((r) => !r.ok);
  if (wrong && !wrong.ok) return wrong;
  return { ok: true, data: all.flatMap((r) => (r.ok ? r.data.data : [])).sort((a, b) => Number(a.base_reward) - Number(b.base_reward) || a.end_date.localeCompare(b.end_date)).slice(0, 4) };
}

export default async function Dashboard({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const mine = await ownCards();
  if (!mine.ok) return <ProblemPage problem={mine.problem} retry="/dashboard" />;
  const { name, cards } = mine.data;
  if (cards.length === 0)
    return (
      <>
        <PageHeader title={t.title} />
        <Panel><Empty icon="card" title={t.noCards} text={t.noCardsText} action={{ href: "/campaigns", label: t.campaignsAll }} /></Panel>
      </>
    );
  const [all, campaigns] = await Promise.all([Promise.all(cards.map(earned)), live([...new Set(cards.map((c) => c.type))])]);
  const wrong: Problem | undefined = [...all.flatMap((e) => [e.total, e.months, e.latest]), campaigns].map((r) => (r.ok ? undefined : r.problem)).find((p) => p !== undefined);
  if (wrong?.status === 401) return <ProblemPage problem={wrong} retry="/dashboard" />;

  const { card: asked } = await searchParams;
  // The card that was used last, where none is asked for.
  const chosen = all.find((e) => e.card.id === asked) ?? [...all].sort((a, b) => lastDay(b).localeCompare(lastDay(a)))[0];
  const latest = all.flatMap((e) => (e.latest.ok ? e.latest.data : [])).sort((a, b) => b.transaction_date.localeCompare(a.transaction_date)).slice(0, shown);
  const byId = new Map(cards.map((c) => [c.id, c]));

  return (
    <>
      <PageHeader title={t.title} text={t.greeting(name)} />
      {wrong && <ProblemNote problem={wrong} mb="6" />}
      <Box display="grid" gap="4" gridTemplateColumns="repeat(auto-fill, minmax(min(18rem, 100%), 1fr))" mb="6">
        {all.map((e) => <CardEarned key={e.card.id} of={e} />)}
      </Box>
      {chosen && (
        <Panel title={t.earned} actions={all.length > 1 ? <Tabs label={t.chooseCard} items={all.map((e) => ({ href: `/dashboard?card=${e.card.id}`, label: messages.list.lastFour(e.card.lastFour), name: `${e.card.name}, ${messages.list.ending(e.card.lastFour)}`, current: e === chosen }))} /> : undefined}>
          <Charts of={chosen} />
        </Panel>
      )}
      <Panel title={t.latest} flush>
        {latest.length === 0 ? <Empty level={3} icon="card" title={t.latestEmpty} text={t.latestEmptyText} /> : (
          <Transactions rewards={latest} timezone={config().timezone} homeCurrency={config().homeCurrency} card={cards.length > 1 ? (r) => { const c = byId.get(r.card_id); return c ? `${c.name} ${messages.list.lastFour(c.lastFour)}` : ""; } : undefined} />
        )}
      </Panel>
      <Panel title={t.campaigns} actions={<TextLink href="/campaigns">{t.campaignsAll}</TextLink>} flush>
        {campaigns.ok && (campaigns.data.length === 0 ? <Box px="5" pb="5" color="fg.muted">{t.campaignsNone}</Box> : <CampaignList campaigns={campaigns.data} />)}
      </Panel>
    </>
  );
}

function lastDay(e: Earned): string {
  return (e.latest.ok && e.latest.data[0]?.transaction_date) || "";
}

/** CardEarned is what a card earned in all and in its last month with spend, in its own units. */
function CardEarned({ of: { card, total, months } }: { of: Earned }) {
  const last = months.ok ? [...months.data].sort((a, b) => b.month.localeCompare(a.month))[0] : undefined;
  const figures = last && sum(last.groups, card.unit);
  const own = total.ok ? total.data.by_programme : [];
  return (
    <Box as="section" aria-label={`${card.name}, ${messages.list.ending(card.lastFour)}`} bg="bg.panel" borderWidth="1px" borderRadius="lg" boxShadow="sm" p="5" display="flex" flexDirection="column">
      <Box display="flex" gap="3" alignItems="center" mb="4">
        <CardFace type={card.type} lastFour={card.lastFour} />
        <Box minW="0">
          <Box fontWeight="medium" lineHeight="1.3">{card.name}</Box>
          <Box color="fg.muted" fontSize="xs">{messages.list.lastFour(card.lastFour)} · {card.programme}</Box>
        </Box>
      </Box>
      {own.length === 0 ? <Box color="fg.muted" mb="4">{t.nothing}</Box> : own.map((p) => (
        <Box key={p.card_type} mb="1">
          <Box as="span" fontSize="2xl" fontWeight="semibold" letterSpacing="-0.02em" fontVariantNumeric="tabular-nums">{format.units(p.units, p.decimals)}</Box>{" "}
          <Box as="span" color="fg.muted">{p.unit} {t.inAll}</Box>
          {own.length > 1 && <Badge colorPalette="gray" ml="2">{p.programme}</Badge>}
        </Box>
      ))}
      {last && figures && (
        <Box mb="5" mt="3" pt="3" borderTopWidth="1px" color="fg.muted">
          <Box fontSize="xs">{t.lastMonth}</Box>
          <Box as="span" color="fg" fontWeight="medium" fontVariantNumeric="tabular-nums">{format.signed(figures.units, card.decimals)} {card.unit}</Box> {t.month(format.month(last.month))}
          <Box>{t.spent(format.amount(figures.spend, config().homeCurrency))}</Box>
        </Box>
      )}
      <Box mt="auto"><ButtonLink href={`/cards/${card.id}`} variant="outline" size="sm">{t.history}</ButtonLink></Box>
    </Box>
  );
}

function Charts({ of: { card, months } }: { of: Earned }) {
  if (!months.ok) return <ProblemNote problem={months.problem} />;
  const shownMonths = year(months.data);
  if (shownMonths.length === 0) return <Empty level={3} icon="card" title={t.latestEmpty} text={t.latestEmptyText} />;
  const by = shownMonths.map((m) => ({ month: m.month, figures: sum(m.groups, card.unit) }));
  const categories = byCategory(shownMonths, card.unit);
  const figure = (units: `${number}`) => `${format.units(units, card.decimals)} ${card.unit}`;
  const unconverted = by.reduce((n, b) => n + b.figures.unconverted, 0);
  const home = config().homeCurrency;
  const period = t.period(format.month(shownMonths[0]?.month ?? ""), format.month(shownMonths.at(-1)?.month ?? ""));
  return (
    <>
      <Box color="fg.muted" mt="-2" mb="5">{card.name} {messages.list.lastFour(card.lastFour)} · {period}</Box>
      <Box display="grid" gap="8" gridTemplateColumns={{ base: "minmax(0, 1fr)", lg: "minmax(0, 3fr) minmax(0, 2fr)" }}>
        <Box>
          <Box as="h3" fontWeight="medium" mb="4">{t.byMonth}</Box>
          <MonthChart most={t.most(figure(largest(by.map((b) => b.figures.units))))} label={`${t.byMonth}: ${by.map((b) => `${format.month(b.month)} ${figure(b.figures.units)}`).join(", ")}`} bars={by.map((b) => ({ key: b.month, short: format.month(b.month, "short"), long: format.month(b.month), value: b.figures.units, text: figure(b.figures.units) }))} />
        </Box>
        <Box>
          <Box as="h3" fontWeight="medium" mb="4">{t.byCategory}</Box>
          <ShareChart bars={categories.slice(0, 6).map((c) => ({ key: c.group, short: "", long: messages.groups[c.group] ?? c.group, value: c.figures.units, text: figure(c.figures.units) }))} />
        </Box>
      </Box>
      <Details mt="6">
        <Summary cursor="pointer" color="fg.muted" w="fit-content" borderRadius="sm" focusVisibleRing="outside">{t.asTable}</Summary>
        <Box display="grid" gap="6" mt="4" gridTemplateColumns={{ base: "minmax(0, 1fr)", xl: "repeat(2, minmax(0, 1fr))" }}>
          <DataTable
            caption={t.byMonth} rows={[...by].reverse()} rowKey={(r) => r.month}
            columns={[{ key: "month", header: t.monthColumn, main: true, cell: (r) => format.month(r.month) }, { key: "units", header: card.unit, numeric: true, cell: (r) => format.units(r.figures.units, card.decimals) }, { key: "spend", header: t.spentColumn(home), numeric: true, cell: (r) => format.amount(r.figures.spend, home) }]}
          />
          <DataTable
            caption={t.byCategory} rows={categories} rowKey={(r) => r.group}
            columns={[{ key: "group", header: t.categoryColumn, main: true, cell: (r) => messages.groups[r.group] ?? r.group }, { key: "units", header: card.unit, numeric: true, cell: (r) => format.units(r.figures.units, card.decimals) }, { key: "spend", header: t.spentColumn(home), numeric: true, cell: (r) => format.amount(r.figures.spend, home) }]}
          />
        </Box>
        {unconverted > 0 && <Box color="fg.muted" mt="3">{t.unconverted(unconverted)}</Box>}
      </Details>
    </>
  );
}
