import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { CampaignList } from "@/components/campaign-list";
import { FilterForm } from "@/components/filter-form";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { Empty } from "@/components/states";
import { Pagination } from "@/components/table";
import { api, load } from "@/lib/api/client";
import { cardTypes } from "@/lib/cards";
import { href, one, pageOf, type Query } from "@/lib/query";
import { cards } from "@/messages/en/cards";
import { CampaignFilters } from "./filters";

const t = cards.campaigns;
export const metadata: Metadata = { title: t.title };

const size = 20;

export default async function Campaigns({ searchParams }: { searchParams: Promise<Query> }) {
  const q = await searchParams;
  const state = one(q, "state");
  const filter = { q: one(q, "q"), programme: one(q, "programme"), state: state === "live" || state === "scheduled" || state === "ended" ? (state as "live" | "scheduled" | "ended") : undefined };
  const page = pageOf(q);
  const [types, campaigns] = await Promise.all([cardTypes(), load((await api()).GET("/campaign", { params: { query: { ...filter, sort: "-end_date", page_no: page, page_size: size } } }))]);
  if (!types.ok) return <ProblemPage problem={types.problem} retry={href("/campaigns", filter)} />;
  if (!campaigns.ok) return <ProblemPage problem={campaigns.problem} retry="/campaigns" />;
  const { data, total } = campaigns.data;
  return (
    <>
      <PageHeader title={t.title} text={t.text} />
      <Panel flush>
        <Box p={{ base: "4", md: "5" }} borderBottomWidth="1px">
          <FilterForm action="/campaigns"><CampaignFilters key={JSON.stringify(filter)} {...filter} programmes={types.data.map((c) => ({ value: c.card_type, label: `${c.name}: ${c.reward_program}` }))} clear={filter.q || filter.programme || filter.state ? "/campaigns" : undefined} /></FilterForm>
        </Box>
        {data.length === 0 ? <Empty title={t.none} text={t.noneText} action={{ href: "/campaigns", label: t.all }} /> : <CampaignList campaigns={data} />}
        <Pagination page={page} size={size} total={total} href={(p) => href("/campaigns", { ...filter, page: p })} />
      </Panel>
    </>
  );
}
