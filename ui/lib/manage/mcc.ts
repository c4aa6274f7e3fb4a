import "server-only";
import { api, load } from "@/lib/api/client";

/** descriptions are those of all merchant category codes. Where they cannot be had, the codes alone do. */
export async function descriptions(search = ""): Promise<Map<number, string>> {
  const r = await load((await api()).GET("/mcc", { params: { query: { search } } }));
  return new Map(r.ok ? r.data.data.map((m) => [m.mcc, m.description]) : []);
}
