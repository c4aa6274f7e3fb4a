import type { Metadata } from "next";
import { Back } from "@/components/manage/back";
import { CardTypeForm } from "@/components/manage/card-type-form";
import { PageHeader } from "@/components/page";
import { config } from "@/lib/config";
import { emptyCardType } from "@/lib/manage/card-type";
import { cardTypes as m } from "@/messages/en/manage-rules";

export const metadata: Metadata = { title: m.newTitle };

export default function NewCardType() {
  return (
    <>
      <Back href="/manage/card-types" label={m.title} />
      <PageHeader title={m.newTitle} />
      <CardTypeForm initial={emptyCardType} home={config().homeCurrency} />
    </>
  );
}
