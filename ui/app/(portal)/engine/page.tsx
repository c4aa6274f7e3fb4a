import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { Badge, ButtonLink, TextLink } from "@/components/button";
import { A, Li, Ul } from "@/components/html";
import { Icon } from "@/components/icons";
import { Live } from "@/components/live";
import { PageHeader, Panel } from "@/components/page";
import { ProblemPage } from "@/components/problem";
import { Empty } from "@/components/states";
import { type Column, DataTable } from "@/components/table";
import { api, load } from "@/lib/api/client";
import type { components } from "@/lib/api/schema";
import { config } from "@/lib/config";
import * as format from "@/lib/format";
import { href } from "@/lib/query";
import { engine as t } from "@/messages/en/engine";

export const metadata: Metadata = { title: t.title };

type Status = components["schemas"]["OpsStatus"];

export default async function Engine() {
  const r = await load((await api()).GET("/ops/status"));
  if (!r.ok) return <ProblemPage problem={r.problem} retry="/engine" />;
  const s = r.data.data;
  const zone = config().timezone;
  return (
    <>
      <PageHeader title={t.title} text={t.at(format.moment(s.at, zone))} actions={<Badge colorPalette={s.healthy ? "green" : "red"} fontSize="sm" px="3" py="1"><Icon name={s.healthy ? "check" : "warning"} size={14} />{s.healthy ? t.healthy : t.unhealthy}</Badge>} />
      <Live every={5000} />
      {s.problems.length > 0 && (
        <Box role="alert" bg="bg.error" color="fg.error" borderWidth="1px" borderColor="red.border" borderRadius="md" p="3" mb="6">
          <Ul pl="5" listStyleType="disc">{s.problems.map((p) => <Li key={p}>{p}</Li>)}</Ul>
        </Box>
      )}
      <Box display="grid" gridTemplateColumns={{ base: "1fr 1fr", lg: "repeat(4, 1fr)" }} gap="4" mb="6">
        <Figure label={t.lag} value={format.number(s.lag)} />
        <Figure label={t.rate} value={format.number(s.rate)} />
        <Figure label={t.oldest} value={s.lag === 0 ? t.none : t.seconds(s.oldest_unread_seconds)} />
        <Figure label={t.letters} value={format.number(s.dead_letters.letters)} />
      </Box>
      <Partitions status={s} zone={zone} />
      <Rewarders status={s} />
      <Letters letters={s.dead_letters} />
      <Panel title={t.docs} text={t.docsText}>
        <Ul display="flex" flexWrap="wrap" gap="4" listStyleType="none" p="0">
          {["profiler", "campaignex", "informer"].map((name) => (
            <Li key={name}><A href={`/engine/docs/${name}`} color="owl.fg" textDecoration="underline" textUnderlineOffset="3px" target="_blank" rel="noreferrer">{name}</A></Li>
          ))}
        </Ul>
      </Panel>
    </>
  );
}

function Figure({ label, value }: { label: string; value: string }) {
  return (
    <Box bg="bg.panel" borderWidth="1px" borderRadius="lg" boxShadow="sm" p="4" minW="0">
      <Box color="fg.muted">{label}</Box>
      <Box fontSize="2xl" fontWeight="semibold" fontVariantNumeric="tabular-nums" overflowWrap="anywhere">{value}</Box>
    </Box>
  );
}

function Partitions({ status: s, zone }: { status: Status; zone: string }) {
  const columns: Column<Status["partitions"][number]>[] = [
    { key: "partition", header: t.partition, main: true, cell: (p) => p.partition },
    { key: "lag", header: t.lag, numeric: true, cell: (p) => format.number(p.lag) },
    { key: "rate", header: t.rate, numeric: true, cell: (p) => (p.rate === null ? t.unknown : format.number(p.rate)) },
    { key: "committed", header: t.committed, numeric: true, cell: (p) => (p.committed < 0 ? t.none : format.number(p.committed)) },
    { key: "end", header: t.end, numeric: true, cell: (p) => format.number(p.end) },
    {
      key: "rules", header: t.inForce,
      cell: (p) =>
        p.in_force?.hash ? (
          <Box>
            <Badge colorPalette={p.in_force.live ? "green" : "orange"}>{p.in_force.live ? t.live : t.behind}</Badge>
            <Box color="fg.muted" fontSize="xs" mt="1"><Box as="span" fontFamily="mono">{p.in_force.hash.slice(0, 12)}</Box> · {format.moment(p.in_force.since ?? "", zone)}</Box>
          </Box>
        ) : t.none,
    },
    { key: "rewarder", header: t.rewarder, cell: (p) => p.in_force?.rewarder ?? "" },
  ];
  return (
    <Panel flush title={t.rules} text={s.rules?.hash ? t.rulesText(s.rules.hash.slice(0, 12)) : undefined}>
      <DataTable caption={t.rules} columns={columns} rows={s.partitions} rowKey={(p) => p.partition} />
    </Panel>
  );
}

function Rewarders({ status: s }: { status: Status }) {
  const columns: Column<Status["rewarders"][number]>[] = [
    { key: "name", header: t.rewarder, main: true, cell: (r) => r.name },
    { key: "state", header: t.state, cell: (r) => <Badge colorPalette={r.state === "consuming" ? "green" : r.state === "paused" ? "red" : "gray"}>{r.state}</Badge> },
    { key: "why", header: t.why, cell: (r) => r.reason || r.rules_problem },
    { key: "partitions", header: t.partitions, cell: (r) => r.partitions.join(", ") },
  ];
  return (
    <Panel flush title={t.rewarders}>
      {s.rewarders.length === 0 ? <Empty icon="gauge" title={t.none} text={t.rewardersNone} level={3} /> : <DataTable caption={t.rewarders} columns={columns} rows={s.rewarders} rowKey={(r) => r.name} />}
    </Panel>
  );
}

function Letters({ letters: d }: { letters: Status["dead_letters"] }) {
  const columns: Column<Status["dead_letters"]["by_reason"][number]>[] = [
    { key: "reason", header: t.reason, main: true, cell: (r) => <TextLink href={href("/engine/letters", { reason: r.reason })}>{r.reason}</TextLink> },
    { key: "letters", header: t.count, numeric: true, cell: (r) => format.number(r.letters) },
    { key: "resent", header: t.resent, numeric: true, cell: (r) => format.number(r.resent) },
  ];
  return (
    <Panel flush title={t.reasons} text={d.not_looked_at ? t.older(format.number(d.not_looked_at)) : undefined} actions={d.letters > 0 ? <ButtonLink href="/engine/letters" size="sm" variant="outline">{t.list.title}</ButtonLink> : undefined}>
      {d.by_reason.length === 0 ? <Empty icon="check" title={t.lettersNone} text={t.lettersNoneText} level={3} /> : <DataTable caption={t.reasons} columns={columns} rows={d.by_reason} rowKey={(r) => r.reason} />}
    </Panel>
  );
}
