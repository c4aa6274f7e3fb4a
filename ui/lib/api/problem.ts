import { common } from "@/messages/en/common";

/** Problem is what went wrong with a request. */
export interface Problem {
  /** HTTP's; 0 where there was no answer. */
  status: number;
  /** The API's word for programs. Of the portal's own: away (no answer), offline (the browser has no network). */
  code: string;
  /** The API's plain words, for people. */
  message?: string;
  /** What is wrong with each field. */
  fields: Record<string, string>;
  requestId?: string;
  /** Seconds to wait. */
  retryAfter?: number;
}

export type Result<T> = { ok: true; data: T } | { ok: false; problem: Problem };

/** plain says for people what the API says for programs. */
function plain(fields: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, text === "must be a JSON number" ? common.problem.number : text]));
}

export function problemOf(response: Response, error: unknown): Problem {
  const e = error !== null && typeof error === "object" ? (error as { error?: unknown; code?: unknown; fields?: unknown }) : {};
  const wait = Number(response.headers.get("Retry-After"));
  return {
    status: response.status,
    code: typeof e.code === "string" ? e.code : response.status >= 500 ? "away" : "unknown",
    message: typeof e.error === "string" ? e.error : undefined,
    fields: e.fields !== null && typeof e.fields === "object" ? plain(e.fields as Record<string, string>) : {},
    requestId: response.headers.get("X-Request-Id") ?? undefined,
    retryAfter: wait > 0 ? wait : undefined,
  };
}

/** ended says whether it is that the session has ended: to sign in again mends it. */
export function ended(p: Problem): boolean {
  return p.status === 401;
}
