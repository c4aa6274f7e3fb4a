"use client";
import { Box } from "@chakra-ui/react";
import type { ReactNode } from "react";
import { FilterForm } from "@/components/filter-form";

/** Filters is a form that stands in the address. A choice takes effect at once, a text when it is sent. */
export function Filters({ action, keep, children }: { action: string; keep?: Record<string, string | undefined>; children: ReactNode }) {
  return (
    <FilterForm action={action}>
      {Object.entries(keep ?? {}).map(([name, value]) => value && <input key={name} type="hidden" name={name} value={value} />)}
      <Box
        display="grid" gridTemplateColumns="repeat(auto-fit, minmax(min(11rem, 100%), 1fr))" gap="3" alignItems="end" px={{ base: "4", md: "5" }} py="4"
        onChange={(e) => { if (e.target instanceof HTMLSelectElement) e.target.form?.requestSubmit(); }}
      >
        {children}
      </Box>
    </FilterForm>
  );
}
