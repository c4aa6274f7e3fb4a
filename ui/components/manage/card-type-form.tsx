"use client";
import { Box } from "@chakra-ui/react";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { deleteCardType, readCardType, saveCardType } from "@/app/(portal)/manage/card-types/actions";
import { Button, ButtonLink } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { Field, Form, Select, TextField } from "@/components/form";
import { Panel } from "@/components/page";
import { ProblemNote } from "@/components/problem-note";
import { useToast } from "@/components/toasts";
import { useReread, useSubmit } from "@/components/use-submit";
import { units } from "@/lib/format";
import { cardTypeFields, type CardTypeDraft } from "@/lib/manage/card-type";
import { common } from "@/messages/en/common";
import { campaigns as cm } from "@/messages/en/manage-campaigns";
import { cardTypes as m } from "@/messages/en/manage-rules";
import { Conflict } from "./conflict";
import { type Old, useVersioned } from "./versioned";

export function CardTypeForm({ old, initial, home }: { old?: Old; initial: CardTypeDraft; home: string }) {
  const router = useRouter();
  const toast = useToast();
  const f = useVersioned<CardTypeDraft>({
    old, initial, save: saveCardType, read: readCardType,
    saved: (id) => { toast(old ? m.saved : m.created); if (old) router.refresh(); else router.push(`/manage/card-types/${encodeURIComponent(id)}`); },
  });
  const d = f.draft;
  const unit = d.reward_unit.trim();
  const decimals = d.decimals ? Number(d.decimals) : /^(points|miles)$/i.test(unit) ? 0 : 2;
  const text = (name: "card_type" | "name" | "reward_unit" | "reward_program") => ({ name, label: m.fields[name], hint: m.hints[name], value: d[name], onChange: (e: { target: { value: string } }) => f.set(name, e.target.value), autoComplete: "off" });
  return (
    <Panel>
      <Form problem={f.gone ? { status: 404, code: "gone", message: cm.gone, fields: {} } : f.problem} fields={cardTypeFields} onSubmit={() => void f.send()}>
        <TextField {...text("card_type")} readOnly={f.old !== undefined} spellCheck={false} />
        <TextField {...text("name")} />
        <TextField {...text("reward_program")} />
        <Box display="grid" gridTemplateColumns="repeat(auto-fit, minmax(min(10rem, 100%), 1fr))" columnGap="3">
          <TextField {...text("reward_unit")} />
          <Field name="decimals" label={m.fields.decimals} hint={m.hints.decimals}>
            {(c) => (
              <Select {...c} required={false} value={d.decimals} onChange={(e) => f.set("decimals", e.target.value)}>
                {!f.old && <option value="">{m.byUnit}</option>}
                {["0", "1", "2", "3", "4"].map((n) => <option key={n} value={n}>{n}</option>)}
              </Select>
            )}
          </Field>
        </Box>
        <Box bg="bg.muted" borderRadius="md" p="3" aria-live="polite">
          <Box color="fg.muted">{m.example} <b>{units("1234", decimals)} {unit}</b></Box>
          <Box color="fg.muted" mt="1">{m.fromNowOn}</Box>
        </Box>
        <Box display="flex" flexWrap="wrap" gap="2" mt="5">
          {f.gone ? <Button onClick={f.anew}>{cm.createAgain}</Button> : <Button type="submit" busy={f.busy}>{f.busy ? common.saving : f.old ? common.save : m.createSubmit}</Button>}
          <ButtonLink href="/manage/card-types" variant="ghost">{common.cancel}</ButtonLink>
        </Box>
      </Form>
      {f.theirs && <Conflict kind="cardType" base={f.base} yours={f.draft} theirs={f.theirs} home={home} onClose={f.closeConflict} onResolve={f.resolve} />}
    </Panel>
  );
}

export function DeleteCardType({ id, version, name }: { id: string; version: number; name: string }) {
  const router = useRouter();
  const { reread, rereading } = useReread();
  const toast = useToast();
  const [open, setOpen] = useState(false);
  const { submit, busy, problem } = useSubmit(deleteCardType, () => { toast(m.deleted); router.push("/manage/card-types"); });
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
