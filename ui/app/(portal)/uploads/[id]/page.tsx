import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { cache } from "react";
import { ButtonLink, DownloadLink, TextLink } from "@/components/button";
import { Dd, Dl, Dt, Li, Ul } from "@/components/html";
import { Icon, type IconName } from "@/components/icons";
import { Live } from "@/components/live";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { type Column, DataTable } from "@/components/table";
import { final, UploadState } from "@/components/upload-state";
import { api, load } from "@/lib/api/client";
import { add, type Decimal } from "@/lib/api/decimal";
import type { components } from "@/lib/api/schema";
import { config } from "@/lib/config";
import * as format from "@/lib/format";
import { files } from "@/messages/en/files";

const t = files.report;
type Upload = components["schemas"]["Upload"];
type Amounts = Record<string, Decimal> | null | undefined;
type Props = { params: Promise<{ id: string }> };

const read = cache(async (id: string) => load((await api()).GET("/upload/{id}", { params: { path: { id } } })));

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  const r = await read((await params).id);
  return { title: r.ok ? r.data.data.file || t.back : t.back };
}

export default async function Report({ params }: Props) {
  const { id } = await params;
  const r = await read(id);
  if (!r.ok) return <ProblemPage problem={r.problem} retry={`/uploads/${encodeURIComponent(id)}`} />;
  const u = r.data.data;
  const types = u.outcome?.programmes?.length ? await load((await api()).GET("/card/type", { params: { query: { page_size: 1000 } } })) : undefined;
  const names = new Map(types?.ok ? types.data.data.map((c) => [c.card_type, c.name]) : []);
  const zone = config().timezone;
  const warnings = [...(u.control && !u.control.agrees ? u.control.differences.map((d) => `${t.controlOff}: ${d}`) : []), ...u.warnings.filter((w) => !u.control || u.control.agrees || !w.startsWith("THE FILE IS NOT"))];
  return (
    <>
      <Box mb="2"><TextLink href="/uploads">{t.back}</TextLink></Box>
      <PageHeader
        title={u.file || id}
        text={<>{files.kinds[u.kind]}{u.size ? ` · ${files.size(u.size)}` : ""}{u.requested_at ? ` · ${t.sentBy} ${format.moment(u.requested_at, zone)}` : u.requested_by ? "" : ` · ${t.dropped}`}</>}
        actions={<UploadState state={u.state} percent={u.percent} />}
      />
      {!final(u.state) && <Live every={2000} />}
      {u.error && <Note icon="warning" tone="error">{u.error}</Note>}
      {u.hint && <Note icon="info" tone="info">{u.hint}</Note>}
      {warnings.length > 0 && <Note icon="warning" tone="warning"><b>{t.warnings}</b><Ul pl="5" listStyleType="disc">{warnings.map((w) => <Li key={w}>{w}</Li>)}</Ul></Note>}
      {u.repeats && <Note icon="info" tone="info">{t.repeats(u.repeats.file, format.moment(u.repeats.at, zone))} <TextLink href={`/uploads/${u.repeats.upload}`}>{t.repeatsLink}</TextLink></Note>}
      {u.control?.agrees && <Note icon="check" tone="success">{t.controlOk}</Note>}
      <Steps upload={u} />
      <Box display="grid" gridTemplateColumns={{ base: "1fr", sm: "repeat(3, 1fr)" }} gap="4" mb="6">
        <Figure label={t.read} value={format.number(u.rows.read)} />
        <Figure label={t.accepted} value={format.number(u.rows.accepted)} />
        <Figure label={t.refused} value={format.number(u.rows.refused)} tone={u.rows.refused ? "fg.warning" : undefined} />
      </Box>
      <Refused upload={u} />
      {u.users && <Entered users={u.users} />}
      {u.outcome && <Outcome outcome={u.outcome} zone={zone} names={names} />}
      <Totals totals={u.totals} />
    </>
  );
}

function Note({ icon, tone, children }: { icon: IconName; tone: "error" | "warning" | "info" | "success"; children: React.ReactNode }) {
  const plain = tone === "info" ? "fg" : `fg.${tone}`;
  return (
    <Box role={tone === "error" || tone === "warning" ? "alert" : undefined} display="flex" gap="3" bg={`bg.${tone}`} color={plain} borderWidth="1px" borderRadius="md" p="3" mb="4">
      <Icon name={icon} size={18} style={{ flexShrink: 0, marginTop: 1 }} />
      <Box minW="0">{children}</Box>
    </Box>
  );
}

function Figure({ label, value, tone }: { label: string; value: string; tone?: string }) {
  return (
    <Box bg="bg.panel" borderWidth="1px" borderRadius="lg" boxShadow="sm" p="4">
      <Box color="fg.muted">{label}</Box>
      <Box fontSize="2xl" fontWeight="semibold" fontVariantNumeric="tabular-nums" color={tone}>{value}</Box>
    </Box>
  );
}

/** Steps is the way of a file, as far as it has come. */
function Steps({ upload: u }: { upload: Upload }) {
  if (u.state === "failed") return null;
  const names = u.kind === "users" ? [t.stepsUsers.sent, t.stepsUsers.read, t.stepsUsers.reconciled] : [t.steps.sent, t.steps.read, t.steps.rewarded, t.steps.reconciled];
  const reached = { waiting: u.received ? 1 : 0, reading: 1, queued: 2, rewarded: 2, reconciled: names.length, failed: 0 }[u.state];
  return (
    <Ul display="flex" flexWrap="wrap" gap="2" listStyleType="none" p="0" mb="6">
      {names.map((name, i) => {
        const done = i < reached;
        const now = i === reached;
        return (
          <Li key={name} flex="1" minW="7rem" borderTopWidth="3px" borderColor={done ? "green.solid" : now ? "owl.solid" : "border.emphasized"} pt="2" color={done || now ? "fg" : "fg.muted"} aria-current={now ? "step" : undefined}>
            <Box fontWeight="medium">{name}{now && u.percent !== undefined && ` ${files.percent(u.percent)}`}</Box>
            <Box fontSize="xs" color="fg.muted">{done ? t.stepDone : now ? t.stepNow : t.stepNext}</Box>
          </Li>
        );
      })}
    </Ul>
  );
}

function Refused({ upload: u }: { upload: Upload }) {
  const reasons = u.refused_by_reason ?? [];
  if (u.rows.refused === 0) return null;
  const columns: Column<(typeof reasons)[number]>[] = [
    { key: "reason", header: t.reason, main: true, cell: (r) => words(r.code) },
    { key: "field", header: t.field, cell: (r) => r.field || t.wholeRow },
    { key: "rows", header: t.rows, numeric: true, cell: (r) => format.number(r.rows) },
    { key: "money", header: t.money, numeric: true, cell: (r) => <Money of={r.money} /> },
  ];
  return (
    <Panel
      flush title={t.refusedTitle} text={t.refusedText}
      actions={
        <Box display="flex" flexWrap="wrap" gap="2">
          {u.refused_url && <DownloadLink href={`/uploads/${u.upload}/refused`} variant="outline" size="sm"><Icon name="download" size={16} />{t.download}</DownloadLink>}
          <ButtonLink href={`/uploads/new?kind=${u.kind}`} variant="outline" size="sm">{t.sendMended}</ButtonLink>
        </Box>
      }
    >
      {reasons.length > 0 && <DataTable caption={t.refusedTitle} columns={columns} rows={reasons} rowKey={(r) => r.field + r.code} />}
    </Panel>
  );
}

/** words is a code as a person reads it. One that has no words here yet is read as it is: not_yet_known, Not yet known. */
function words(code: string): string {
  const known = t.reasons[code] ?? (code.startsWith("mcc_excluded ") ? t.excludedCategory(code.slice("mcc_excluded ".length)) : undefined);
  if (known) return known;
  const text = code.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function Money({ of }: { of: Amounts }) {
  const all = Object.entries(of ?? {}).sort(([a], [b]) => a.localeCompare(b));
  if (all.length === 0) return <>{t.none}</>;
  return <>{all.map(([code, value]) => <Box key={code} whiteSpace="nowrap">{format.amount(value, code)}</Box>)}</>;
}

function Entered({ users }: { users: components["schemas"]["UploadUsers"] }) {
  const lines: [string, number][] = [[t.created, users.created], [t.changed, users.changed], [t.unchanged, users.unchanged], [t.firstPasswords, users.first_passwords]];
  return (
    <Panel title={t.users}>
      <Dl display="grid" gridTemplateColumns="1fr auto" gap="2" maxW="24rem">
        {lines.map(([name, n]) => (
          <Box key={name} display="contents"><Dt color="fg.muted">{name}</Dt><Dd textAlign="end" fontVariantNumeric="tabular-nums">{format.number(n)}</Dd></Box>
        ))}
      </Dl>
    </Panel>
  );
}

type Outcome = components["schemas"]["UploadOutcome"];
type Line = { key: string; name: string; rows: number; money: Amounts; part?: boolean };

function Outcome({ outcome: o, zone, names }: { outcome: Outcome; zone: string; names: Map<string, string> }) {
  const parts = (by: Outcome["excluded"]["by_reason"], of: string): Line[] => Object.entries(by ?? {}).sort(([, a], [, b]) => b.rows - a.rows).map(([code, tally]) => ({ key: of + code, name: words(code), rows: tally.rows, money: tally.money, part: true }));
  const line = (key: keyof typeof t.outcomes, tally: { rows: number; money: Amounts }): Line => ({ key, name: t.outcomes[key], rows: tally.rows, money: tally.money });
  const lines: Line[] = [
    line("rewarded", o.rewarded), line("no_campaign", o.no_campaign),
    line("excluded", o.excluded), ...parts(o.excluded.by_reason, "excluded"),
    line("dead_letters", o.dead_letters), ...parts(o.dead_letters.by_reason, "dead"),
    line("duplicates", o.duplicates), line("conflicts", o.conflicts),
    ...(o.missing.rows ? [line("missing", o.missing)] : []),
  ];
  const columns: Column<Line>[] = [
    { key: "name", header: t.outcome, main: true, cell: (l) => <Box pl={l.part ? "5" : "0"} color={l.part ? "fg.muted" : undefined} fontWeight={l.part ? "normal" : undefined}>{l.name}</Box> },
    { key: "rows", header: t.rows, numeric: true, cell: (l) => format.number(l.rows) },
    { key: "money", header: t.money, numeric: true, cell: (l) => <Money of={l.money} /> },
  ];
  const programmes = o.programmes ?? [];
  const earned: Column<(typeof programmes)[number]>[] = [
    { key: "programme", header: t.programme, main: true, cell: (p) => <Box><Box>{p.programme || p.card_type}</Box>{p.programme && <Box color="fg.muted" fontSize="xs" fontWeight="normal">{names.get(p.card_type) ?? p.card_type}</Box>}</Box> },
    { key: "rows", header: t.rows, numeric: true, cell: (p) => format.number(p.rows) },
    { key: "units", header: t.units, numeric: true, cell: (p) => `${format.number(p.units)} ${p.unit}` },
    { key: "spend", header: t.spend, numeric: true, cell: (p) => <Money of={p.money} /> },
  ];
  const dead = o.dead_letters.listed ?? [];
  const letters: Column<(typeof dead)[number]>[] = [
    { key: "line", header: t.line, main: true, cell: (d) => format.number(d.line) },
    { key: "reason", header: t.reason, cell: (d) => words(d.reason) },
    { key: "detail", header: t.detail, cell: (d) => d.detail },
  ];
  const both = o.conflicts.listed ?? [];
  const conflicts: Column<(typeof both)[number]>[] = [
    { key: "line", header: t.line, main: true, cell: (c) => format.number(c.line) },
    { key: "first", header: t.first, cell: (c) => <Version of={c.first} other={c.this} /> },
    { key: "this", header: t.these, cell: (c) => <Version of={c.this} other={c.first} /> },
  ];
  return (
    <>
      <Panel flush title={t.outcome} text={t.outcomeText(format.moment(o.at, zone))}>
        <DataTable caption={t.outcome} columns={columns} rows={lines} rowKey={(l) => l.key} />
        <Dl display="flex" flexWrap="wrap" gap="6" px="5" py="3" borderTopWidth="1px">
          <Box><Dt color="fg.muted">{t.moneyIn}</Dt><Dd fontVariantNumeric="tabular-nums"><Money of={o.money_in} /></Dd></Box>
          <Box><Dt color="fg.muted">{t.moneyOut}</Dt><Dd fontVariantNumeric="tabular-nums"><Money of={o.money_out} /></Dd></Box>
        </Dl>
      </Panel>
      {programmes.length > 0 && <Panel flush title={t.programmes}><DataTable caption={t.programmes} columns={earned} rows={programmes} rowKey={(p) => p.card_type + p.unit} /></Panel>}
      {dead.length > 0 && <Panel flush title={t.deadLetters} text={t.deadLettersText}><DataTable caption={t.deadLetters} columns={letters} rows={dead} rowKey={(d) => d.id} /></Panel>}
      {both.length > 0 && <Panel flush title={t.conflicts} text={t.conflictsText}><DataTable caption={t.conflicts} columns={conflicts} rows={both} rowKey={(c) => c.line} /></Panel>}
    </>
  );
}

type Version = components["schemas"]["UploadVersion"];

/** Version shows what differs between two transactions of one identity. */
function Version({ of, other }: { of: Version; other: Version }) {
  const keys = (["transaction_date", "merchant", "mcc", "amount", "currency", "card_type"] as const).filter((k) => String(of[k] ?? "") !== String(other[k] ?? ""));
  return <>{keys.map((k) => <Box key={k}><Box as="span" color="fg.muted">{k} </Box>{k === "amount" && of.amount && of.currency ? format.amount(of.amount, of.currency) : String(of[k] ?? "")}</Box>)}</>;
}

function Totals({ totals }: { totals: Upload["totals"] }) {
  const codes = [...new Set([totals?.read, totals?.accepted, totals?.refused].flatMap((a) => Object.keys(a ?? {})))].sort();
  if (codes.length === 0) return null;
  const cell = (of: Amounts, code: string) => format.amount(of?.[code] ?? add("0"), code);
  const columns: Column<string>[] = [
    { key: "currency", header: t.currency, main: true, cell: (c) => c },
    { key: "read", header: t.read, numeric: true, cell: (c) => cell(totals?.read, c) },
    { key: "accepted", header: t.accepted, numeric: true, cell: (c) => cell(totals?.accepted, c) },
    { key: "refused", header: t.refused, numeric: true, cell: (c) => cell(totals?.refused, c) },
  ];
  return <Panel flush title={t.totals} text={t.totalsText}><DataTable caption={t.totals} columns={columns} rows={codes} rowKey={(c) => c} /></Panel>;
}
