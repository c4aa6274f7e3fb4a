import "server-only";
import { api, load } from "@/lib/api/client";
import { session } from "@/lib/session/session";
import { manage } from "@/messages/en/manage";

const id = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** names says who changed something. Whom the caller may not see has no name here, only the beginning of an id. */
export async function names(who: readonly string[]): Promise<Record<string, string>> {
  const own = (await session())?.userId;
  const client = await api();
  const found = await Promise.all(
    [...new Set(who)].map(async (w): Promise<[string, string]> => {
      if (w === own) return [w, manage.you];
      if (!id.test(w)) return [w, w];
      const u = await load(client.GET("/user/{id}", { params: { path: { id: w } } }));
      if (!u.ok) return [w, manage.hidden(w.slice(0, 8))];
      return [w, `${u.data.data.first_name} ${u.data.data.last_name}`.trim() || u.data.data.email];
    }),
  );
  return Object.fromEntries(found);
}
