import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { Badge, Button, ButtonLink, TextLink } from "@/components/button";
import { Icon } from "@/components/icons";
import { MccField } from "@/components/manage/exclusion-form";
import { Filters } from "@/components/manage/filters";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { Empty } from "@/components/states";
import { type Column, DataTable, Pagination } from "@/components/table";
import { api, load } from "@/lib/api/client";
import type { components } from "@/lib/api/schema";
import { config } from "@/lib/config";
import { day, today } from "@/lib/format";
import { descriptions } from "@/lib/manage/mcc";
import { Query } from "@/lib/manage/query";
import { common } from "@/messages/en/common";
import { exclusions as m } from "@/messages/en/manage-rules";

export const metadata: Metadata = { title: m.title };

type Exclusion = components["schemas"]["Exclusion"];
const size = 50;
const sorts = ["mcc", "valid_from", "-mcc", "-valid_from"] as const;

export default async function Exclusions({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const q = new Query("/manage/exclusions", await searchParams);
  const sort = q.one("sort", sorts) ?? "mcc";
  const code = /^\d{1,4}$/.test(q.text("mcc")) && Number(q.text("mcc")) > 0 ? Number(q.text("mcc")) : undefined;
  const [list, words] = await Promise.all([
    load((await api()).GET("/exclusion", { params: { query: { mcc: code, sort, page_size: size, page_no: q.page() } } })),
    descriptions(),
  ]);
  if (!list.ok) return <ProblemPage problem={list.problem} retry={q.with({})} />;
  const now = today(config().timezone);
  const columns: Column<Exclusion>[] = [
    {
      key: "mcc", header: m.columns.mcc, main: true, sortable: true,
      cell: (e) => (
        <Box>
          <TextLink href={`/manage/exclusions/${e.id}`} color="fg" fontWeight="medium" fontVariantNumeric="tabular-nums">{String(e.mcc).padStart(4, "0")}</TextLink>
          <Box color="fg.muted" fontSize="xs" fontWeight="normal">{words.get(e.mcc)}</Box>
        </Box>
      ),
    },
    { key: "valid_from", header: m.columns.valid_from, sortable: true, cell: (e) => day(e.valid_from) },
    { key: "state", header: m.columns.state, cell: (e) => (e.valid_from.slice(0, 10) <= now ? <Badge colorPalette="orange">{m.states.inForce}</Badge> : <Badge colorPalette="owl">{m.states.later}</Badge>) },
  ];
  return (
    <>
      <PageHeader title={m.title} text={m.text} actions={<ButtonLink href="/manage/exclusions/new"><Icon name="plus" size={16} />{m.create}</ButtonLink>} />
      <Panel overflow="visible" flush>
        <Filters action="/manage/exclusions" keep={{ sort: q.text("sort") }}>
          <MccField name="mcc" label={m.filter} initial={q.text("mcc")} />
          <Box><Button type="submit" variant="outline"><Icon name="search" size={16} />{common.search}</Button></Box>
        </Filters>
        {list.data.data.length === 0
          ? code ? <Empty {...m.noneFit} action={{ href: "/manage/exclusions", label: m.noneFit.action }} /> : <Empty icon="ban" {...m.none} action={{ href: "/manage/exclusions/new", label: m.create }} />
          : (
            <Box borderTopWidth="1px">
              <DataTable caption={m.caption} columns={columns} rows={list.data.data} rowKey={(e) => e.id} sort={sort} sortHref={(s) => q.with({ sort: s })} />
              <Pagination page={q.page()} size={size} total={list.data.total} href={(p) => q.with({ page: String(p) })} />
            </Box>
          )}
      </Panel>
    </>
  );
}
