import type { Metadata } from "next";
import { ButtonLink } from "@/components/button";
import { OpenPage } from "@/components/open-page";
import { account } from "@/messages/en/account";
import { ResetForm } from "./form";

export const metadata: Metadata = { title: account.reset.title };

export default async function Reset({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const { token } = await searchParams;
  if (typeof token !== "string" || token === "")
    return <OpenPage title={account.reset.title} text={account.reset.none}><ButtonLink href="/forgot" w="full">{account.forgot.again}</ButtonLink></OpenPage>;
  return <OpenPage title={account.reset.title}><ResetForm token={token} /></OpenPage>;
}
