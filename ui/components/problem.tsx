import { redirect } from "next/navigation";
import type { Problem } from "@/lib/api/problem";
import { common } from "@/messages/en/common";
import { words } from "./problem-note";
import { Notice } from "./states";

/** ProblemPage stands where a page's content would be. Where the session has ended it leads to the sign-in, and back to `retry`. */
export function ProblemPage({ problem, retry }: { problem: Problem; retry?: string }) {
  if (problem.status === 401) redirect(`/signin?reason=ended&next=${encodeURIComponent(retry ?? "/")}`);
  const missing = problem.status === 404;
  const forbidden = problem.status === 403;
  return (
    <Notice
      level={1}
      icon={problem.status === 0 || problem.code === "away" ? "cloudOff" : "warning"}
      title={missing ? common.problem.notFoundTitle : forbidden ? common.problem.forbiddenTitle : common.problem.title}
      text={missing ? common.problem.notFound : words(problem)}
      small={problem.status >= 500 && problem.requestId ? `${common.problem.requestId} ${problem.requestId}` : undefined}
      action={missing || forbidden || !retry ? { href: "/", label: common.problem.home } : { href: retry, label: common.retry }}
    />
  );
}
