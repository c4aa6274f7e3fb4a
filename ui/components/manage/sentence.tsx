import { Span } from "@/components/html";
import type { Part } from "@/lib/manage/campaign";

/** Sentence is a rule in words; what somebody chose stands out. */
export function Sentence({ parts }: { parts: readonly Part[] }) {
  return (
    <Span overflowWrap="anywhere">
      {parts.map((p, i) => (typeof p === "string" ? <Span key={i}>{p}</Span> : <Span key={i} as="strong" fontWeight="semibold">{p.b}</Span>))}
    </Span>
  );
}
