import { Box } from "@chakra-ui/react";
import type { ReactNode } from "react";
import { Dd, Dl, Dt } from "@/components/html";

/** Facts are names and what stands for each. */
export function Facts({ facts, narrow }: { facts: readonly (readonly [name: string, value: ReactNode])[]; narrow?: boolean }) {
  return (
    <Dl m="0" display="grid" gap="2.5">
      {facts.map(([name, value]) => (
        <Box key={name} display="grid" gridTemplateColumns={narrow ? "minmax(0, 2fr) minmax(0, 3fr)" : { base: "1fr", sm: "11rem minmax(0, 1fr)" }} gap={narrow ? "3" : { base: "0", sm: "3" }}>
          <Dt color="fg.muted">{name}</Dt>
          <Dd m="0" overflowWrap="anywhere">{value}</Dd>
        </Box>
      ))}
    </Dl>
  );
}
