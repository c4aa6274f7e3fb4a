"use client";
import { Box } from "@chakra-ui/react";
import { useState } from "react";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { fieldsOf, type Kind, shown } from "@/lib/manage/changes";
import { common } from "@/messages/en/common";
import { manage } from "@/messages/en/manage";
import { Radio } from "./radio";

/** Theirs is what somebody else has saved meanwhile. */
export interface Theirs<Draft> {
  draft: Draft;
  version: number;
  who: string;
  when: string;
}

type Side = "theirs" | "yours";

/** Conflict shows who has been first, and asks of each difference which is to stay. It saves nothing. */
export function Conflict<Draft extends object>({ kind, base, yours, theirs, home, onClose, onResolve }: { kind: Kind; base: Draft; yours: Draft; theirs: Theirs<Draft>; home: string; onClose: () => void; onResolve: (merged: Draft) => void }) {
  const of = (d: Draft, name: string) => (d as Record<string, unknown>)[name];
  const differing = fieldsOf(kind).filter((f) => f.name in yours && of(theirs.draft, f.name) !== of(yours, f.name));
  // Where one alone has changed it, that change is proposed; where both have, they have to choose.
  const [chosen, setChosen] = useState<Record<string, Side | undefined>>(() => Object.fromEntries(differing.map((f) => [f.name, of(theirs.draft, f.name) === of(base, f.name) ? "yours" : of(yours, f.name) === of(base, f.name) ? "theirs" : undefined])));
  const open = differing.some((f) => !chosen[f.name]);

  function resolve() {
    const merged = { ...theirs.draft } as Record<string, unknown>;
    for (const f of differing) if (chosen[f.name] === "yours") merged[f.name] = of(yours, f.name);
    onResolve(merged as Draft);
  }
  return (
    <Dialog open onClose={onClose} title={manage.conflict.title}>
      <Box color="fg.muted" mb="5">{manage.conflict.text(theirs.who, theirs.when)}</Box>
      {differing.length === 0 && <Box mb="5">{manage.conflict.same}</Box>}
      {differing.map((f) => (
        <Radio
          key={f.name} name={f.name} legend={f.label} value={chosen[f.name]} onChange={(side) => setChosen((c) => ({ ...c, [f.name]: side as Side }))} columns={false}
          options={[
            { value: "theirs", label: shown(kind, f.name, of(theirs.draft, f.name), home), hint: of(theirs.draft, f.name) === of(base, f.name) ? manage.conflict.was : manage.conflict.theirs },
            { value: "yours", label: shown(kind, f.name, of(yours, f.name), home), hint: of(yours, f.name) === of(base, f.name) ? manage.conflict.was : manage.conflict.yours },
          ]}
        />
      ))}
      <Box display="flex" flexWrap="wrap" gap="2" justifyContent="flex-end" mt="6">
        <Button variant="outline" onClick={onClose}>{common.cancel}</Button>
        <Button disabled={open} onClick={resolve}>{manage.conflict.go}</Button>
      </Box>
    </Dialog>
  );
}
