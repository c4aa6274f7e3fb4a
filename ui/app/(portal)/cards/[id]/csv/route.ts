import { api, load } from "@/lib/api/client";
import { one } from "@/lib/query";

/** The history as CSV, passed on as it comes: a long one is never whole in memory. */
export async function GET(request: Request, { params }: { params: Promise<{ id: string }> }) {
  const { id } = await params;
  const q = Object.fromEntries(new URL(request.url).searchParams);
  const outcome = one(q, "outcome");
  const client = await api({ stream: true });
  const r = await load(
    client.GET("/reward/{cardId}", {
      params: { path: { cardId: id }, query: { format: "csv", from: one(q, "from"), to: one(q, "to"), merchant: one(q, "merchant"), ...(outcome ? { outcome: outcome as "rewarded" } : {}) } },
      parseAs: "stream",
    }),
  );
  if (!r.ok) {
    // Not a file: the page says what is wrong.
    const back = new URL(request.url);
    const to = r.problem.status === 401 ? `/signin?reason=ended&next=${encodeURIComponent(`/cards/${id}`)}` : `/cards/${encodeURIComponent(id)}${back.search}`;
    return new Response(null, { status: 303, headers: { Location: to } });
  }
  return new Response(r.data as unknown as ReadableStream, {
    headers: { "Content-Type": "text/csv; charset=utf-8", "Content-Disposition": `attachment; filename="rewards-${id.replaceAll(/[^0-9a-f-]/gi, "")}.csv"` },
  });
}
