"use client";
import { Box } from "@chakra-ui/react";
import { useEffect, useState } from "react";
import { Icon } from "@/components/icons";
import { Spinner } from "@/components/button";
import { manage } from "@/messages/en/manage";

/** What GET /api/manage/live answers. */
export interface Liveness {
  published: boolean;
  /** Absent for who may not see it. */
  rules?: { partitions: number; live: number; worked: number; since: string };
}

/** In seconds: often at first, for it takes milliseconds; then seldom. */
const waits = [0, 1, 1, 2, 2, 4, 4, 8, 8, 15];

function complete(l: Liveness): boolean {
  return l.published && (!l.rules || (l.rules.partitions > 0 && l.rules.live === l.rules.partitions));
}

/** Live says since when an edit is in force in every partition, and looks until it is. */
export function Live({ kind, id, version, published }: { kind: "campaign" | "exclusion" | "cardType"; id: string; version: number; published: boolean }) {
  const [now, setNow] = useState<Liveness>({ published });
  const [away, setAway] = useState(false);
  const [looked, setLooked] = useState(false);
  useEffect(() => {
    let round = 0;
    let timer: ReturnType<typeof setTimeout>;
    const stop = new AbortController();
    const next = () => {
      timer = setTimeout(look, (waits[Math.min(round, waits.length - 1)] ?? 15) * 1000);
      round += 1;
    };
    const look = async () => {
      try {
        const r = await fetch(`/api/manage/live?${new URLSearchParams({ kind, id })}`, { signal: stop.signal, cache: "no-store" });
        if (!r.ok) throw new Error(String(r.status));
        const l = (await r.json()) as Liveness;
        setNow(l);
        setAway(false);
        setLooked(true);
        if (complete(l)) return;
      } catch {
        if (stop.signal.aborted) return;
        setAway(true);
        setLooked(true);
      }
      next();
    };
    next();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [kind, id, version]);

  const { rules } = now;
  const done = looked && !away && complete(now);
  const text = away ? manage.live.away
    : !now.published ? manage.live.saving
    : !rules || rules.partitions === 0 ? manage.live.published
    : rules.worked === 0 ? manage.live.nobody
    : rules.live === rules.partitions ? manage.live.all(rules.partitions, rules.since)
    : manage.live.some(rules.live, rules.partitions);
  return (
    <Box role="status" display="flex" gap="2.5" alignItems="flex-start" data-live={done ? "all" : "some"}>
      <Box color={done ? "fg.success" : "fg.muted"} display="flex" pt="1" flexShrink="0">{done ? <Icon name="check" size={16} /> : <Spinner />}</Box>
      <Box>{text}</Box>
    </Box>
  );
}
