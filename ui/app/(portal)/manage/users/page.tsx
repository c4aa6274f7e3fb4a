import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { Button, ButtonLink, TextLink } from "@/components/button";
import { Icon } from "@/components/icons";
import { ChoiceFilter, SearchFilter } from "@/components/manage/filter-fields";
import { Filters } from "@/components/manage/filters";
import { FindByCard } from "@/components/manage/user-actions";
import { UserState } from "@/components/manage/user-state";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { Empty } from "@/components/states";
import { type Column, DataTable, Pagination } from "@/components/table";
import { api, load } from "@/lib/api/client";
import { config } from "@/lib/config";
import { day, today } from "@/lib/format";
import { Query } from "@/lib/manage/query";
import { fullName, type User } from "@/lib/manage/user";
import { session } from "@/lib/session/session";
import { common } from "@/messages/en/common";
import { users as m } from "@/messages/en/manage-users";

export const metadata: Metadata = { title: m.title };

const size = 25;
const roles = ["user", "bank", "merchant", "admin"] as const;
const sorts = ["name", "email", "created_at", "-name", "-email", "-created_at"] as const;

export default async function Users({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const q = new Query("/manage/users", await searchParams);
  const admin = (await session())?.role === "admin";
  const sort = q.one("sort", sorts) ?? "name";
  const role = admin ? q.one("role", roles) : undefined;
  const locked = q.one("locked", ["true", "false"]);
  const search = q.text("q");
  const list = await load((await api()).GET("/user", { params: { query: { search: search || undefined, role, locked: locked && locked === "true", sort, page_size: size, page_no: q.page() } } }));
  if (!list.ok) return <ProblemPage problem={list.problem} retry={q.with({})} />;
  const filtered = !!(search || role || locked);
  const { timezone } = config();
  const columns: Column<User>[] = [
    {
      key: "name", header: m.columns.name, main: true, sortable: true,
      cell: (u) => (
        <Box minW="0">
          <TextLink href={`/manage/users/${u.id}`} color="fg" fontWeight="medium" overflowWrap="anywhere">{fullName(u)}</TextLink>
          <Box color="fg.muted" fontSize="xs" fontWeight="normal" overflowWrap="anywhere">{u.email}</Box>
        </Box>
      ),
    },
    ...(admin ? [{ key: "role", header: m.columns.role, cell: (u: User) => (common.roles as Record<string, string>)[u.Role] ?? u.Role }] : []),
    { key: "cards", header: m.columns.cards, numeric: true, cell: (u) => u.CreditCards.length },
    { key: "state", header: m.columns.state, cell: (u) => <UserState user={u} /> },
    { key: "created_at", header: m.columns.created_at, sortable: true, cell: (u) => <Box as="span" whiteSpace="nowrap">{day(today(timezone, new Date(u.CreatedAt)))}</Box> },
  ];
  return (
    <>
      <PageHeader title={m.title} text={admin ? m.text : m.textBank} actions={<><FindByCard /><ButtonLink href="/manage/users/new"><Icon name="plus" size={16} />{m.create}</ButtonLink></>} />
      <Panel flush>
        <Filters action="/manage/users" keep={{ sort: q.text("sort") }}>
          <SearchFilter name="q" label={m.searchShort} value={search} />
          {admin && <ChoiceFilter name="role" label={m.role} value={role ?? ""} options={[["", m.anyRole], ...roles.map((r) => [r, common.roles[r]] as const)]} />}
          <ChoiceFilter name="locked" label={m.locked} value={locked ?? ""} options={[["", m.anyLocked], ["true", m.lockedOnly], ["false", m.openOnly]]} />
          <Button type="submit" variant="outline"><Icon name="search" size={16} />{common.search}</Button>
        </Filters>
        {list.data.data.length === 0
          ? filtered ? <Empty {...m.noneFit} action={{ href: "/manage/users", label: m.noneFit.action }} /> : <Empty icon="users" {...m.none} action={{ href: "/manage/users/new", label: m.create }} />
          : (
            <Box borderTopWidth="1px">
              <DataTable caption={m.caption} columns={columns} rows={list.data.data} rowKey={(u) => u.id} sort={sort} sortHref={(s) => q.with({ sort: s })} />
              <Pagination page={q.page()} size={size} total={list.data.total} href={(p) => q.with({ page: String(p) })} />
            </Box>
          )}
      </Panel>
    </>
  );
}
