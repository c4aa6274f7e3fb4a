"use client";
import { Box } from "@chakra-ui/react";
import { Button, ButtonLink } from "@/components/button";
import { DateRange } from "@/components/date-range";
import { Field, Input, Select } from "@/components/form";
import { cards } from "@/messages/en/cards";

const t = cards.history;

export function HistoryFilters({ from, to, merchant, outcome, errors, clear }: { from?: string; to?: string; merchant?: string; outcome?: string; errors: Record<string, string>; clear?: string }) {
  return (
    <Box display="grid" gap="3" gridTemplateColumns={{ base: "minmax(0, 1fr)", md: "minmax(0, 2fr) minmax(0, 1.500fr) minmax(0, 1fr) auto" }} alignItems="end">
      <DateRange from={from} to={to} error={errors} />
      <Field name="merchant" label={t.merchant} mb="0" error={errors.merchant}>{(c) => <Input {...c} required={false} type="search" defaultValue={merchant} placeholder={t.merchantHint} maxLength={256} />}</Field>
      <Field name="outcome" label={t.outcome} mb="0" error={errors.outcome}>
        {(c) => <Select {...c} required={false} defaultValue={outcome ?? ""}>{Object.entries(t.outcomes).map(([value, label]) => <option key={value} value={value}>{label}</option>)}</Select>}
      </Field>
      <Box display="flex" gap="2">
        <Button type="submit" variant="outline">{t.apply}</Button>
        {clear && <ButtonLink href={clear} variant="ghost" aria-label={t.clear}>{cards.history.clearShort}</ButtonLink>}
      </Box>
    </Box>
  );
}
