import { Box } from "@chakra-ui/react";
import { TextLink } from "@/components/button";
import { Span } from "@/components/html";

/** Tabs are addresses of the same page, the present one marked. */
export function Tabs({ label, items }: { label: string; items: readonly { href: string; label: string; count?: string; here: boolean }[] }) {
  return (
    <Box as="nav" aria-label={label} display="flex" flexWrap="wrap" gap="1" px={{ base: "3", md: "4" }} pt="2" borderBottomWidth="1px">
      {items.map((i) => (
        <TextLink
          key={i.href} href={i.href} scroll={false} aria-current={i.here ? "page" : undefined}
          display="inline-flex" alignItems="center" gap="2" minH="10" px="2.5" color="fg.muted" fontWeight="medium" textDecoration="none" borderBottomWidth="2px" borderColor="transparent" borderRadius="0" mb="-1px"
          css={{ _hover: { color: "fg" }, "&[aria-current]": { color: "owl.fg", borderColor: "owl.solid" } }}
        >
          {i.label}
          {i.count !== undefined && <Span fontSize="xs" color="fg.muted" bg="bg.muted" borderRadius="full" px="1.5" fontVariantNumeric="tabular-nums">{i.count}</Span>}
        </TextLink>
      ))}
    </Box>
  );
}
