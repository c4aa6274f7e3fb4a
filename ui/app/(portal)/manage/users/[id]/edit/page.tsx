import type { Metadata } from "next";
import { Back } from "@/components/manage/back";
import { UserForm } from "@/components/manage/user-form";
import { PageHeader } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { api, load } from "@/lib/api/client";
import { config } from "@/lib/config";
import { fullName, userDraft } from "@/lib/manage/user";
import { session } from "@/lib/session/session";
import { users as m } from "@/messages/en/manage-users";

export const metadata: Metadata = { title: m.editTitle };

export default async function EditUser({ params }: { params: Promise<{ id: string }> }) {
  const { id } = await params;
  const page = `/manage/users/${encodeURIComponent(id)}`;
  const r = await load((await api()).GET("/user/{id}", { params: { path: { id } } }));
  if (!r.ok) return <ProblemPage problem={r.problem} retry={`${page}/edit`} />;
  const u = r.data.data;
  return (
    <>
      <Back href={page} label={fullName(u)} />
      <PageHeader title={m.editTitle} />
      <UserForm old={{ id: u.id, version: u.version }} initial={userDraft(u)} home={config().homeCurrency} anyRole={(await session())?.role === "admin"} back={page} />
    </>
  );
}
