"use client";
import { chakra } from "@chakra-ui/react/styled-system";
import NextLink from "next/link";
import { type KeyboardEvent, type ReactNode, useId, useRef, useState } from "react";
import { Button } from "@/components/button";

const Sheet = chakra("div");
const itemStyle = { display: "flex", alignItems: "center", gap: "2.5", w: "full", minH: "9", px: "3", borderRadius: "sm", textAlign: "start", textDecoration: "none", color: "fg", cursor: "pointer", focusVisibleRing: "inside", _hover: { bg: "bg.muted" }, _focusVisible: { bg: "bg.muted" } } as const;
const Link = chakra(NextLink, { base: itemStyle });
const Action = chakra("button", { base: itemStyle });

export interface MenuItem {
  label: string;
  href?: string;
  onSelect?: () => void;
  danger?: boolean;
}

/** Menu is a button with a list of what can be done. It is the browser's popover: Esc and a click beside it close it. */
export function Menu({ label, children, items }: { label: string; children: ReactNode; items: readonly MenuItem[] }) {
  const id = useId();
  const sheet = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);

  function place() {
    const b = button.current?.getBoundingClientRect();
    const s = sheet.current;
    if (!b || !s) return;
    s.style.top = `${Math.max(8, Math.min(b.bottom + 4, innerHeight - s.offsetHeight - 8))}px`;
    s.style.left = `${Math.max(8, Math.min(b.right - s.offsetWidth, innerWidth - s.offsetWidth - 8))}px`;
  }
  const all = () => [...(sheet.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
  function move(e: KeyboardEvent) {
    const list = all();
    const here = list.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: (here + 1) % list.length, ArrowUp: (here - 1 + list.length) % list.length, Home: 0, End: list.length - 1 }[e.key];
    if (e.key === "Tab") sheet.current?.hidePopover();
    if (to === undefined) return;
    e.preventDefault();
    list[to]?.focus();
  }

  return (
    <>
      <Button ref={button} variant="ghost" size="icon" aria-label={label} aria-haspopup="menu" aria-expanded={open} aria-controls={open ? id : undefined} popoverTarget={id}>{children}</Button>
      <Sheet
        ref={sheet} id={id} popover="auto" role="menu" aria-label={label} position="fixed" m="0" p="1" minW="44" bg="bg.panel" color="fg" borderWidth="1px" borderRadius="md" boxShadow="lg"
        onKeyDown={move}
        onToggle={(e) => {
          const opened = e.newState === "open";
          setOpen(opened);
          if (!opened) return;
          place();
          all()[0]?.focus();
        }}
      >
        {items.map((i) => i.href
          ? <Link key={i.label} role="menuitem" tabIndex={-1} href={i.href}>{i.label}</Link>
          : <Action key={i.label} type="button" role="menuitem" tabIndex={-1} color={i.danger ? "fg.error" : "fg"} onClick={() => { sheet.current?.hidePopover(); i.onSelect?.(); }}>{i.label}</Action>)}
      </Sheet>
    </>
  );
}
