"use client";
import { useState } from "react";
import { Field, Input, Select } from "@/components/form";

/** useShown is what is shown of what stands in the address: what is typed, until the address changes. */
function useShown(value: string) {
  const [shown, setShown] = useState(value);
  const [was, setWas] = useState(value);
  if (was !== value) {
    setWas(value);
    setShown(value);
  }
  return [shown, setShown] as const;
}

/** SearchFilter and ChoiceFilter are fields of a form that stands in the address. */
export function SearchFilter({ name, label, value }: { name: string; label: string; value: string }) {
  const [shown, setShown] = useShown(value);
  return <Field name={name} label={label} mb="0">{(c) => <Input {...c} required={false} type="search" value={shown} maxLength={256} onChange={(e) => setShown(e.target.value)} />}</Field>;
}

export function ChoiceFilter({ name, label, value, options }: { name: string; label: string; value: string; options: readonly (readonly [value: string, label: string])[] }) {
  const [shown, setShown] = useShown(value);
  return (
    <Field name={name} label={label} mb="0">
      {(c) => <Select {...c} required={false} value={shown} onChange={(e) => setShown(e.target.value)}>{options.map(([v, text]) => <option key={v} value={v}>{text}</option>)}</Select>}
    </Field>
  );
}
