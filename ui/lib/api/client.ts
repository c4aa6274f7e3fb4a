import "server-only";
import createClient, { type Client } from "openapi-fetch";
import { headers } from "next/headers";
import { config } from "../config";
import { header as addressHeader, signedAddress } from "../session/client-address";
import { session } from "../session/session";
import { quoteDecimals, toJSON } from "./decimal";
import { type Problem, problemOf, type Result } from "./problem";
import type { paths } from "./schema";

export type Api = Client<paths>;

function client(token?: string, wait = 30_000): Api {
  const c = createClient<paths>({
    baseUrl: config().api,
    cache: "no-store",
    redirect: "error",
    bodySerializer: (body) => toJSON(body),
    headers: token ? { Authorization: `Bearer ${token}` } : {},
    fetch: (request) => fetch(request, { signal: AbortSignal.timeout(wait) }),
  });
  c.use({
    async onRequest({ request }) {
      const from = signedAddress(await headers());
      if (from) request.headers.set(addressHeader, from);
      return undefined;
    },
    async onResponse({ response, options }) {
      if (options.parseAs === "stream" || !response.headers.get("Content-Type")?.includes("json")) return undefined;
      const headers = new Headers(response.headers);
      headers.delete("Content-Length");
      headers.delete("Content-Encoding");
      return new Response(quoteDecimals(await response.text()), { status: response.status, headers });
    },
  });
  return c;
}

/** anonymous is the API for whoever has not signed in. */
export function anonymous(): Api {
  return client();
}

/** api is the API for who has signed in. A download may take minutes. */
export async function api({ stream = false } = {}): Promise<Api> {
  return client((await session())?.token ?? "none", stream ? 10 * 60_000 : undefined);
}

interface Answer {
  data?: unknown;
  error?: unknown;
  response: Response;
}

/** load waits for an answer of the API. What goes wrong is a value: a page shows it, a form puts it at the fields. */
export async function load<A extends Answer>(answer: Promise<A>): Promise<Result<NonNullable<A["data"]>>> {
  let a: A;
  try {
    a = await answer;
  } catch {
    return { ok: false, problem: { status: 0, code: "away", fields: {} } satisfies Problem };
  }
  if (a.response.ok) return { ok: true, data: a.data as NonNullable<A["data"]> };
  return { ok: false, problem: problemOf(a.response, a.error) };
}
