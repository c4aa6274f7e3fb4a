import type { Metadata } from "next";
import { Back } from "@/components/manage/back";
import { ExclusionForm } from "@/components/manage/exclusion-form";
import { PageHeader } from "@/components/page";
import { config } from "@/lib/config";
import { today } from "@/lib/format";
import { exclusions as m } from "@/messages/en/manage-rules";

export const metadata: Metadata = { title: m.newTitle };

export default function NewExclusion() {
  const { timezone, homeCurrency } = config();
  return (
    <>
      <Back href="/manage/exclusions" label={m.title} />
      <PageHeader title={m.newTitle} />
      <ExclusionForm initial={{ mcc: "", valid_from: today(timezone) }} home={homeCurrency} />
    </>
  );
}
