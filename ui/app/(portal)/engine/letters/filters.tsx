"use client";
import { Box } from "@chakra-ui/react";
import { Button } from "@/components/button";
import { FilterForm } from "@/components/filter-form";
import { Field, Select } from "@/components/form";
import { engine } from "@/messages/en/engine";

const t = engine.list;

/** Filters are what the list of dead letters is narrowed by. */
export function Filters({ reasons, reason, resent }: { reasons: string[]; reason?: string; resent?: string }) {
  return (
    <FilterForm action="/engine/letters">
      <Box display="flex" flexWrap="wrap" gap="3" alignItems="flex-end" mb="4">
        <Field name="reason" label={t.filter} mb="0">
          {(control) => (
            <Select {...control} required={false} defaultValue={reason ?? ""} key={reason}>
              <option value="">{t.all}</option>
              {[...new Set([...reasons, ...(reason ? [reason] : [])])].map((r) => <option key={r}>{r}</option>)}
            </Select>
          )}
        </Field>
        <Field name="resent" label={t.which} mb="0">
          {(control) => (
            <Select {...control} required={false} defaultValue={resent ?? ""} key={resent}>
              <option value="">{t.any}</option>
              <option value="false">{t.not}</option>
              <option value="true">{t.yes}</option>
            </Select>
          )}
        </Field>
        <Button type="submit" variant="outline">{t.show}</Button>
      </Box>
    </FilterForm>
  );
}
