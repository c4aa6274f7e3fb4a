import "server-only";
import { api, load } from "@/lib/api/client";
import type { Result } from "@/lib/api/problem";
import { config } from "@/lib/config";
import { moment } from "@/lib/format";
import type { Kind } from "./changes";
import { names } from "./people";

/** latest is who changed something last, and when. */
export async function latest(kind: Exclude<Kind, "card">, id: string): Promise<Result<{ who: string; when: string }>> {
  const client = await api();
  const query = { page_size: 1, page_no: 1 };
  const r = await (kind === "campaign" ? load(client.GET("/campaign/{id}/history", { params: { path: { id }, query } }))
    : kind === "exclusion" ? load(client.GET("/exclusion/{id}/history", { params: { path: { id }, query } }))
    : kind === "user" ? load(client.GET("/user/{id}/history", { params: { path: { id }, query } }))
    : load(client.GET("/card/type/{card_type}/history", { params: { path: { card_type: id }, query } })));
  if (!r.ok) return r;
  const c = r.data.data[0];
  if (!c) return { ok: false, problem: { status: 404, code: "not_found", fields: {} } };
  const who = (await names([c.who]))[c.who] ?? c.who;
  return { ok: true, data: { who: who.charAt(0).toUpperCase() + who.slice(1), when: moment(c.when, config().timezone) } };
}
