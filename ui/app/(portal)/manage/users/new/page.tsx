import type { Metadata } from "next";
import { Back } from "@/components/manage/back";
import { UserForm } from "@/components/manage/user-form";
import { PageHeader } from "@/components/page";
import { config } from "@/lib/config";
import { emptyUser } from "@/lib/manage/user";
import { session } from "@/lib/session/session";
import { users as m } from "@/messages/en/manage-users";

export const metadata: Metadata = { title: m.newTitle };

export default async function NewUser() {
  return (
    <>
      <Back href="/manage/users" label={m.title} />
      <PageHeader title={m.newTitle} />
      <UserForm initial={emptyUser} home={config().homeCurrency} anyRole={(await session())?.role === "admin"} back="/manage/users" />
    </>
  );
}
