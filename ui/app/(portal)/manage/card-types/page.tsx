import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { ButtonLink, TextLink } from "@/components/button";
import { Icon } from "@/components/icons";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { Empty } from "@/components/states";
import { type Column, DataTable, Pagination } from "@/components/table";
import { api, load } from "@/lib/api/client";
import type { CardType } from "@/lib/manage/campaign";
import { Query } from "@/lib/manage/query";
import { cardTypes as m } from "@/messages/en/manage-rules";

export const metadata: Metadata = { title: m.title };

const size = 50;
const sorts = ["card_type", "name", "-card_type", "-name"] as const;

export default async function CardTypes({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const q = new Query("/manage/card-types", await searchParams);
  const sort = q.one("sort", sorts) ?? "name";
  const list = await load((await api()).GET("/card/type", { params: { query: { sort, page_size: size, page_no: q.page() } } }));
  if (!list.ok) return <ProblemPage problem={list.problem} retry={q.with({})} />;
  const columns: Column<CardType>[] = [
    { key: "name", header: m.columns.name, main: true, sortable: true, cell: (t) => <TextLink href={`/manage/card-types/${encodeURIComponent(t.card_type)}`} color="fg" fontWeight="medium" overflowWrap="anywhere">{t.name}</TextLink> },
    { key: "card_type", header: m.columns.card_type, sortable: true, cell: (t) => <Box as="code" fontFamily="mono" fontSize="xs" overflowWrap="anywhere">{t.card_type}</Box> },
    { key: "programme", header: m.columns.programme, cell: (t) => t.reward_program },
    { key: "unit", header: m.columns.unit, cell: (t) => t.reward_unit },
    { key: "decimals", header: m.columns.decimals, numeric: true, cell: (t) => t.decimals },
  ];
  return (
    <>
      <PageHeader title={m.title} text={m.text} actions={<ButtonLink href="/manage/card-types/new"><Icon name="plus" size={16} />{m.create}</ButtonLink>} />
      <Panel flush overflow="hidden">
        {list.data.data.length === 0
          ? <Empty icon="card" {...m.none} action={{ href: "/manage/card-types/new", label: m.create }} />
          : <><DataTable caption={m.caption} columns={columns} rows={list.data.data} rowKey={(t) => t.card_type} sort={sort} sortHref={(s) => q.with({ sort: s })} /><Pagination page={q.page()} size={size} total={list.data.total} href={(p) => q.with({ page: String(p) })} /></>}
      </Panel>
    </>
  );
}
