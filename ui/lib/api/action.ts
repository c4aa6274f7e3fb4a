import "server-only";
import { type Api, api, load } from "./client";
import type { Result } from "./problem";

/**
 * act is the body of a server action that changes something: it calls the API for who has signed in. The browser sees
 * what it returns, so return what the page shows and no more. What goes wrong is a value (use-submit.ts shows it).
 *
 *   "use server";
 *   export async function rename(name: string) {
 *     return act((api) => api.PUT("/user/{id}", { … }), (user) => user.data.version);
 *   }
 */
export async function act<A extends { data?: unknown; error?: unknown; response: Response }, T = null>(
  call: (api: Api) => Promise<A>,
  pick?: (data: NonNullable<A["data"]>) => T,
): Promise<Result<T>> {
  const result = await load(call(await api()));
  if (!result.ok) return result;
  return { ok: true, data: (pick ? pick(result.data) : null) as T };
}
