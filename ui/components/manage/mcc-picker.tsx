"use client";
import { Box, chakra } from "@chakra-ui/react";
import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { Input } from "@/components/form";
import type { components } from "@/lib/api/schema";
import { manage } from "@/messages/en/manage";

export type Mcc = components["schemas"]["Mcc"];

const shown = 40;

export function code(mcc: number): string {
  return String(mcc).padStart(4, "0");
}

/**
 * MccPicker finds a merchant category by its code or its words. What is typed stays the value: any code will do. In a
 * dialog, which would cut the list off, it makes room for it (`inline`).
 */
export function MccPicker({ control, value, onChange, onPick, onBlur, inline, placeholder = manage.mcc.placeholder }: { control: { id: string; name?: string } & Record<string, unknown>; value: string; onChange: (text: string) => void; onPick: (mcc: Mcc) => void; onBlur?: () => void; inline?: boolean; placeholder?: string }) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const [found, setFound] = useState<Mcc[]>([]);
  const [away, setAway] = useState(false);
  const [active, setActive] = useState(-1);
  const list = useRef<HTMLUListElement>(null);

  useEffect(() => {
    if (!open) return undefined;
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const r = await fetch(`/api/manage/mcc?${new URLSearchParams({ search: value.trim().slice(0, 100) })}`, { signal: stop.signal });
        if (!r.ok) throw new Error(String(r.status));
        setFound((await r.json()) as Mcc[]);
        setAway(false);
        setActive(-1);
      } catch {
        if (!stop.signal.aborted) setAway(true);
      }
    }, 120);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [open, value]);
  useEffect(() => { list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" }); }, [active]);

  const options = found.slice(0, shown);
  function pick(m: Mcc | undefined) {
    if (!m) return;
    setOpen(false);
    onPick(m);
  }
  function keys(e: KeyboardEvent) {
    if (e.key === "Escape" && open) { e.preventDefault(); e.stopPropagation(); setOpen(false); return; }
    if (e.key === "Enter" && open && active >= 0) { e.preventDefault(); pick(options[active]); return; }
    if (e.key !== "ArrowDown" && e.key !== "ArrowUp") return;
    e.preventDefault();
    if (!open) { setOpen(true); return; }
    if (options.length > 0) setActive((a) => (e.key === "ArrowDown" ? (a + 1) % options.length : (a <= 0 ? options.length : a) - 1));
  }

  return (
    <Box position="relative" onBlur={(e) => { if (!e.currentTarget.contains(e.relatedTarget)) { setOpen(false); onBlur?.(); } }}>
      <Input
        {...control} value={value} placeholder={placeholder} autoComplete="off" spellCheck={false}
        role="combobox" aria-expanded={open} aria-controls={open ? `${id}-list` : undefined} aria-autocomplete="list" aria-activedescendant={open && active >= 0 ? `${id}-${active}` : undefined}
        onChange={(e) => { onChange(e.target.value); setOpen(true); }} onClick={() => setOpen(true)} onKeyDown={keys}
      />
      {open && (
        <Box position={inline ? "static" : "absolute"} zIndex="overlay" top="100%" left="0" right="0" mt="1" bg="bg.panel" borderWidth="1px" borderColor="border.emphasized" borderRadius="md" boxShadow="lg" overflow="hidden">
          <chakra.ul ref={list} id={`${id}-list`} role="listbox" aria-label={manage.mcc.label} listStyleType="none" m="0" p="1" maxH="64" overflowY="auto">
            {options.map((m, i) => (
              <chakra.li
                key={m.mcc} id={`${id}-${i}`} role="option" aria-selected={i === active} px="2.5" py="1.5" borderRadius="sm" cursor="pointer" display="flex" gap="3" alignItems="baseline"
                bg={i === active ? "owl.subtle" : undefined} color={i === active ? "owl.fg" : "fg"} _hover={{ bg: "bg.muted" }}
                onMouseDown={(e) => e.preventDefault()} onClick={() => pick(m)}
              >
                <Box as="span" fontVariantNumeric="tabular-nums" fontWeight="medium">{code(m.mcc)}</Box>
                <Box as="span" minW="0">{m.description}</Box>
              </chakra.li>
            ))}
            {options.length === 0 && <chakra.li role="option" aria-selected="false" aria-disabled="true" px="2.5" py="1.5" color="fg.muted">{away ? manage.mcc.away : manage.mcc.none}</chakra.li>}
          </chakra.ul>
          {found.length > shown && <Box px="3" py="1.5" borderTopWidth="1px" color="fg.muted" fontSize="xs">{manage.mcc.more(found.length - shown)}</Box>}
        </Box>
      )}
      <Box role="status" position="absolute" w="1px" h="1px" overflow="hidden" clipPath="inset(50%)">{open && found.length > 0 ? manage.mcc.found(found.length) : ""}</Box>
    </Box>
  );
}
