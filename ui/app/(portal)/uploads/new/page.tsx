import type { Metadata } from "next";
import { PageHeader } from "@/components/page";
import { one, type Query } from "@/lib/query";
import { files } from "@/messages/en/files";
import { Uploader } from "./uploader";

export const metadata: Metadata = { title: files.send.title };

export default async function NewUpload({ searchParams }: { searchParams: Promise<Query> }) {
  return (
    <>
      <PageHeader title={files.send.title} text={files.send.text} />
      <Uploader first={one(await searchParams, "kind") === "users" ? "users" : "spend"} />
    </>
  );
}
