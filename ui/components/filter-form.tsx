"use client";
import NextForm from "next/form";
import type { ReactNode } from "react";

/** FilterForm puts what is chosen into the address, without the fields that are empty. */
export function FilterForm({ action, children }: { action: string; children: ReactNode }) {
  return (
    <NextForm
      action={action} role="search" scroll={false}
      onSubmit={(e) => {
        for (const c of e.currentTarget.querySelectorAll<HTMLInputElement | HTMLSelectElement>("input[name], select[name]")) {
          if (c.value.trim() !== "" || !c.name) continue;
          const { name } = c;
          c.removeAttribute("name");
          setTimeout(() => c.setAttribute("name", name));
        }
      }}
    >
      {children}
    </NextForm>
  );
}
