"use client";
import { Box } from "@chakra-ui/react";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { deleteExclusion, readExclusion, saveExclusion } from "@/app/(portal)/manage/exclusions/actions";
import { Button, ButtonLink } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { Field, Form, Input } from "@/components/form";
import { Panel } from "@/components/page";
import { ProblemNote } from "@/components/problem-note";
import { useToast } from "@/components/toasts";
import { useReread, useSubmit } from "@/components/use-submit";
import { day } from "@/lib/format";
import type { ExclusionDraft } from "@/lib/manage/exclusion";
import { common } from "@/messages/en/common";
import { campaigns as cm } from "@/messages/en/manage-campaigns";
import { exclusions as m } from "@/messages/en/manage-rules";
import { Conflict } from "./conflict";
import { code, MccPicker } from "./mcc-picker";
import { type Old, useVersioned } from "./versioned";

/** MccField is the picker as a field of a form that stands in the address. */
export function MccField({ name, label, initial }: { name: string; label: string; initial: string }) {
  const [value, setValue] = useState(initial);
  return <Field name={name} label={label} mb="0">{(c) => <MccPicker control={{ ...c, required: false }} value={value} onChange={setValue} onPick={(found) => setValue(code(found.mcc))} />}</Field>;
}

/** ExclusionForm makes or changes an exclusion, and says in words what it is. */
export function ExclusionForm({ old, initial, home, described = "" }: { old?: Old; initial: ExclusionDraft; home: string; described?: string }) {
  const router = useRouter();
  const toast = useToast();
  const [words, setWords] = useState({ code: initial.mcc, text: described });
  const f = useVersioned<ExclusionDraft>({
    old, initial, save: saveExclusion, read: readExclusion,
    saved: (id) => { toast(old ? m.saved : m.created); if (old) router.refresh(); else router.push(`/manage/exclusions/${id}`); },
  });
  const { mcc, valid_from } = f.draft;
  const what = words.code === mcc && words.text ? `${mcc}, ${words.text}` : mcc.trim();
  return (
    <Panel overflow="visible">
      <Form problem={f.gone ? { status: 404, code: "gone", message: cm.gone, fields: {} } : f.problem} fields={["mcc", "valid_from"]} onSubmit={() => void f.send()}>
        <Field name="mcc" label={m.fields.mcc}>
          {(c) => <MccPicker control={{ ...c }} value={mcc} onChange={(text) => f.set("mcc", text)} onPick={(found) => { f.set("mcc", code(found.mcc)); setWords({ code: code(found.mcc), text: found.description }); }} />}
        </Field>
        <Field name="valid_from" label={m.fields.valid_from} hint={m.hints.valid_from}>
          {(c) => <Input {...c} type="date" value={valid_from} onChange={(e) => f.set("valid_from", e.target.value)} />}
        </Field>
        <Box bg="bg.muted" borderRadius="md" p="3" aria-live="polite">
          <Box fontWeight="medium">{what && valid_from ? m.sentence(what, day(valid_from)) : m.sentenceOpen}</Box>
          <Box color="fg.muted" mt="1">{m.fromNowOn}</Box>
        </Box>
        <Box display="flex" flexWrap="wrap" gap="2" mt="5">
          {f.gone ? <Button onClick={f.anew}>{cm.createAgain}</Button> : <Button type="submit" busy={f.busy}>{f.busy ? common.saving : f.old ? common.save : m.createSubmit}</Button>}
          <ButtonLink href="/manage/exclusions" variant="ghost">{common.cancel}</ButtonLink>
        </Box>
      </Form>
      {f.theirs && <Conflict kind="exclusion" base={f.base} yours={f.draft} theirs={f.theirs} home={home} onClose={f.closeConflict} onResolve={f.resolve} />}
    </Panel>
  );
}

export function DeleteExclusion({ id, version, name }: { id: string; version: number; name: string }) {
  const router = useRouter();
  const { reread, rereading } = useReread();
  const toast = useToast();
  const [open, setOpen] = useState(false);
  const { submit, busy, problem } = useSubmit(deleteExclusion, () => { toast(m.deleted); router.push("/manage/exclusions"); });
  return (
    <>
      <Button variant="outline" color="fg.error" onClick={() => setOpen(true)}>{m.remove}</Button>
      <ConfirmDialog open={open} onClose={() => setOpen(false)} title={m.deleteTitle(name)} confirm={m.deleteSubmit} busy={busy || rereading} onConfirm={() => void submit(id, version).then((r) => { if (!r.ok) reread(); })}>
        {problem && <ProblemNote problem={problem} mb="4" />}
        {m.deleteText}
      </ConfirmDialog>
    </>
  );
}
