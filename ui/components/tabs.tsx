import { Box } from "@chakra-ui/react";
import { TabLink } from "./button";

/** Tabs are addresses of one page, of which one is open. */
export function Tabs({ label, items }: { label: string; items: { href: string; label: string; name?: string; current: boolean }[] }) {
  return (
    <Box as="nav" aria-label={label} display="flex" flexWrap="wrap" gap="1" bg="bg.muted" borderRadius="md" p="1">
      {items.map((i) => (
        <TabLink key={i.href} href={i.href} scroll={false} aria-label={i.name ? `${i.label} ${i.name}` : undefined} aria-current={i.current ? "page" : undefined}>{i.label}</TabLink>
      ))}
    </Box>
  );
}
