import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { TextLink } from "@/components/button";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { Empty } from "@/components/states";
import { type Column, DataTable, Pages } from "@/components/table";
import { api, load } from "@/lib/api/client";
import type { components } from "@/lib/api/schema";
import { config } from "@/lib/config";
import * as format from "@/lib/format";
import { href, one, type Query } from "@/lib/query";
import { engine } from "@/messages/en/engine";
import { Filters } from "./filters";

const t = engine.list;
export const metadata: Metadata = { title: t.title };

type Letter = components["schemas"]["DeadLetter"];

export default async function Letters({ searchParams }: { searchParams: Promise<Query> }) {
  const q = await searchParams;
  const reason = one(q, "reason");
  const resent = one(q, "resent") === "true" ? "true" : one(q, "resent") === "false" ? "false" : undefined;
  const cursor = one(q, "cursor");
  const here = href("/engine/letters", { reason, resent, cursor });
  const client = await api();
  const [list, status] = await Promise.all([
    load(client.GET("/ops/deadletters", { params: { query: { page_size: 50, reason, resent, cursor } } })),
    load(client.GET("/ops/status")),
  ]);
  if (!list.ok) return <ProblemPage problem={list.problem} retry={here} />;
  const reasons = status.ok ? status.data.data.dead_letters.by_reason.map((r) => r.reason) : [];
  const columns: Column<Letter>[] = [
    { key: "id", header: t.id, main: true, cell: (l) => <TextLink href={`/engine/letters/${l.id}`} aria-label={t.open(l.id)} fontFamily="mono">{l.id}</TextLink> },
    { key: "reason", header: engine.reason, cell: (l) => <Box><Box>{l.reason}</Box><Box color="fg.muted" fontSize="xs" overflowWrap="anywhere">{l.detail}</Box></Box> },
    { key: "at", header: t.at, cell: (l) => format.moment(l.at, config().timezone) },
    { key: "source", header: t.source, cell: (l) => <Box overflowWrap="anywhere" fontSize="xs">{l.source}{l.line ? `:${l.line}` : ""}</Box> },
    { key: "resent", header: engine.resent, numeric: true, cell: (l) => l.resent?.length || "" },
  ];
  return (
    <>
      <Box mb="2"><TextLink href="/engine">{t.back}</TextLink></Box>
      <PageHeader title={t.title} text={t.text} />
      <Filters reasons={reasons} reason={reason} resent={resent} />
      <Panel flush>
        {list.data.data.length === 0 ? (
          <Empty icon="check" title={engine.lettersNone} text={engine.lettersNoneText} action={reason || resent ? { href: "/engine/letters", label: t.all } : undefined} />
        ) : (
          <>
            <DataTable caption={t.title} columns={columns} rows={list.data.data} rowKey={(l) => l.id} />
            <Pages text={t.total(format.number(list.data.total))} first={cursor ? href("/engine/letters", { reason, resent }) : undefined} next={list.data.next ? href("/engine/letters", { reason, resent, cursor: list.data.next }) : undefined} />
          </>
        )}
      </Panel>
    </>
  );
}
