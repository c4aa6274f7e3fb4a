import { Box } from "@chakra-ui/react";
import type { ComponentProps } from "react";
import type { Problem } from "@/lib/api/problem";
import { common } from "@/messages/en/common";
import { Icon } from "./icons";

/** words is what to tell a person of a problem. */
export function words(p: Problem): string {
  if (p.code === "offline") return common.problem.offline;
  if (p.code === "away" || p.status === 0) return common.problem.away;
  if (p.retryAfter && p.status === 429) return common.problem.wait(p.retryAfter);
  if (Object.keys(p.fields).length > 0) return common.problem.fields;
  if (p.message) return p.message.charAt(0).toUpperCase() + p.message.slice(1) + (/[.!?]$/.test(p.message) ? "" : ".");
  return p.status === 403 ? common.problem.forbidden : common.problem.unexpected;
}

/** ProblemNote is a problem above a form or beside what it is about. */
export function ProblemNote({ problem, others = [], ...rest }: { problem: Problem; others?: [string, string][] } & ComponentProps<typeof Box>) {
  return (
    <Box role="alert" display="flex" gap="3" bg="bg.error" color="fg.error" borderWidth="1px" borderColor="red.border" borderRadius="md" p="3" {...rest}>
      <Icon name="warning" size={18} style={{ flexShrink: 0, marginTop: 1 }} />
      <Box minW="0">
        {words(problem)}
        {others.map(([name, text]) => <Box key={name}>{name} {text}</Box>)}
        {problem.status >= 500 && problem.requestId && <Box fontSize="xs" mt="1">{common.problem.requestId} {problem.requestId}</Box>}
      </Box>
    </Box>
  );
}
