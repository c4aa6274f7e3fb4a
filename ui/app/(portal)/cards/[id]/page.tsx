import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { DownloadLink } from "@/components/button";
import { FilterForm } from "@/components/filter-form";
import { Icon } from "@/components/icons";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { Empty } from "@/components/states";
import { Pages } from "@/components/table";
import { Transactions } from "@/components/transactions";
import { api, load } from "@/lib/api/client";
import { cardTypes, described, type Reward, rewards, type RewardsQuery } from "@/lib/cards";
import { config } from "@/lib/config";
import * as format from "@/lib/format";
import { href, one, type Query } from "@/lib/query";
import { cards } from "@/messages/en/cards";
import { HistoryFilters } from "./filters";

const t = cards.history;

const size = 25;
/** A filter reads part of a long history at a time; so many parts are read before a person is asked to go on. */
const parts = 5;

type Params = { params: Promise<{ id: string }>; searchParams: Promise<Query> };

export async function generateMetadata({ params }: Params): Promise<Metadata> {
  const [card, types] = await Promise.all([load((await api()).GET("/card/{id}", { params: { path: { id: (await params).id } } })), cardTypes()]);
  return { title: card.ok && types.ok ? t.title(described(card.data.data, types.data).name) : cards.list.title };
}

export default async function History({ params, searchParams }: Params) {
  const { id } = await params;
  const q = await searchParams;
  const filter = { from: one(q, "from"), to: one(q, "to"), merchant: one(q, "merchant"), outcome: outcomeOf(one(q, "outcome")) };
  const filtered = Object.values(filter).some(Boolean);
  const path = `/cards/${encodeURIComponent(id)}`;
  const client = await api();
  const [card, types, history] = await Promise.all([load(client.GET("/card/{id}", { params: { path: { id } } })), cardTypes(), read(id, filter, one(q, "cursor"))]);
  if (!card.ok) return <ProblemPage problem={card.problem} retry={href(path, filter)} />;
  if (!types.ok) return <ProblemPage problem={types.problem} retry={href(path, filter)} />;
  const c = described(card.data.data, types.data);

  const wrong = !history.ok && history.problem.status === 400 ? history.problem : undefined;
  if (!history.ok && !wrong) return <ProblemPage problem={history.problem} retry={href(path, filter)} />;
  const page = history.ok ? history.data : { rows: [] as Reward[], total: 0, next: "" };
  const at = Math.max(0, Number(one(q, "at")) || 0); // rows on the pages before
  const on = page.next ? href(path, { ...filter, cursor: page.next, at: at + page.rows.length }) : undefined;
  const n = (x: number) => format.number(x);

  return (
    <>
      <PageHeader
        title={t.title(c.name)} text={t.text(c.lastFour, c.programme)}
        actions={<DownloadLink variant="outline" href={href(`${path}/csv`, filter)} download><Icon name="download" size={16} />{t.csv}</DownloadLink>}
      />
      <Panel flush>
        <Box p={{ base: "4", md: "5" }} borderBottomWidth="1px">
          <FilterForm action={path}><HistoryFilters key={JSON.stringify(filter)} {...filter} errors={wrong?.fields ?? {}} clear={filtered ? path : undefined} /></FilterForm>
        </Box>
        {page.rows.length > 0 && <Transactions rewards={page.rows} timezone={config().timezone} homeCurrency={config().homeCurrency} />}
        {page.rows.length === 0 && on && <Empty icon="search" title={t.goOn} text={t.goOnText} action={{ href: on, label: t.goOnAction }} />}
        {page.rows.length === 0 && !on && !wrong && (filtered || at > 0 ? <Empty title={t.none} text={t.noneText} action={{ href: path, label: t.clear }} /> : <Empty icon="card" title={t.empty} text={t.emptyText} />)}
        {page.rows.length > 0 && (
          <Pages text={t.range(n(at + 1), n(at + page.rows.length), page.total === null ? undefined : n(page.total))} first={at > 0 ? href(path, filter) : undefined} next={on} />
        )}
      </Panel>
    </>
  );
}

function outcomeOf(text: string | undefined): RewardsQuery["outcome"] {
  return text === "rewarded" || text === "no_campaign" || text === "excluded" ? text : undefined;
}

async function read(id: string, filter: RewardsQuery, cursor: string | undefined) {
  for (let part = 1; ; part++) {
    const r = await rewards(id, { ...filter, cursor, page_size: size });
    if (!r.ok) return r;
    const { data: rows, next, total_rewards: total } = r.data;
    if (rows.length > 0 || !next || part === parts) return { ok: true as const, data: { rows, total, next } };
    cursor = next;
  }
}
