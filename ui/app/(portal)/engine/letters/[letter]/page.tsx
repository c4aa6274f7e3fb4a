import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { TextLink } from "@/components/button";
import { Dd, Dl, Dt, Li, Pre, Ul } from "@/components/html";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { api, load } from "@/lib/api/client";
import { config } from "@/lib/config";
import * as format from "@/lib/format";
import { engine } from "@/messages/en/engine";
import { Resend } from "./resend";

const t = engine.letter;
type Props = { params: Promise<{ letter: string }> };

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  return { title: t.title((await params).letter) };
}

export default async function Letter({ params }: Props) {
  const { letter } = await params;
  const r = await load((await api()).GET("/ops/deadletters/{letter}", { params: { path: { letter } } }));
  if (!r.ok) return <ProblemPage problem={r.problem.status === 400 ? { ...r.problem, status: 404 } : r.problem} retry={`/engine/letters/${encodeURIComponent(letter)}`} />;
  const l = r.data.data;
  const zone = config().timezone;
  const value: unknown = l.value;
  const fields = value !== null && typeof value === "object" && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, String(v ?? "")])) : undefined;
  return (
    <>
      <Box mb="2"><TextLink href="/engine/letters">{t.back}</TextLink></Box>
      <PageHeader title={t.title(l.id)} text={<>{l.reason}: {l.detail}</>} />
      <Panel title={t.record} text={`${format.moment(l.at, zone)}${l.source ? ` · ${l.source}` : ""}${l.line ? `:${l.line}` : ""}`}>
        {fields ? (
          <Dl display="grid" gridTemplateColumns={{ base: "1fr", sm: "12rem 1fr" }} rowGap="1.5">
            {Object.entries(fields).map(([name, text]) => (
              <Box key={name} display="contents"><Dt color="fg.muted">{name}</Dt><Dd fontFamily="mono" overflowWrap="anywhere" mb={{ base: "2", sm: "0" }}>{text}</Dd></Box>
            ))}
          </Dl>
        ) : (
          <Pre fontSize="xs" whiteSpace="pre-wrap" overflowWrap="anywhere">{typeof value === "string" ? value : JSON.stringify(value)}</Pre>
        )}
      </Panel>
      {(l.resent?.length ?? 0) > 0 && (
        <Panel title={t.history}>
          <Ul pl="5" listStyleType="disc">{l.resent?.map((m) => <Li key={m.at + m.to}>{format.moment(m.at, zone)} {t.historyLine(m.by, m.to, m.mended.join(", "))}</Li>)}</Ul>
        </Panel>
      )}
      <Panel title={t.resend} text={t.resendText}><Resend letter={l.id} now={fields ?? {}} before={(l.resent?.length ?? 0) > 0} /></Panel>
      <Panel title={t.headers}>
        <Dl display="grid" gridTemplateColumns={{ base: "1fr", sm: "12rem 1fr" }} rowGap="1.5">
          {l.headers.map((h) => <Box key={h.name} display="contents"><Dt color="fg.muted">{h.name}</Dt><Dd fontFamily="mono" overflowWrap="anywhere">{h.value}</Dd></Box>)}
        </Dl>
      </Panel>
    </>
  );
}
