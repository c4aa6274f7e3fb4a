import type { Metadata } from "next";
import { PageHeader } from "@/components/page";
import { account } from "@/messages/en/account";

export const metadata: Metadata = { title: account.title };

export default function Account() {
  return <PageHeader title={account.title} />;
}
