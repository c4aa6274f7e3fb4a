"use client";
import { Box } from "@chakra-ui/react";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { deleteCampaign, endCampaign } from "@/app/(portal)/manage/campaigns/actions";
import { Button, ButtonLink } from "@/components/button";
import { ConfirmDialog } from "@/components/dialog";
import { ProblemNote } from "@/components/problem-note";
import { useToast } from "@/components/toasts";
import { useReread, useSubmit } from "@/components/use-submit";
import { campaigns as m } from "@/messages/en/manage-campaigns";
import { Menu } from "./menu";
import { Radio } from "./radio";

/** What of a campaign its actions need; the days are those of the bank, in words and as dates. */
export interface Actable {
  id: string;
  name: string;
  version: number;
  start: string;
  /** It has a last day that can come earlier. */
  endable: boolean;
}
export interface Days {
  today: string;
  todayText: string;
  yesterday: string;
  yesterdayText: string;
}

/** CampaignActions are what can be done with a campaign: buttons on its page, a menu in the list. */
export function CampaignActions({ campaign: c, days, menu }: { campaign: Actable; days: Days; menu?: boolean }) {
  const [open, setOpen] = useState<"end" | "delete">();
  const page = `/manage/campaigns/${c.id}`;
  const copy = `/manage/campaigns/new?copy=${c.id}`;
  return (
    <>
      {menu ? (
        <Menu
          label={m.actionsFor(c.name)}
          items={[
            { label: m.edit, href: `${page}/edit` },
            { label: m.copy, href: copy },
            ...(c.endable ? [{ label: m.end, onSelect: () => setOpen("end") }] : []),
            { label: m.remove, danger: true, onSelect: () => setOpen("delete") },
          ]}
        >
          <Box as="span" aria-hidden="true" fontSize="lg" lineHeight="1">⋯</Box>
        </Menu>
      ) : (
        <>
          <ButtonLink href={`${page}/edit`}>{m.edit}</ButtonLink>
          <ButtonLink href={copy} variant="outline">{m.copy}</ButtonLink>
          {c.endable && <Button variant="outline" onClick={() => setOpen("end")}>{m.end}</Button>}
          <Button variant="outline" color="fg.error" onClick={() => setOpen("delete")}>{m.remove}</Button>
        </>
      )}
      {open === "end" && <End campaign={c} days={days} close={() => setOpen(undefined)} />}
      {open === "delete" && <Delete campaign={c} close={() => setOpen(undefined)} stay={!!menu} />}
    </>
  );
}

function End({ campaign: c, days, close }: { campaign: Actable; days: Days; close: () => void }) {
  const router = useRouter();
  const { reread, rereading } = useReread();
  const toast = useToast();
  // A campaign that begins today cannot have ended before.
  const began = c.start < days.today;
  const [day, setDay] = useState(days.today);
  const { submit, busy, problem } = useSubmit(endCampaign, () => { close(); toast(m.endedToast); router.refresh(); });
  return (
    <ConfirmDialog open onClose={close} title={m.endTitle(c.name)} confirm={m.endSubmit} busy={busy || rereading} onConfirm={() => void submit(c.id, c.version, day).then((r) => { if (!r.ok) reread(); })}>
      {problem && <ProblemNote problem={problem} mb="4" />}
      <Box mb="4">{m.endText}</Box>
      <Box color="fg">
        <Radio
          name="end" legend={m.endChoice} value={day} onChange={setDay} columns={false}
          options={[
            { value: days.today, label: m.endToday(days.todayText), hint: m.endTodayHint },
            { value: days.yesterday, label: m.endYesterday(days.yesterdayText), hint: m.endYesterdayHint, disabled: !began },
          ]}
        />
      </Box>
    </ConfirmDialog>
  );
}

function Delete({ campaign: c, close, stay }: { campaign: Actable; close: () => void; stay: boolean }) {
  const router = useRouter();
  const { reread, rereading } = useReread();
  const toast = useToast();
  const { submit, busy, problem } = useSubmit(deleteCampaign, () => {
    close();
    toast(m.deleted);
    if (stay) router.refresh();
    else router.push("/manage/campaigns");
  });
  return (
    <ConfirmDialog open onClose={close} title={m.deleteTitle(c.name)} confirm={m.deleteSubmit} busy={busy || rereading} onConfirm={() => void submit(c.id, c.version).then((r) => { if (!r.ok) reread(); })}>
      {problem && <ProblemNote problem={problem} mb="4" />}
      {m.deleteText}
    </ConfirmDialog>
  );
}
