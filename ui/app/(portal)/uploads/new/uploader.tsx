"use client";
import { Box, chakra } from "@chakra-ui/react";
import { useEffect, useRef, useState } from "react";
import { Button, TextLink } from "@/components/button";
import { Field, Input } from "@/components/form";
import { Icon } from "@/components/icons";
import { words } from "@/components/problem-note";
import { useSignInAgain } from "@/components/session";
import { ended, type Problem, type Result } from "@/lib/api/problem";
import { common } from "@/messages/en/common";
import { files } from "@/messages/en/files";
import { ask, complete, look } from "../actions";
import { check, type Kind } from "./check";
import { put } from "./put";

const t = files.send;
const n = new Intl.NumberFormat("en-GB");

type Phase = "checking" | "wrong" | "ready" | "sending" | "sent" | "reading" | "queued" | "rewarded" | "reconciled" | "failed" | "lost";

interface Item {
  key: number;
  file: File;
  phase: Phase;
  percent?: number;
  /** What is wrong, in plain words. */
  why?: string;
  /** The upload's id, once there is one. */
  id?: string;
  rows?: { accepted: number; refused: number };
}

const moving: Phase[] = ["sending", "sent", "reading", "queued", "rewarded"];

/** Uploader takes files, looks at them, sends them to the store and tells what becomes of them. */
export function Uploader({ first }: { first: Kind }) {
  const [kind, setKind] = useState<Kind>(first);
  const [items, setItems] = useState<Item[]>([]);
  const [rows, setRows] = useState("");
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const next = useRef(0);
  const gone = useRef(new AbortController());
  const signInAgain = useSignInAgain();

  const change = (key: number, to: Partial<Item>) => setItems((old) => old.map((i) => (i.key === key ? { ...i, ...to } : i)));

  // What is chosen is looked at again when the kind is another.
  const inspect = async (key: number, file: File, as: Kind) => {
    const why = await check(file, as).catch(() => t.wrong.binary);
    setItems((old) => old.map((i) => (i.key === key && ["checking", "wrong", "ready"].includes(i.phase) ? { ...i, phase: why ? "wrong" : "ready", why } : i)));
  };
  const add = (list: Iterable<File>) => {
    const fresh = [...list].map((file) => ({ key: next.current++, file, phase: "checking" as Phase }));
    setItems((old) => [...old, ...fresh]);
    for (const i of fresh) void inspect(i.key, i.file, kind);
  };
  const choose = (k: Kind) => {
    setKind(k);
    for (const i of items) if (i.phase === "wrong" || i.phase === "ready") void inspect(i.key, i.file, k);
  };

  const busy = items.some((i) => i.phase === "sending");
  useEffect(() => {
    if (!busy) return undefined;
    const warn = (e: BeforeUnloadEvent) => e.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [busy]);
  useEffect(() => {
    const a = new AbortController();
    gone.current = a;
    return () => a.abort();
  }, []);

  /** through calls the portal, and has the person sign in again where the session has ended. */
  async function through<T>(call: () => Promise<Result<T>>): Promise<Result<T>> {
    for (;;) {
      let r: Result<T>;
      try {
        r = await call();
      } catch {
        r = { ok: false, problem: { status: 0, code: navigator.onLine ? "away" : "offline", fields: {} } };
      }
      if (r.ok || !ended(r.problem) || !(await signInAgain())) return r;
    }
  }

  async function send(item: Item, control: number | undefined) {
    const { key, file } = item;
    change(key, { phase: "sending", percent: 0, why: undefined });
    const asked = await through(() => ask({ kind, filename: file.name, size: file.size, control: control === undefined ? undefined : { rows: control } }));
    if (!asked.ok) return change(key, { phase: "lost", why: said(asked.problem) });
    const { id, url, headers, parts } = asked.data;
    const percent = (bytes: number) => change(key, { percent: Math.min(99, Math.floor((100 * bytes) / file.size)) });
    try {
      if (parts) {
        const done: { number: number; etag: string }[] = [];
        for (const p of parts) {
          const sent = await put(p.url, headers, file.slice(p.offset, p.offset + p.size), (bytes) => percent(p.offset + bytes), gone.current.signal);
          done.push({ number: p.number, etag: sent.etag });
        }
        const ended = await through(() => complete(id, done));
        if (!ended.ok) return change(key, { phase: "lost", why: said(ended.problem) });
      } else {
        await put(url ?? "", headers, file, percent, gone.current.signal);
      }
    } catch {
      if (!gone.current.signal.aborted) change(key, { phase: "lost", why: t.lost });
      return undefined;
    }
    change(key, { phase: "sent", percent: undefined, id });
    return follow(key, id);
  }

  /** follow tells how far a file is until it is done. */
  async function follow(key: number, id: string) {
    while (!gone.current.signal.aborted) {
      await pause(1500, gone.current.signal);
      const r = await through(() => look(id));
      if (!r.ok) {
        // The file is there, whatever the network does; the report will tell.
        if (ended(r.problem)) return;
        continue;
      }
      const { state, percent, error, hint, rows: counted, received } = r.data;
      const phase: Phase = state === "waiting" ? "sent" : state;
      change(key, { phase, percent, rows: counted, why: state === "failed" ? error : received ? undefined : hint });
      if (state === "reconciled" || state === "failed") return;
    }
  }

  const ready = items.filter((i) => i.phase === "ready");
  const counted = /^\d{1,11}$/.test(rows.trim()) ? Number(rows.trim()) : undefined;
  const start = async () => {
    const control = ready.length === 1 ? counted : undefined;
    await Promise.all(ready.map((i) => send(i, control)));
  };

  return (
    <>
      <chakra.fieldset mb="5">
        <chakra.legend fontWeight="medium" mb="2">{t.kind}</chakra.legend>
        <Box display="grid" gridTemplateColumns={{ md: "1fr 1fr" }} gap="3">
          {(["spend", "users"] as const).map((k) => (
            <chakra.label key={k} display="flex" gap="3" p="4" bg="bg.panel" borderWidth="1px" borderRadius="lg" cursor="pointer" borderColor={kind === k ? "owl.solid" : "border"} css={{ "&:has(:focus-visible)": { outline: "2px solid {colors.owl.focusRing}", outlineOffset: "2px" } }}>
              <chakra.input type="radio" name="kind" value={k} checked={kind === k} onChange={() => choose(k)} accentColor="colors.owl.solid" mt="1" outline="0" />
              <Box minW="0">
                <Box fontWeight="medium">{files.kinds[k]}</Box>
                <Box color="fg.muted" fontSize="xs" overflowWrap="anywhere">{k === "spend" ? t.spendHint : t.usersHint}</Box>
              </Box>
            </chakra.label>
          ))}
        </Box>
      </chakra.fieldset>

      <Box
        data-testid="drop" textAlign="center" borderWidth="2px" borderStyle="dashed" borderRadius="lg" px="4" py="10" mb="5" bg={over ? "bg.info" : "bg.panel"} borderColor={over ? "owl.solid" : "border.emphasized"}
        onDragOver={(e) => { e.preventDefault(); setOver(true); }}
        onDragLeave={() => setOver(false)}
        onDrop={(e) => { e.preventDefault(); setOver(false); add(e.dataTransfer.files); }}
      >
        <Box color="fg.muted" display="inline-flex" mb="2"><Icon name="upload" size={28} /></Box>
        <Box fontWeight="medium">{t.drop}</Box>
        <Box color="fg.muted" mb="3">{t.or}</Box>
        <chakra.input ref={input} type="file" multiple hidden aria-hidden tabIndex={-1} accept=".csv,.gz" onChange={(e) => { add(e.target.files ?? []); e.target.value = ""; }} />
        <Button variant="outline" onClick={() => input.current?.click()}>{t.choose}</Button>
      </Box>

      {items.length > 0 && (
        <Box as="section" aria-label={t.chosen} bg="bg.panel" borderWidth="1px" borderRadius="lg" boxShadow="sm" mb="5">
          <chakra.ul listStyleType="none" p="0" m="0">
            {items.map((i) => <Line key={i.key} item={i} remove={() => setItems((old) => old.filter((o) => o.key !== i.key))} again={() => void send(i, undefined)} />)}
          </chakra.ul>
        </Box>
      )}

      {ready.length > 0 && (
        <Box display="grid" gap="2" maxW="24rem">
          {ready.length === 1 && (
            <Field name="rows" label={t.count} hint={t.countHint}>
              {(control) => <Input {...control} required={false} inputMode="numeric" value={rows} onChange={(e) => setRows(e.target.value)} />}
            </Field>
          )}
          <Box><Button onClick={() => void start()}>{t.start(ready.length)}</Button></Box>
        </Box>
      )}
    </>
  );
}

/** Line is a file, how far it is, and what can be done. */
function Line({ item, remove, again }: { item: Item; remove: () => void; again: () => void }) {
  const { phase, percent, why, rows } = item;
  const bad = phase === "wrong" || phase === "lost" || phase === "failed";
  const text: Record<Phase, string> = {
    checking: t.checking, wrong: why ?? "", ready: t.ready, sending: t.sending(percent ?? 0), sent: t.sent, reading: t.reading(percent), queued: t.queued, rewarded: t.rewarding(percent),
    reconciled: rows ? t.done(n.format(rows.accepted), n.format(rows.refused), rows.refused === 0) : "", failed: why ?? t.failed, lost: why ?? t.lost,
  };
  return (
    <chakra.li display="flex" flexWrap="wrap" gap="3" alignItems="center" px="5" py="3.5" css={{ "&:not(:last-of-type)": { borderBottomWidth: "1px" } }}>
      <Box color={bad ? "fg.error" : phase === "reconciled" ? "fg.success" : "fg.muted"} flexShrink="0"><Icon name={bad ? "warning" : phase === "reconciled" ? "check" : "files"} /></Box>
      <Box flex="1" minW="12rem">
        <Box fontWeight="medium" overflowWrap="anywhere">{item.file.name} <chakra.span color="fg.muted" fontWeight="normal">{files.size(item.file.size)}</chakra.span></Box>
        <Box role="status" color={bad ? "fg.error" : "fg.muted"}>{text[phase]}</Box>
        {moving.includes(phase) && (
          <chakra.progress aria-label={text[phase]} max={100} value={percent} display="block" w="full" h="1.5" mt="2" accentColor="colors.owl.solid" />
        )}
      </Box>
      {item.id && <TextLink href={`/uploads/${item.id}`} aria-label={t.reportOf(item.file.name)}>{t.report}</TextLink>}
      {phase === "lost" && <Button size="sm" variant="outline" aria-label={t.again(item.file.name)} onClick={again}>{common.retry}</Button>}
      {!moving.includes(phase) && <Button variant="ghost" size="icon" aria-label={t.remove(item.file.name)} onClick={remove}><Icon name="close" size={16} /></Button>}
    </chakra.li>
  );
}

function said(p: Problem): string {
  return Object.entries(p.fields).map(([name, text]) => `${name} ${text}.`).join(" ") || words(p);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
  });
}
