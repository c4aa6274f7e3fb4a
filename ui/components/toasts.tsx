"use client";
import { Box, chakra } from "@chakra-ui/react";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";
import { common } from "@/messages/en/common";
import { Icon } from "./icons";

export type Tone = "success" | "error" | "info";
interface Toast {
  id: number;
  tone: Tone;
  text: string;
}

const Context = createContext<(text: string, tone?: Tone) => void>(() => undefined);

/** useToast says something in passing. What a person must not miss belongs on the page, not here. */
export function useToast() {
  return useContext(Context);
}

const stay = 8000;
const tones = { success: { icon: "check", color: "fg.success" }, error: { icon: "warning", color: "fg.error" }, info: { icon: "info", color: "fg.muted" } } as const;

export function Toasts({ children }: { children: ReactNode }) {
  const [all, setAll] = useState<Toast[]>([]);
  const next = useRef(0);
  const show = useCallback((text: string, tone: Tone = "success") => {
    next.current += 1;
    const id = next.current;
    setAll((old) => [...old.slice(-2), { id, tone, text }]);
  }, []);
  const drop = useCallback((id: number) => setAll((old) => old.filter((t) => t.id !== id)), []);
  return (
    <Context.Provider value={useMemo(() => show, [show])}>
      {children}
      <Box role="status" aria-live="polite" position="fixed" bottom="4" right="4" left={{ base: "4", sm: "auto" }} zIndex="60" display="grid" gap="2" maxW={{ sm: "sm" }} data-no-print>
        {all.map((t) => (
          <One key={t.id} toast={t} drop={drop} />
        ))}
      </Box>
    </Context.Provider>
  );
}

function One({ toast, drop }: { toast: Toast; drop: (id: number) => void }) {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (held || toast.tone === "error") return undefined; // an error stays until it is closed
    const timer = setTimeout(() => drop(toast.id), stay);
    return () => clearTimeout(timer);
  }, [held, toast, drop]);
  const tone = tones[toast.tone];
  return (
    <Box
      display="flex" gap="3" alignItems="flex-start" bg="bg.panel" borderWidth="1px" borderColor="border.emphasized" borderRadius="lg" boxShadow="lg" p="3" animation="rise 160ms"
      onMouseEnter={() => setHeld(true)} onMouseLeave={() => setHeld(false)} onFocus={() => setHeld(true)} onBlur={() => setHeld(false)}
    >
      <Box color={tone.color} pt="0.5"><Icon name={tone.icon} size={18} /></Box>
      <Box flex="1" minW="0" fontSize="sm">{toast.text}</Box>
      <chakra.button type="button" aria-label={common.close} onClick={() => drop(toast.id)} color="fg.muted" borderRadius="sm" cursor="pointer" p="1" focusVisibleRing="outside"><Icon name="close" size={14} /></chakra.button>
    </Box>
  );
}
