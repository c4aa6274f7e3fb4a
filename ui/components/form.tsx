"use client";
import { Box, chakra } from "@chakra-ui/react";
import { type ComponentProps, createContext, type ReactNode, type Ref, type RefObject, useContext, useEffect, useId, useRef, useState } from "react";
import type { Problem } from "@/lib/api/problem";
import { common } from "@/messages/en/common";
import { input } from "@/theme/recipes";
import { ProblemNote } from "./problem-note";

const Errors = createContext<Record<string, string>>({});

/**
 * Form shows what the server said: field errors at the fields of those names (Field), the rest above the form. Errors
 * of fields that the form does not have are listed above it, too, so that none is lost. Sent before the page's scripts
 * run, it is a POST, which says nothing: with a GET a password would stand in the address.
 */
export function Form({ problem, fields, children, onSubmit, ref, ...rest }: { problem?: Problem; fields: readonly string[]; ref?: RefObject<HTMLFormElement | null> } & Omit<ComponentProps<"form">, "ref">) {
  const own = useRef<HTMLFormElement>(null);
  const form = ref ?? own;
  // Who cannot see the fields hears which is wrong: the first one gets the focus.
  useEffect(() => {
    if (problem) form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [problem, form]);
  const others = Object.entries(problem?.fields ?? {}).filter(([name]) => !fields.includes(name));
  return (
    <Errors.Provider value={problem?.fields ?? {}}>
      <form ref={form} method="post" noValidate onSubmit={(e) => { e.preventDefault(); onSubmit?.(e); }} {...rest}>
        {problem && <ProblemNote problem={problem} others={others} mb="5" />}
        {children}
      </form>
    </Errors.Provider>
  );
}

interface Control {
  id: string;
  name: string;
  "aria-invalid"?: true;
  "aria-describedby"?: string;
  required?: boolean;
}

/** Field is a label, a control, a hint and the server's error about it. */
export function Field({ name, label, hint, optional, error, children, ...rest }: { name: string; label: ReactNode; hint?: ReactNode; optional?: boolean; error?: string; children: (control: Control) => ReactNode } & Omit<ComponentProps<typeof Box>, "children">) {
  const id = useId();
  const errors = useContext(Errors);
  const wrong = error ?? errors[name];
  const described = [hint && `${id}-hint`, wrong && `${id}-error`].filter(Boolean).join(" ");
  return (
    <Box mb="4" {...rest}>
      <chakra.label htmlFor={id} display="block" fontWeight="medium" mb="1.5">
        {label}
        {optional && <chakra.span color="fg.muted" fontWeight="normal"> ({common.optional})</chakra.span>}
      </chakra.label>
      {children({ id, name, ...(wrong ? { "aria-invalid": true } : {}), ...(described ? { "aria-describedby": described } : {}), required: !optional })}
      {hint && <Box id={`${id}-hint`} color="fg.muted" fontSize="xs" mt="1.5">{hint}</Box>}
      {wrong && <Box id={`${id}-error`} color="fg.error" fontSize="sm" mt="1.5">{sentence(wrong)}</Box>}
    </Box>
  );
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

export const Input = chakra("input", input);
export const Textarea = chakra("textarea", { base: { ...input.base, py: "2", minH: "24" } });
export const Select = chakra("select", { base: { ...input.base, pr: "8" } });

type TextProps = { name: string; label: ReactNode; hint?: ReactNode; optional?: boolean; error?: string; ref?: Ref<HTMLInputElement> } & Omit<ComponentProps<typeof Input>, "children">;

/** TextField is a Field with an input. */
export function TextField({ name, label, hint, optional, error, ...rest }: TextProps) {
  return (
    <Field name={name} label={label} hint={hint} optional={optional} error={error}>
      {(control) => <Input {...control} {...rest} />}
    </Field>
  );
}

/** PasswordField can show what is typed. */
export function PasswordField({ name, label, hint, error, ...rest }: TextProps) {
  const [shown, setShown] = useState(false);
  return (
    <Field name={name} label={label} hint={hint} error={error}>
      {(control) => (
        <Box position="relative">
          <Input {...control} {...rest} type={shown ? "text" : "password"} pr="16" autoCapitalize="off" spellCheck={false} />
          <chakra.button type="button" position="absolute" right="1" top="1" bottom="1" px="2.5" fontSize="xs" fontWeight="medium" color="fg.muted" borderRadius="sm" cursor="pointer" focusVisibleRing="outside" _hover={{ color: "fg" }} aria-pressed={shown} aria-label={common.password.show} onClick={() => setShown(!shown)}>
            {shown ? common.password.hideShort : common.password.showShort}
          </chakra.button>
        </Box>
      )}
    </Field>
  );
}

/** Checkbox is a box to tick, its words beside it. */
export function Checkbox({ name, label, hint, mb = "4", ...rest }: { name: string; label: ReactNode; hint?: ReactNode; mb?: string } & Omit<ComponentProps<"input">, "type">) {
  const id = useId();
  return (
    <Box display="flex" gap="3" alignItems="flex-start" mb={mb}>
      <chakra.input type="checkbox" id={id} name={name} w="4.5" h="4.5" mt="0.5" flexShrink="0" accentColor="colors.owl.solid" focusVisibleRing="outside" {...rest} {...(hint ? { "aria-describedby": `${id}-hint` } : {})} />
      <Box>
        <chakra.label htmlFor={id} fontWeight="medium">{label}</chakra.label>
        {hint && <Box id={`${id}-hint`} color="fg.muted" fontSize="sm">{hint}</Box>}
      </Box>
    </Box>
  );
}
