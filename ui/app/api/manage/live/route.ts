import type { Liveness } from "@/components/manage/live";
import { api, load } from "@/lib/api/client";
import { config } from "@/lib/config";
import { moment } from "@/lib/format";

/** GET says whether an edit is published, and in how many partitions the published rules are in force. */
export async function GET(request: Request): Promise<Response> {
  const q = new URL(request.url).searchParams;
  const id = q.get("id") ?? "";
  const client = await api();
  const one = async () => {
    switch (q.get("kind")) {
      case "campaign": return load(client.GET("/campaign/{id}", { params: { path: { id } } }));
      case "exclusion": return load(client.GET("/exclusion/{id}", { params: { path: { id } } }));
      case "cardType": return load(client.GET("/card/type/{card_type}", { params: { path: { card_type: id } } }));
    }
    return undefined;
  };
  const r = await one();
  if (!r) return Response.json(null, { status: 400 });
  if (!r.ok) return Response.json(null, { status: r.problem.status || 503 });
  const answer: Liveness = { published: r.data.data.published };
  // After the rule was read: what is in force by then has it. Bank staff may not see it; they are told the rest.
  const status = await load(client.GET("/ops/status"));
  if (status.ok) {
    const partitions = status.data.data.partitions;
    const forces = partitions.map((p) => p.in_force).filter((f) => f !== null);
    const since = forces.map((f) => f.since).sort().at(-1);
    answer.rules = { partitions: partitions.length, worked: forces.length, live: forces.filter((f) => f.live).length, since: since ? moment(since, config().timezone) : "" };
  } else if (status.problem.status !== 403) {
    return Response.json(null, { status: 503 });
  }
  return Response.json(answer);
}
