import { Box } from "@chakra-ui/react";
import { Dd, Dl, Dt, Span } from "@/components/html";
import type { Change } from "@/lib/manage/changes";
import { manage } from "@/messages/en/manage";

/** Differences shows what was and what is, field by field. */
export function Differences({ changes, none = manage.noDifference }: { changes: readonly Change[]; none?: string }) {
  if (changes.length === 0) return <Box color="fg.muted">{none}</Box>;
  return (
    <Dl m="0" display="grid" gap="1.5">
      {changes.map((c) => (
        <Box key={c.name} display="grid" gridTemplateColumns={{ base: "1fr", sm: "10rem minmax(0, 1fr)" }} gap={{ base: "0", sm: "3" }}>
          <Dt color="fg.muted">{c.label}</Dt>
          <Dd m="0" overflowWrap="anywhere">
            {c.before !== undefined && <Span as="del" color="fg.error" bg="bg.error" px="1" borderRadius="sm" textDecorationThickness="1px">{c.before}</Span>}
            {c.before !== undefined && c.after !== undefined && <Span color="fg.muted" aria-hidden="true"> → </Span>}
            {c.after !== undefined && <Span as="ins" color="fg.success" bg="bg.success" px="1" borderRadius="sm" textDecoration="none">{c.after}</Span>}
          </Dd>
        </Box>
      ))}
    </Dl>
  );
}
