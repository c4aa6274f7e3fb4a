"use client";
import { Box, chakra } from "@chakra-ui/react";
import { type ReactNode, useEffect, useId, useRef } from "react";
import { common } from "@/messages/en/common";
import { Button } from "./button";
import { Icon } from "./icons";

/**
 * Dialog is the browser's own: it keeps the focus in, the rest of the page out, closes by Esc and gives the focus back.
 */
export function Dialog({ open, onClose, title, children, closable = true, side }: { open: boolean; onClose: () => void; title: string; children: ReactNode; closable?: boolean; side?: "start" }) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const d = ref.current;
    if (!d) return;
    if (open && !d.open) d.showModal();
    if (!open && d.open) d.close();
  }, [open]);
  return (
    <chakra.dialog
      ref={ref}
      aria-labelledby={id}
      onCancel={(e) => { if (!closable) e.preventDefault(); }}
      onClose={onClose}
      onClick={(e) => { if (closable && e.target === ref.current) onClose(); }}
      bg="bg.panel" color="fg" borderWidth="1px" boxShadow="lg" p="0"
      css={{
        "&::backdrop": { bg: "rgb(13 18 27 / 55%)" },
        ...(side ? { m: "0", h: "100dvh", maxH: "none", w: "min(20rem, 86vw)", borderRadius: "0" } : { m: "auto", w: "min(30rem, calc(100vw - 2rem))", maxH: "calc(100dvh - 2rem)", borderRadius: "xl", overflow: "auto" }),
      }}
    >
      <Box display="flex" alignItems="center" justifyContent="space-between" gap="3" px="5" pt="4" pb="2">
        <Box as="h2" id={id} fontSize="lg" fontWeight="semibold">{title}</Box>
        {closable && <Button variant="ghost" size="icon" aria-label={common.close} onClick={onClose} mr="-2"><Icon name="close" size={18} /></Button>}
      </Box>
      <Box px="5" pb="5">{open && children}</Box>
    </chakra.dialog>
  );
}

/** ConfirmDialog states what will follow before it is done. */
export function ConfirmDialog({ open, onClose, title, children, confirm, onConfirm, busy, danger = true }: { open: boolean; onClose: () => void; title: string; children: ReactNode; confirm: string; onConfirm: () => void; busy?: boolean; danger?: boolean }) {
  return (
    <Dialog open={open} onClose={onClose} title={title}>
      <Box color="fg.muted">{children}</Box>
      <Box display="flex" flexWrap="wrap" gap="2" justifyContent="flex-end" mt="6">
        <Button variant="outline" onClick={onClose}>{common.cancel}</Button>
        <Button colorPalette={danger ? "red" : "owl"} busy={busy} onClick={onConfirm}>{confirm}</Button>
      </Box>
    </Dialog>
  );
}
