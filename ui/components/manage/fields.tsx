"use client";
import { Children, cloneElement, type ComponentProps, isValidElement, type ReactElement, type ReactNode } from "react";
import { Field as FormField, Input, Select } from "@/components/form";

export { Input, Select };

/** Field takes its control as a child: a server component cannot hand over a function. It is for filters. */
export function Field({ children, ...rest }: Omit<ComponentProps<typeof FormField>, "children"> & { children: ReactNode }) {
  const control = Children.only(children);
  return <FormField {...rest}>{(c) => (isValidElement(control) ? cloneElement(control as ReactElement<Record<string, unknown>>, { ...c, required: false }) : control)}</FormField>;
}
