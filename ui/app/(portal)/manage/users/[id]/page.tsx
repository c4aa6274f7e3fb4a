import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { Badge, ButtonLink } from "@/components/button";
import { Back } from "@/components/manage/back";
import { Facts } from "@/components/manage/facts";
import { History } from "@/components/manage/history";
import { AddCard, RemoveCard, UserActions } from "@/components/manage/user-actions";
import { UserState } from "@/components/manage/user-state";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { type Column, DataTable } from "@/components/table";
import { api, load } from "@/lib/api/client";
import type { components } from "@/lib/api/schema";
import { config } from "@/lib/config";
import { day, moment, today } from "@/lib/format";
import { cardTypes } from "@/lib/manage/card-types";
import { shown } from "@/lib/manage/changes";
import { Query } from "@/lib/manage/query";
import { fullName } from "@/lib/manage/user";
import { session } from "@/lib/session/session";
import { common } from "@/messages/en/common";
import { users as m } from "@/messages/en/manage-users";

export const metadata: Metadata = { title: m.title };

type Card = components["schemas"]["Card"];

export default async function UserPage({ params, searchParams }: { params: Promise<{ id: string }>; searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const { id } = await params;
  const q = new Query(`/manage/users/${encodeURIComponent(id)}`, await searchParams);
  const s = await session();
  const [r, types] = await Promise.all([load((await api()).GET("/user/{id}", { params: { path: { id } } })), cardTypes()]);
  if (!r.ok) return <><Back href="/manage/users" label={m.title} /><ProblemPage problem={r.problem} retry={q.with({})} /></>;
  if (!types.ok) return <ProblemPage problem={types.problem} retry={q.with({})} />;
  const u = r.data.data;
  const { timezone, homeCurrency: home } = config();
  const signsIn = u.Role === "user" || u.Role === "bank" || u.Role === "admin";
  const own = u.id === s?.userId;
  const columns: Column<Card>[] = [
    { key: "pan", header: m.cardColumns.pan, main: true, cell: (c) => <Box as="span" whiteSpace="nowrap" fontVariantNumeric="tabular-nums">{m.lastFour(c.card_pan)}</Box> },
    { key: "type", header: m.cardColumns.type, cell: (c) => types.data.data.find((t) => t.card_type === c.card_type)?.name ?? c.card_type },
    { key: "id", header: m.cardColumns.id, cell: (c) => <Box as="code" fontFamily="mono" fontSize="xs" overflowWrap="anywhere">{c.id}</Box> },
    { key: "since", header: m.cardColumns.since, cell: (c) => <Box as="span" whiteSpace="nowrap">{c.created_at ? day(today(timezone, new Date(c.created_at))) : ""}</Box> },
    { key: "actions", header: m.cardColumns.actions, cell: (c) => <Box display="flex" justifyContent="flex-end" w="full"><RemoveCard id={c.id} version={c.version ?? 0} pan={c.card_pan} /></Box> },
  ];
  return (
    <>
      <Back href="/manage/users" label={m.title} />
      <PageHeader
        title={fullName(u)}
        text={<Box as="span" display="inline-flex" flexWrap="wrap" gap="1.5" mt="1"><Badge colorPalette="gray">{(common.roles as Record<string, string>)[u.Role] ?? u.Role}</Badge><UserState user={u} /></Box>}
        actions={u.Role === "service" ? undefined : (
          <>
            <ButtonLink href={`/manage/users/${u.id}/edit`}>{m.edit}</ButtonLink>
            <UserActions id={u.id} version={u.version} name={fullName(u)} email={u.email} locked={u.locked} password={signsIn && !own} factor={s?.role === "admin" && signsIn && !own} />
          </>
        )}
      />
      <Box display="grid" gridTemplateColumns={{ base: "minmax(0, 1fr)", lg: "minmax(0, 1fr) 20rem" }} columnGap="6" alignItems="start">
        <Box minW="0">
          <Panel title={m.cards} flush actions={u.Role === "user" ? <AddCard userId={u.id} types={types.data.data.map((t) => ({ card_type: t.card_type, name: t.name }))} /> : undefined}>
            {u.CreditCards.length === 0
              ? <Box px={{ base: "4", md: "5" }} pb="5" color="fg.muted">{u.Role === "user" ? m.cardsNone : m.cardsOnlyUsers}</Box>
              : <Box borderTopWidth="1px"><DataTable caption={m.cardsCaption} columns={columns} rows={u.CreditCards} rowKey={(c) => c.id} /></Box>}
          </Panel>
          <History kind="user" id={u.id} page={q.page()} href={(p) => `${q.with({ page: String(p) })}#history`} />
        </Box>
        <Panel title={m.details} css={{ "@media (max-width: 1023px)": { order: -1 } }}>
          <Facts
            narrow
            facts={[
              ...(["first_name", "last_name", "email", "phone", "reward_emails"] as const).map((f) => [m.fields[f], shown("user", f, u[f], home)] as const),
              [m.columns.created_at, moment(u.CreatedAt, timezone)],
            ]}
          />
        </Panel>
      </Box>
    </>
  );
}
