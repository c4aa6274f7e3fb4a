import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { cookies } from "next/headers";
import { FactorForm } from "@/components/factor-form";
import { PageHeader, Panel } from "@/components/page";
import { PasswordForm } from "@/components/password-form";
import { ProblemPage } from "@/components/problem";
import { api, load } from "@/lib/api/client";
import { appearanceOf } from "@/lib/appearance";
import { session } from "@/lib/session/session";
import { account } from "@/messages/en/account";
import { AppearanceForm, MailsForm, ProfileForm } from "./forms";

export const metadata: Metadata = { title: account.title };

export default async function Account() {
  const s = await session();
  // Bank staff's own accounts are kept by admins: the API does not show them to themselves.
  const me = s?.role === "bank" ? undefined : await load((await api()).GET("/user/{id}", { params: { path: { id: s?.userId ?? "" } } }));
  if (!s) return <ProblemPage problem={{ status: 401, code: "no_token", fields: {} }} retry="/account" />;
  if (me && !me.ok) return <ProblemPage problem={me.problem} retry="/account" />;
  const u = me?.data.data;
  return (
    <Box maxW="2xl">
      <PageHeader title={account.title} text={account.text} />
      <Panel title={account.profile.title}>
        {u ? <ProfileForm user={{ version: u.version, first_name: u.first_name, last_name: u.last_name, phone: u.phone, email: u.email }} /> : <Box color="fg.muted">{account.profile.byAdmin(s.email)}</Box>}
      </Panel>
      {u && s.role === "user" && <Panel title={account.mails.title}><MailsForm on={u.reward_emails} /></Panel>}
      <Panel title={account.password.title} text={account.password.text}><PasswordForm email={s.email} /></Panel>
      {(s.role === "bank" || s.role === "admin") && <Panel title={account.factor.title} text={account.factor.text}><FactorForm /></Panel>}
      <Panel title={account.appearance.title}><AppearanceForm now={appearanceOf((await cookies()).get("appearance")?.value)} /></Panel>
    </Box>
  );
}
