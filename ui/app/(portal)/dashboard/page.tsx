import type { Metadata } from "next";
import { PageHeader } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { api, load } from "@/lib/api/client";
import { session } from "@/lib/session/session";
import { cards } from "@/messages/en/cards";

export const metadata: Metadata = { title: cards.dashboard.title };

export default async function Dashboard() {
  const s = await session();
  const me = await load((await api()).GET("/user/{id}", { params: { path: { id: s?.userId ?? "" } } }));
  if (!me.ok) return <ProblemPage problem={me.problem} retry="/dashboard" />;
  return <PageHeader title={cards.dashboard.title} text={me.data.data.first_name} />;
}
