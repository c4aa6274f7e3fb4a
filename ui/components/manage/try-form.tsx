"use client";
import { Box } from "@chakra-ui/react";
import { useEffect, useRef, useState } from "react";
import { campaignDraft, type CampaignTried, type ExclusionTried, type TryDraft, tryTransaction } from "@/app/(portal)/manage/try/actions";
import { Badge, Button, TextLink } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Field, Form, Input, Select, TextField } from "@/components/form";
import { Icon } from "@/components/icons";
import { Panel } from "@/components/page";
import { useSubmit } from "@/components/use-submit";
import type { Problem } from "@/lib/api/problem";
import { day } from "@/lib/format";
import { type CampaignDraft, campaignFields, type CardType, emptyCampaign, plainSentence, sentence } from "@/lib/manage/campaign";
import { carried } from "@/lib/manage/carry";
import { look } from "@/lib/manage/check";
import type { Explained } from "@/lib/manage/explain";
import { common } from "@/messages/en/common";
import { exclusions as em } from "@/messages/en/manage-rules";
import { tryOut as m } from "@/messages/en/manage-try";
import { CampaignFields } from "./campaign-fields";
import { code, MccPicker } from "./mcc-picker";

const fields = ["card_type", "amount", "currency", "transaction_date", "merchant", "mcc", "sgd_amount"] as const;
const palettes: Record<string, string> = { rewarded: "green", no_campaign: "gray", excluded: "orange" };

/** TryForm is a transaction, drafts of rules, and what would come of them. */
export function TryForm({ types, campaigns, home, today, initial }: { types: CardType[]; campaigns: { id: string; name: string }[]; home: string; today: string; initial: TryDraft }) {
  const [t, setT] = useState(initial);
  const [drafts, setDrafts] = useState<CampaignTried[]>([]);
  const [excluded, setExcluded] = useState<ExclusionTried[]>([]);
  const [result, setResult] = useState<{ of: string; data: Explained }>();
  const [dialog, setDialog] = useState<{ kind: "campaign"; tried?: CampaignTried } | { kind: "exclusion" }>();
  const panel = useRef<HTMLDivElement>(null);
  const { submit, busy, problem } = useSubmit(tryTransaction);
  const set = (name: keyof TryDraft, value: string) => setT((old) => ({ ...old, [name]: value }));
  const now = JSON.stringify([t, drafts, excluded]);

  // A draft that somebody was typing elsewhere is in the tab's storage, which the server does not have.
  useEffect(() => {
    const c = carried()?.campaigns[0];
    if (!c) return;
    // eslint-disable-next-line react-hooks/set-state-in-effect -- see above
    setDrafts([{ id: c.id ?? crypto.randomUUID(), draft: c.draft }]);
    setT((old) => ({ ...old, card_type: c.draft.reward_program, transaction_date: c.draft.start_date || old.transaction_date, merchant: c.draft.merchant, mcc: c.draft.mcc === "0" ? old.mcc : (/\d+/.exec(c.draft.mcc)?.[0] ?? "") }));
  }, []);

  async function send() {
    const r = await submit(t, drafts, excluded);
    if (!r.ok) return;
    setResult({ of: now, data: r.data });
    requestAnimationFrame(() => panel.current?.scrollIntoView({ block: "nearest", behavior: "smooth" }));
  }
  const foreign = t.currency.trim().toUpperCase() !== home;
  return (
    <>
      <Box display="grid" gridTemplateColumns={{ base: "1fr", lg: "minmax(0, 1fr) minmax(0, 1fr)" }} gap="6" alignItems="start">
        <Box minW="0">
          <Form problem={problem} fields={fields} onSubmit={() => void send()}>
            <Panel title={m.transaction}>
              <Field name="card_type" label={m.fields.card_type}>
                {(c) => (
                  <Select {...c} value={t.card_type} onChange={(e) => set("card_type", e.target.value)}>
                    <option value="">{m.chooseCard}</option>
                    {types.map((type) => <option key={type.card_type} value={type.card_type}>{type.name}</option>)}
                  </Select>
                )}
              </Field>
              <Box display="grid" gridTemplateColumns="minmax(0, 2fr) minmax(0, 1fr)" columnGap="3">
                <TextField name="amount" label={m.fields.amount} hint={m.hints.amount} inputMode="text" autoComplete="off" value={t.amount} onChange={(e) => set("amount", e.target.value)} />
                <TextField name="currency" label={m.fields.currency} maxLength={3} autoComplete="off" autoCapitalize="characters" spellCheck={false} value={t.currency} onChange={(e) => set("currency", e.target.value)} />
              </Box>
              {foreign && <TextField name="sgd_amount" label={m.fields.sgd_amount} hint={m.hints.sgd(home)} optional autoComplete="off" value={t.sgd_amount} onChange={(e) => set("sgd_amount", e.target.value)} />}
              <Field name="transaction_date" label={m.fields.transaction_date}>{(c) => <Input {...c} type="date" value={t.transaction_date} onChange={(e) => set("transaction_date", e.target.value)} />}</Field>
              <TextField name="merchant" label={m.fields.merchant} optional autoComplete="off" value={t.merchant} onChange={(e) => set("merchant", e.target.value)} />
              <Field name="mcc" label={m.fields.mcc} hint={m.hints.mcc}>
                {(c) => <MccPicker control={{ ...c }} value={t.mcc} onChange={(v) => set("mcc", v)} onPick={(found) => set("mcc", code(found.mcc))} />}
              </Field>
              <Button type="submit" busy={busy} mt="2">{busy ? m.busy : m.submit}</Button>
            </Panel>
          </Form>
          <Panel title={m.drafts} text={m.draftsText}>
            {drafts.length + excluded.length > 0 && (
              <Box as="ul" listStyleType="none" p="0" m="0" mb="4" display="grid" gap="3">
                {drafts.map((d) => (
                  <Draft key={d.id} name={d.draft.name || m.draftName} text={plainSentence(sentence(d.draft, types, home))} onEdit={() => setDialog({ kind: "campaign", tried: d })} onRemove={() => setDrafts((all) => all.filter((o) => o.id !== d.id))} />
                ))}
                {excluded.map((e) => (
                  <Draft key={e.id} name={m.exclusionOf(e.mcc, e.valid_from ? day(e.valid_from) : "…")} onRemove={() => setExcluded((all) => all.filter((o) => o.id !== e.id))} />
                ))}
              </Box>
            )}
            <Box display="flex" flexWrap="wrap" gap="2">
              <Button variant="outline" size="sm" onClick={() => setDialog({ kind: "campaign" })}><Icon name="plus" size={15} />{m.addCampaign}</Button>
              <Button variant="outline" size="sm" onClick={() => setDialog({ kind: "exclusion" })}><Icon name="plus" size={15} />{m.addExclusion}</Button>
            </Box>
          </Panel>
        </Box>
        <Box ref={panel} minW="0" position={{ lg: "sticky" }} top={{ lg: "6" }}>
          <Panel title={m.result}>
            <Box role="status">
              {result ? <Result r={result.data} drafts={drafts} stale={result.of !== now} /> : <Box color="fg.muted">{m.resultEmpty}</Box>}
            </Box>
          </Panel>
        </Box>
      </Box>
      {dialog?.kind === "campaign" && (
        <CampaignDialog
          tried={dialog.tried} campaigns={campaigns} types={types} home={home} first={t} onClose={() => setDialog(undefined)}
          onKeep={(d) => { setDrafts((all) => (all.some((o) => o.id === d.id) ? all.map((o) => (o.id === d.id ? d : o)) : [...all, d])); setDialog(undefined); }}
        />
      )}
      {dialog?.kind === "exclusion" && <ExclusionDialog first={t} today={today} onClose={() => setDialog(undefined)} onKeep={(e) => { setExcluded((all) => [...all, e]); setDialog(undefined); }} />}
    </>
  );
}

function Draft({ name, text, onEdit, onRemove }: { name: string; text?: string; onEdit?: () => void; onRemove: () => void }) {
  return (
    <Box as="li" borderWidth="1px" borderRadius="md" p="3">
      <Box display="flex" flexWrap="wrap" gap="2" alignItems="center" justifyContent="space-between">
        <Box fontWeight="medium" minW="0" overflowWrap="anywhere">{name}</Box>
        <Box display="flex" gap="3">
          {onEdit && <Button variant="plain" aria-label={m.editDraftFor(name)} onClick={onEdit}>{m.editDraft}</Button>}
          <Button variant="plain" aria-label={m.removeDraftFor(name)} onClick={onRemove}>{m.removeDraft}</Button>
        </Box>
      </Box>
      {text && <Box color="fg.muted" mt="1" overflowWrap="anywhere">{text}</Box>}
    </Box>
  );
}

function Result({ r, drafts, stale }: { r: Explained; drafts: CampaignTried[]; stale: boolean }) {
  return (
    <Box opacity={stale ? 0.75 : undefined}>
      {stale && <Box bg="bg.warning" color="fg.warning" borderRadius="md" p="2.5" mb="4">{m.stale}</Box>}
      <Box display="flex" flexWrap="wrap" gap="3" alignItems="center" mb="1">
        <Box fontSize="3xl" fontWeight="semibold" letterSpacing="-0.02em" lineHeight="1.2" fontVariantNumeric="tabular-nums">{r.earns}</Box>
        <Badge colorPalette={palettes[r.outcome] ?? "gray"}>{m.outcomes[r.outcome] ?? r.outcome}</Badge>
      </Box>
      <Box color="fg.muted" overflowWrap="anywhere" mb="5">{r.remarks}</Box>
      <Box as="h3" fontWeight="semibold" mb="2">{m.why}</Box>
      <Box as="ol" listStyleType="none" p="0" m="0" display="grid" gap="3">
        {r.exclusion && <Step name={m.exclusion}>{r.exclusion.id ? <TextLink href={`/manage/exclusions/${r.exclusion.id}`}>{r.exclusion.why}</TextLink> : r.exclusion.why}</Step>}
        {r.converted && <Step name={m.conversion}><b>{r.converted.amount}</b><Box color="fg.muted">{r.converted.how}</Box></Step>}
        {!r.exclusion && <Step name={m.base}><Applied a={r.base} drafts={drafts} /></Step>}
        {!r.exclusion && <Step name={m.promo}><Applied a={r.promo} drafts={drafts} /></Step>}
        {!r.exclusion && <Step name={m.total}><b>{r.earns}</b></Step>}
      </Box>
      <Box color="fg.muted" fontSize="xs" mt="5" overflowWrap="anywhere">{m.ruleSet} <Box as="code" fontFamily="mono">{r.ruleSet.slice(0, 12)}</Box></Box>
    </Box>
  );
}

function Step({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <Box as="li" borderLeftWidth="2px" borderColor="owl.border" pl="3" minW="0" overflowWrap="anywhere">
      <Box color="fg.muted" fontSize="xs">{name}</Box>
      {children}
    </Box>
  );
}

function Applied({ a, drafts }: { a: Explained["base"]; drafts: CampaignTried[] }) {
  if (!a) return <Box color="fg.muted">{m.none}</Box>;
  const draft = drafts.some((d) => d.id === a.id);
  return (
    <>
      {draft ? <b>{a.name}</b> : <TextLink href={`/manage/campaigns/${a.id}`}>{a.name}</TextLink>}
      {draft && <> <Badge colorPalette="orange">{m.isDraft}</Badge></>}
      <Box fontVariantNumeric="tabular-nums">{a.how}</Box>
    </>
  );
}

function CampaignDialog({ tried, campaigns, types, home, first, onClose, onKeep }: { tried?: CampaignTried; campaigns: { id: string; name: string }[]; types: CardType[]; home: string; first: TryDraft; onClose: () => void; onKeep: (d: CampaignTried) => void }) {
  const [id, setId] = useState(() => tried?.id ?? crypto.randomUUID());
  const [draft, setDraft] = useState<CampaignDraft>(tried?.draft ?? { ...emptyCampaign, reward_program: first.card_type, start_date: first.transaction_date, end_date: first.transaction_date });
  const [wrong, setWrong] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const begin = useSubmit(campaignDraft);
  async function choose(from: string) {
    if (!from) { setId(crypto.randomUUID()); setDraft(emptyCampaign); return; }
    const r = await begin.submit(from);
    if (r.ok) { setId(from); setDraft(r.data); }
  }
  // A draft that is wrong could not be tried: the server looks at it before it is kept.
  async function keep() {
    setBusy(true);
    const check = await look(id, draft);
    setBusy(false);
    if (check && Object.keys(check.fields).length > 0) setWrong({ status: 400, code: "invalid", fields: check.fields });
    else onKeep({ id, draft });
  }
  return (
    <Dialog open onClose={onClose} title={m.draftTitle}>
      <Form problem={wrong ?? begin.problem} fields={campaignFields} onSubmit={() => void keep()}>
        {!tried && (
          <Field name="from" label={m.startFrom}>
            {(c) => (
              <Select {...c} required={false} onChange={(e) => void choose(e.target.value)}>
                <option value="">{m.startEmpty}</option>
                {campaigns.map((one) => <option key={one.id} value={one.id}>{one.name}</option>)}
              </Select>
            )}
          </Field>
        )}
        <CampaignFields draft={draft} set={(name, value) => setDraft((d) => ({ ...d, [name]: value }))} types={types} home={home} inline />
        <Box bg="bg.muted" borderRadius="md" p="3" aria-live="polite">{plainSentence(sentence(draft, types, home))}</Box>
        <Box display="flex" flexWrap="wrap" gap="2" justifyContent="flex-end" mt="5">
          <Button variant="outline" onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" busy={busy}>{m.keepDraft}</Button>
        </Box>
      </Form>
    </Dialog>
  );
}

function ExclusionDialog({ first, today, onClose, onKeep }: { first: TryDraft; today: string; onClose: () => void; onKeep: (e: ExclusionTried) => void }) {
  const [mcc, setMcc] = useState(first.mcc);
  const [from, setFrom] = useState(first.transaction_date || today);
  return (
    <Dialog open onClose={onClose} title={m.exclusionTitle}>
      <Form fields={["mcc", "valid_from"]} onSubmit={() => onKeep({ id: crypto.randomUUID(), mcc: mcc.trim(), valid_from: from })}>
        <Field name="mcc" label={em.fields.mcc}>{(c) => <MccPicker inline control={{ ...c }} value={mcc} onChange={setMcc} onPick={(found) => setMcc(code(found.mcc))} />}</Field>
        <Field name="valid_from" label={em.fields.valid_from} hint={em.hints.valid_from}>{(c) => <Input {...c} type="date" value={from} onChange={(e) => setFrom(e.target.value)} />}</Field>
        <Box display="flex" flexWrap="wrap" gap="2" justifyContent="flex-end" mt="5">
          <Button variant="outline" onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" disabled={!mcc.trim() || !from}>{m.keepDraft}</Button>
        </Box>
      </Form>
    </Dialog>
  );
}
