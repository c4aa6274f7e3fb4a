"use client";
import { useCallback, useState } from "react";
import { useSubmit } from "@/components/use-submit";
import type { Problem, Result } from "@/lib/api/problem";
import type { Theirs } from "./conflict";

export interface Old {
  id: string;
  version: number;
}

/**
 * useVersioned is a form over something that others may change, too. Who saves a version that is not the last one is
 * shown what was saved meanwhile (`theirs`, for <Conflict>), and goes on from there.
 */
export function useVersioned<Draft extends object>({ old, initial, save, read, saved }: { old?: Old; initial: Draft; save: (old: Old | undefined, draft: Draft) => Promise<Result<string>>; read: (id: string) => Promise<Result<Theirs<Draft>>>; saved: (id: string) => void }) {
  const [draft, setDraft] = useState(initial);
  const [base, setBase] = useState(initial);
  const [version, setVersion] = useState(old);
  const [theirs, setTheirs] = useState<Theirs<Draft>>();
  const { submit, busy, problem, fail } = useSubmit(save, saved);

  const set = useCallback(<K extends keyof Draft>(name: K, value: Draft[K]) => setDraft((d) => ({ ...d, [name]: value })), []);
  async function send() {
    const r = await submit(version, draft);
    if (r.ok || r.problem.status !== 412 || !version) return r;
    const now = await read(version.id).catch((): Result<Theirs<Draft>> => ({ ok: false, problem: { status: 0, code: "away", fields: {} } }));
    if (now.ok) setTheirs(now.data);
    else fail(now.problem);
    return r;
  }
  function resolve(merged: Draft) {
    if (!theirs || !version) return;
    setDraft(merged);
    setBase(theirs.draft);
    setVersion({ ...version, version: theirs.version });
    setTheirs(undefined);
    fail(undefined);
  }
  const gone = problem?.status === 404 && version !== undefined;
  return { draft, set, setDraft, base, old: version, send, busy, problem: problem as Problem | undefined, theirs, resolve, closeConflict: () => setTheirs(undefined), gone, anew: () => { setVersion(undefined); fail(undefined); } };
}
