"use client";
import { Box } from "@chakra-ui/react";
import { useRouter } from "next/navigation";
import { type ReactNode, useState } from "react";
import { addCard, findByCard, type Found, lockUser, removeCard, removeFactor, sendFirstPassword } from "@/app/(portal)/manage/users/actions";
import { Button, TextLink } from "@/components/button";
import { ConfirmDialog, Dialog } from "@/components/dialog";
import { Field, Form, Select, TextField } from "@/components/form";
import { Icon } from "@/components/icons";
import { ProblemNote } from "@/components/problem-note";
import { useToast } from "@/components/toasts";
import { useReread, useSubmit } from "@/components/use-submit";
import type { Problem, Result } from "@/lib/api/problem";
import { common } from "@/messages/en/common";
import { users as m } from "@/messages/en/manage-users";

/** Confirmed is a button that says what follows, then does it. */
function Confirmed({ label, ariaLabel, title, text, confirm, danger = true, done, run, small }: { label: string; ariaLabel?: string; title: string; text: string; confirm: string; danger?: boolean; done: string; run: () => Promise<Result<null>>; small?: boolean }) {
  const router = useRouter();
  const { reread, rereading } = useReread();
  const toast = useToast();
  const [open, setOpen] = useState(false);
  const { submit, busy, problem, fail } = useSubmit(run, () => { setOpen(false); toast(done); router.refresh(); });
  return (
    <>
      <Button variant={small ? "plain" : "outline"} color={small && danger ? "fg.error" : undefined} aria-label={ariaLabel} onClick={() => { fail(undefined); setOpen(true); }}>{label}</Button>
      <ConfirmDialog open={open} onClose={() => setOpen(false)} title={title} confirm={confirm} danger={danger} busy={busy || rereading} onConfirm={() => void submit().then((r) => { if (!r.ok) reread(); })}>
        {problem && <ProblemNote problem={said(problem)} mb="4" />}
        {text}
      </ConfirmDialog>
    </>
  );
}

function said(p: Problem): Problem {
  return p.status === 412 ? { ...p, message: m.changedMeanwhile } : p;
}

export function UserActions({ id, version, name, email, locked, password, factor }: { id: string; version: number; name: string; email: string; locked: boolean; password: boolean; factor: boolean }) {
  return (
    <>
      {locked
        ? <Confirmed label={m.unlock} title={m.unlockTitle(name)} text={m.unlockText} confirm={m.unlockSubmit} danger={false} done={m.unlockedToast} run={() => lockUser(id, version, false)} />
        : <Confirmed label={m.lock} title={m.lockTitle(name)} text={m.lockText} confirm={m.lockSubmit} done={m.lockedToast} run={() => lockUser(id, version, true)} />}
      {password && <Confirmed label={m.firstPassword} title={m.firstPasswordTitle} text={m.firstPasswordText(email)} confirm={m.firstPasswordSubmit} done={m.firstPasswordToast} run={() => sendFirstPassword(id)} />}
      {factor && <Confirmed label={m.totp} title={m.totpTitle} text={m.totpText} confirm={m.totpSubmit} done={m.totpToast} run={() => removeFactor(id)} />}
    </>
  );
}

export function RemoveCard({ id, version, pan }: { id: string; version: number; pan: string }) {
  const four = m.lastFour(pan);
  return <Confirmed small label={m.removeCard} ariaLabel={m.removeCardFor(four)} title={m.removeCardTitle(four)} text={m.removeCardText} confirm={m.removeCardSubmit} done={m.cardRemoved} run={() => removeCard(id, version)} />;
}

export function AddCard({ userId, types }: { userId: string; types: { card_type: string; name: string }[] }) {
  const router = useRouter();
  const toast = useToast();
  const [open, setOpen] = useState(false);
  const { submit, busy, problem, fail } = useSubmit(addCard, () => { setOpen(false); toast(m.cardAdded); router.refresh(); });
  return (
    <>
      <Button variant="outline" size="sm" onClick={() => { fail(undefined); setOpen(true); }}><Icon name="plus" size={15} />{m.addCard}</Button>
      <Dialog open={open} onClose={() => setOpen(false)} title={m.addCardTitle}>
        <Form
          problem={problem} fields={["card_pan", "card_type", "id"]}
          onSubmit={(e) => {
            const data = new FormData(e.currentTarget);
            const text = (name: string) => String(data.get(name) ?? "");
            void submit(userId, { card_pan: text("card_pan"), card_type: text("card_type"), id: text("id") });
          }}
        >
          <TextField name="card_pan" label={m.pan} hint={m.panHint} inputMode="numeric" autoComplete="off" spellCheck={false} />
          <Field name="card_type" label={m.cardType}>
            {(c) => <Select {...c} defaultValue=""><option value="">{m.chooseType}</option>{types.map((t) => <option key={t.card_type} value={t.card_type}>{t.name}</option>)}</Select>}
          </Field>
          <TextField name="id" label={m.cardId} hint={m.cardIdHint} optional autoComplete="off" spellCheck={false} />
          <Box display="flex" flexWrap="wrap" gap="2" justifyContent="flex-end" mt="5">
            <Button variant="outline" onClick={() => setOpen(false)}>{common.cancel}</Button>
            <Button type="submit" busy={busy}>{m.addCardSubmit}</Button>
          </Box>
        </Form>
      </Dialog>
    </>
  );
}

/** FindByCard asks for a card's number in a dialog, so that it never stands in an address. */
export function FindByCard() {
  const [open, setOpen] = useState(false);
  const [found, setFound] = useState<Found[]>();
  const { submit, busy, problem, fail } = useSubmit(findByCard, setFound);
  const close = () => { setOpen(false); setFound(undefined); };
  return (
    <>
      <Button variant="outline" onClick={() => { fail(undefined); setOpen(true); }}><Icon name="card" size={16} />{m.byCard}</Button>
      <Dialog open={open} onClose={close} title={m.byCardTitle}>
        <Form problem={problem} fields={["card_pan"]} onSubmit={(e) => { setFound(undefined); void submit(String(new FormData(e.currentTarget).get("card_pan") ?? "")); }}>
          <TextField name="card_pan" label={m.pan} hint={m.byCardHint} inputMode="numeric" autoComplete="off" spellCheck={false} />
          <Box role="status">{found && <FoundList found={found} />}</Box>
          <Box display="flex" flexWrap="wrap" gap="2" justifyContent="flex-end" mt="5">
            <Button variant="outline" onClick={close}>{common.cancel}</Button>
            <Button type="submit" busy={busy}>{m.byCardSubmit}</Button>
          </Box>
        </Form>
      </Dialog>
    </>
  );
}

function FoundList({ found }: { found: Found[] }): ReactNode {
  if (found.length === 0) return <Box color="fg.muted">{m.byCardNone}</Box>;
  return (
    <>
      <Box fontWeight="medium" mb="2">{m.byCardFound(found.length)}</Box>
      <Box as="ul" listStyleType="none" p="0" m="0" display="grid" gap="2">
        {found.map((u) => (
          <Box as="li" key={u.id} borderWidth="1px" borderRadius="md" p="3" overflowWrap="anywhere">
            <TextLink href={`/manage/users/${u.id}`}>{u.name}</TextLink>
            <Box color="fg.muted">{u.email}</Box>
          </Box>
        ))}
      </Box>
    </>
  );
}
