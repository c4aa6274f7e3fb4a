"use client";
import { Box } from "@chakra-ui/react";
import { useRouter } from "next/navigation";
import { useEffect, useRef, useState } from "react";
import { readCampaign, saveCampaign } from "@/app/(portal)/manage/campaigns/actions";
import { Button, ButtonLink } from "@/components/button";
import { Form } from "@/components/form";
import { Icon } from "@/components/icons";
import { Panel } from "@/components/page";
import { useToast } from "@/components/toasts";
import { campaignFields, type CampaignDraft, type CardType, sentence } from "@/lib/manage/campaign";
import { carry } from "@/lib/manage/carry";
import { changes } from "@/lib/manage/changes";
import { type Check, look } from "@/lib/manage/check";
import { common } from "@/messages/en/common";
import { campaigns as m, campaignWords } from "@/messages/en/manage-campaigns";
import { CampaignFields } from "./campaign-fields";
import { Conflict } from "./conflict";
import { Differences } from "./differences";
import { Sentence } from "./sentence";
import { type Old, useVersioned } from "./versioned";

type Name = (typeof campaignFields)[number];

/** CampaignForm makes or changes a campaign. Beside it stands what the rule says, as it is typed. */
export function CampaignForm({ old, initial, types, home, back }: { old?: Old; initial: CampaignDraft; types: CardType[]; home: string; back: string }) {
  const router = useRouter();
  const toast = useToast();
  const f = useVersioned<CampaignDraft>({
    old, initial, save: saveCampaign, read: readCampaign,
    saved: (id) => { toast(old ? m.saved : m.created); router.push(`/manage/campaigns/${id}`); },
  });
  const [touched, setTouched] = useState<ReadonlySet<Name>>(new Set());
  const check = useCheck(f.draft, f.old?.id, touched.size > 0);
  const touch = (name: Name) => setTouched((t) => (t.has(name) ? t : new Set(t).add(name)));
  // Until the server has looked at it, what it said when it was sent stands.
  const wrong = (name: Name) => (check.known ? (touched.has(name) ? (check.fields[name] ?? "") : "") : undefined);

  async function send() {
    check.forget();
    setTouched(new Set(campaignFields));
    await f.send();
  }
  const parts = sentence(f.draft, types, home);
  const edited = f.old ? changes("campaign", f.base, f.draft, home) : [];
  return (
    <>
      <Form problem={f.gone ? { status: 404, code: "gone", message: m.gone, fields: {} } : f.problem} fields={campaignFields} onSubmit={() => void send()}>
        <Box display="grid" gridTemplateColumns={{ base: "1fr", lg: "minmax(0, 1fr) 20rem" }} gap="6" alignItems="start">
          <Panel mb="0">
            <CampaignFields draft={f.draft} set={f.set} types={types} home={home} wrong={wrong} touch={touch} />
            <Box display="flex" flexWrap="wrap" gap="2" mt="6">
              {f.gone ? <Button onClick={f.anew}>{m.createAgain}</Button> : <Button type="submit" busy={f.busy}>{f.busy ? (f.old ? common.saving : m.creating) : f.old ? common.save : m.createSubmit}</Button>}
              <Button variant="outline" onClick={() => { carry({ campaigns: [{ id: f.old?.id, draft: f.draft }] }); router.push("/manage/try?draft=1"); }}>{m.tryIt}</Button>
              <ButtonLink href={back} variant="ghost">{common.cancel}</ButtonLink>
            </Box>
          </Panel>
          <Box position={{ lg: "sticky" }} top={{ lg: "6" }} display="grid" gap="4" minW="0">
            <Panel title={m.whatItSays} mb="0">
              <Box aria-live="polite" fontSize="md" lineHeight="1.6"><Sentence parts={parts} /></Box>
              <Box color="fg.muted" mt="2">{f.draft.base_reward ? campaignWords.base : campaignWords.promo}</Box>
              {check.example && (
                <Box mt="4" pt="4" borderTopWidth="1px">
                  <Box fontWeight="medium" mb="1">{m.example}</Box>
                  <Box color="fg.muted">{m.exampleEarns(check.example.spend, check.example.day)} <Box as="strong" color="fg" fontWeight="semibold">{check.example.earns}</Box></Box>
                  <Box color="fg.muted" fontSize="xs" mt="1" overflowWrap="anywhere">{check.example.remarks}</Box>
                </Box>
              )}
              <Box display="flex" gap="2.5" mt="4" pt="4" borderTopWidth="1px" color="fg.muted"><Icon name="info" size={16} style={{ flexShrink: 0, marginTop: 2 }} /><Box>{m.fromNowOn}</Box></Box>
            </Panel>
            {f.old && <Panel title={m.changes} mb="0"><Differences changes={edited} none={m.noChanges} /></Panel>}
          </Box>
        </Box>
      </Form>
      {f.theirs && <Conflict kind="campaign" base={f.base} yours={f.draft} theirs={f.theirs} home={home} onClose={f.closeConflict} onResolve={f.resolve} />}
    </>
  );
}

/** useCheck asks the server what it thinks of a draft, whenever somebody has paused typing. */
function useCheck(draft: CampaignDraft, id: string | undefined, on: boolean) {
  const [answer, setAnswer] = useState<Check>();
  const asked = useRef(0);
  useEffect(() => {
    if (!on) return undefined;
    const stop = new AbortController();
    asked.current += 1;
    const mine = asked.current;
    const timer = setTimeout(async () => {
      const check = await look(id, draft, stop.signal);
      if (check && mine === asked.current) setAnswer(check);
    }, 400);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [draft, id, on]);
  return { fields: answer?.fields ?? {}, example: answer?.example, known: answer !== undefined, forget: () => { asked.current += 1; setAnswer(undefined); } };
}
