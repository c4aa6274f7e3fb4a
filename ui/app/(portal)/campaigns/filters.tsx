"use client";
import { Box } from "@chakra-ui/react";
import { Button, ButtonLink } from "@/components/button";
import { Field, Input, Select } from "@/components/form";
import { cards } from "@/messages/en/cards";

const t = cards.campaigns;

export function CampaignFilters({ q, programme, state, programmes, clear }: { q?: string; programme?: string; state?: string; programmes: { value: string; label: string }[]; clear?: string }) {
  return (
    <Box display="grid" gap="3" gridTemplateColumns={{ base: "minmax(0, 1fr)", md: "minmax(0, 2fr) minmax(0, 2fr) minmax(0, 1fr) auto" }} alignItems="end">
      <Field name="q" label={t.search} mb="0">{(c) => <Input {...c} required={false} type="search" defaultValue={q} maxLength={256} />}</Field>
      <Field name="programme" label={t.programme} mb="0">
        {(c) => <Select {...c} required={false} defaultValue={programme ?? ""}><option value="">{t.anyProgramme}</option>{programmes.map((p) => <option key={p.value} value={p.value}>{p.label}</option>)}</Select>}
      </Field>
      <Field name="state" label={t.state} mb="0">
        {(c) => <Select {...c} required={false} defaultValue={state ?? ""}>{Object.entries(t.states).map(([value, label]) => <option key={value} value={value}>{label}</option>)}</Select>}
      </Field>
      <Box display="flex" gap="2">
        <Button type="submit" variant="outline">{t.apply}</Button>
        {clear && <ButtonLink href={clear} variant="ghost" aria-label={cards.history.clear}>{cards.history.clearShort}</ButtonLink>}
      </Box>
    </Box>
  );
}
