import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { TextLink } from "@/components/button";
import { CardFace } from "@/components/card-face";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { Empty } from "@/components/states";
import { type Column, DataTable } from "@/components/table";
import { api, load } from "@/lib/api/client";
import { type OwnCard, ownCards } from "@/lib/cards";
import { config } from "@/lib/config";
import * as format from "@/lib/format";
import { cards as messages } from "@/messages/en/cards";

const t = messages.list;
export const metadata: Metadata = { title: t.title };

type Row = OwnCard & { earned?: string; count?: number };

export default async function Cards() {
  const mine = await ownCards();
  if (!mine.ok) return <ProblemPage problem={mine.problem} retry="/cards" />;
  const client = await api();
  const rows: Row[] = await Promise.all(
    mine.data.cards.map(async (card) => {
      const total = await load(client.GET("/reward/total/{cardId}", { params: { path: { cardId: card.id } } }));
      if (!total.ok) return card;
      const by = total.data.by_programme;
      return { ...card, earned: by.map((p) => `${format.units(p.units, p.decimals)} ${p.unit}`).join(", "), count: by.reduce((n, p) => n + p.rewards, 0) };
    }),
  );
  const columns: Column<Row>[] = [
    {
      key: "name", header: t.title, main: true,
      cell: (c) => (
        <Box display="flex" gap="3" alignItems="center">
          <CardFace type={c.type} lastFour={c.lastFour} />
          <Box>
            <TextLink href={`/cards/${c.id}`} fontWeight="medium">{c.name}</TextLink>
            <Box color="fg.muted" fontSize="xs" fontWeight="normal">{t.ending(c.lastFour)}</Box>
          </Box>
        </Box>
      ),
    },
    { key: "programme", header: t.programme, cell: (c) => c.programme },
    { key: "count", header: t.transactions, numeric: true, cell: (c) => (c.count === undefined ? "–" : format.number(c.count)) },
    { key: "earned", header: t.inAll, numeric: true, cell: (c) => c.earned || "–" },
    { key: "linked", header: t.linked, cell: (c) => (c.linked ? format.momentDay(c.linked, config().timezone) : "–") },
  ];
  return (
    <>
      <PageHeader title={t.title} text={t.text} />
      <Panel flush>
        {rows.length === 0 ? <Empty icon="card" title={messages.dashboard.noCards} text={messages.dashboard.noCardsText} /> : <DataTable caption={t.title} columns={columns} rows={rows} rowKey={(c) => c.id} />}
      </Panel>
    </>
  );
}
