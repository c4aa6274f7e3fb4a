import { Box } from "@chakra-ui/react";
import { redirect } from "next/navigation";
import type { ComponentProps } from "react";
import type { Problem } from "@/lib/api/problem";
import { common } from "@/messages/en/common";
import { Icon } from "./icons";
import { Notice } from "./states";

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

/** ProblemPage stands where a page's content would be. Where the session has ended it leads to the sign-in, and back to `retry`. */
export function ProblemPage({ problem, retry }: { problem: Problem; retry?: string }) {
  if (problem.status === 401) redirect(`/signin?reason=ended&next=${encodeURIComponent(retry ?? "/")}`);
  const missing = problem.status === 404;
  const forbidden = problem.status === 403;
  return (
    <Notice
      icon={problem.status === 0 || problem.code === "away" ? "cloudOff" : "warning"}
      title={missing ? common.problem.notFoundTitle : forbidden ? common.problem.forbiddenTitle : common.problem.title}
      text={missing ? common.problem.notFound : words(problem)}
      small={problem.status >= 500 && problem.requestId ? `${common.problem.requestId} ${problem.requestId}` : undefined}
      action={missing || forbidden || !retry ? { href: "/", label: common.problem.home } : { href: retry, label: common.retry }}
    />
  );
}
