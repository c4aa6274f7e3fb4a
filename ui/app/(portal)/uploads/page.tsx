import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { ButtonLink, TextLink } from "@/components/button";
import { Icon } from "@/components/icons";
import { Live } from "@/components/live";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { Empty } from "@/components/states";
import { type Column, DataTable, Pagination } from "@/components/table";
import { final, UploadState } from "@/components/upload-state";
import { api, load } from "@/lib/api/client";
import type { components } from "@/lib/api/schema";
import { config } from "@/lib/config";
import * as format from "@/lib/format";
import { href, pageOf, type Query } from "@/lib/query";
import { files } from "@/messages/en/files";

const t = files.list;
const size = 25;
export const metadata: Metadata = { title: t.title };

type Row = components["schemas"]["UploadSummary"];

export default async function Uploads({ searchParams }: { searchParams: Promise<Query> }) {
  const page = pageOf(await searchParams);
  const r = await load((await api()).GET("/upload", { params: { query: { page_size: size, page_no: page } } }));
  if (!r.ok) return <ProblemPage problem={r.problem} retry={href("/uploads", { page: page > 1 ? page : undefined })} />;
  const zone = config().timezone;
  const columns: Column<Row>[] = [
    {
      key: "file", header: t.file, main: true,
      cell: (u) => (
        <Box minW="0">
          <TextLink href={`/uploads/${u.id}`} overflowWrap="anywhere">{u.file}</TextLink>
          {(u.error || u.warnings[0]) && <Box color={u.error ? "fg.error" : "fg.warning"} fontSize="xs" fontWeight="normal" maxW="36rem">{u.error || u.warnings[0]}</Box>}
        </Box>
      ),
    },
    { key: "kind", header: t.kind, cell: (u) => files.kinds[u.kind] },
    { key: "at", header: t.at, cell: (u) => format.moment(u.at, zone) },
    { key: "rows", header: t.rows, numeric: true, cell: (u) => format.number(u.rows.read) },
    { key: "refused", header: t.refused, numeric: true, cell: (u) => (u.rows.refused ? <Box as="span" color="fg.warning" fontWeight="medium">{format.number(u.rows.refused)}</Box> : "0") },
    { key: "size", header: t.size, numeric: true, cell: (u) => files.size(u.size) },
    { key: "state", header: t.state, cell: (u) => <UploadState state={u.state} percent={u.percent} /> },
  ];
  return (
    <>
      <PageHeader title={t.title} text={t.text} actions={<ButtonLink href="/uploads/new"><Icon name="upload" size={16} />{t.send}</ButtonLink>} />
      {r.data.data.some((u) => !final(u.state)) && <Live every={3000} />}
      <Panel flush>
        {r.data.data.length === 0 ? (
          <Empty icon="files" title={t.empty} text={t.emptyText} action={{ href: "/uploads/new", label: t.send }} />
        ) : (
          <>
            <DataTable caption={t.title} columns={columns} rows={r.data.data} rowKey={(u) => u.id} />
            <Pagination page={page} size={size} total={r.data.total} href={(n) => href("/uploads", { page: n > 1 ? n : undefined })} />
          </>
        )}
      </Panel>
    </>
  );
}
