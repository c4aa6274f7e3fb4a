import { createHash } from "node:crypto";
import { config } from "../config";
import { header as addressHeader, signedAddress } from "./client-address";
import { opened, type Session } from "./session";

/** The access token is renewed when it has less than this to live, so that none expires on its way. */
const margin = 60_000;
/** For so long requests may come that still bear the cookie from before a refresh. */
const remembered = 20 * 60_000;

export type Fresh = { session: Session; changed: boolean } | { ended: true } | { away: true };

interface Refresh {
  outcome: Promise<Session | "ended">;
  at: number;
}

// A refresh token is good once, and its second use ends the session. So each is used by one request alone: those that
// come meanwhile wait for it, those that come later with the old cookie get what it got. The proxy and the pages are
// bundled apart, hence the global.
const store = globalThis as typeof globalThis & { angelowlRefreshes?: Map<string, Refresh> };

/** fresh returns a session whose access token is good for a while. headers are those of the request that needs it. */
export async function fresh(s: Session, headers: Headers, now = Date.now()): Promise<Fresh> {
  const all = (store.angelowlRefreshes ??= new Map());
  for (const [key, r] of all) {
    if (now - r.at > remembered) all.delete(key);
    else break; // they stand in the order in which they began
  }
  let changed = false;
  for (;;) {
    if (s.expires - now > margin) return { session: s, changed };
    const key = createHash("sha256").update(s.refreshToken).digest("base64");
    let r = all.get(key);
    if (!r) {
      r = { outcome: refresh(s, signedAddress(headers)), at: now };
      all.set(key, r);
      r.outcome.catch(() => all.delete(key));
    }
    let next: Session | "ended";
    try {
      next = await r.outcome;
    } catch {
      // The gateway is away. What is left of the token may do.
      return s.expires > now ? { session: s, changed } : { away: true };
    }
    if (next === "ended") return { ended: true };
    s = next;
    changed = true;
    if (s.expires - now <= margin) return { session: s, changed }; // tokens that live shorter than the margin
  }
}

async function refresh(s: Session, from: string | undefined): Promise<Session | "ended"> {
  const res = await fetch(config().api + "/auth/refresh", {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(from ? { [addressHeader]: from } : {}) },
    body: JSON.stringify({ refresh_token: s.refreshToken }),
    cache: "no-store",
    signal: AbortSignal.timeout(15_000),
  });
  if (res.status === 401 || res.status === 400) return "ended";
  if (!res.ok) throw new Error(`refreshing a session: ${res.status}`);
  const { data } = (await res.json()) as { data: Parameters<typeof opened>[0] };
  return opened(data, s.email);
}
