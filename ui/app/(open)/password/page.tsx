import type { Metadata } from "next";
import { redirect } from "next/navigation";
import { OpenPage } from "@/components/open-page";
import { PasswordForm } from "@/components/password-form";
import { SessionKeeper } from "@/components/session";
import { SignOut } from "@/components/sign-out";
import { session } from "@/lib/session/session";
import { account } from "@/messages/en/account";

export const metadata: Metadata = { title: account.first.title };

/** Whoever has a first password comes here first: proxy.ts. */
export default async function First() {
  const s = await session();
  if (!s) redirect("/signin");
  if (s.must !== "password") redirect("/");
  return (
    <SessionKeeper email={s.email}>
      <OpenPage title={account.first.title} text={account.first.text}>
        <PasswordForm email={s.email} first />
        <div style={{ marginTop: 16, display: "flex", justifyContent: "center" }}><SignOut /></div>
      </OpenPage>
    </SessionKeeper>
  );
}
