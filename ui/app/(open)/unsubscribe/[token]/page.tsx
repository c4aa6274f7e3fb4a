import type { Metadata } from "next";
import { account } from "@/messages/en/account";
import { UnsubscribeForm } from "./form";

export const metadata: Metadata = { title: account.unsubscribe.title };

/** What reads links in mails beforehand must not end them: it takes a click on the page. */
export default async function Unsubscribe({ params }: { params: Promise<{ token: string }> }) {
  return <UnsubscribeForm token={(await params).token} />;
}
