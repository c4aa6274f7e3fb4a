"use client";
import { Box } from "@chakra-ui/react";
import { useState } from "react";
import { common } from "@/messages/en/common";
import { Field, Input } from "./form";

/**
 * DateRange is two days, both included. Either may be open. The fields keep their values themselves: what is typed
 * before the page's scripts run stays.
 */
export function DateRange({ from, to, names = { from: "from", to: "to" }, error }: { from?: string; to?: string; names?: { from: string; to: string }; error?: { from?: string; to?: string } }) {
  const [first, setFirst] = useState(from ?? "");
  const [last, setLast] = useState(to ?? "");
  const backwards = first !== "" && last !== "" && first > last;
  return (
    <Box display="grid" gridTemplateColumns="repeat(auto-fit, minmax(min(9rem, 100%), 1fr))" gap="3">
      <Field name={names.from} label={common.dates.from} mb="0" error={error?.from}>
        {(c) => <Input {...c} required={false} type="date" defaultValue={from} onChange={(e) => setFirst(e.target.value)} />}
      </Field>
      <Field name={names.to} label={common.dates.to} mb="0" error={backwards ? common.dates.backwards : error?.to}>
        {(c) => <Input {...c} required={false} type="date" defaultValue={to} onChange={(e) => setLast(e.target.value)} />}
      </Field>
    </Box>
  );
}
