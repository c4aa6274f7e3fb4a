import { api, load } from "@/lib/api/client";

/** GET finds merchant category codes for the picker. */
export async function GET(request: Request): Promise<Response> {
  const search = new URL(request.url).searchParams.get("search") ?? "";
  const r = await load((await api()).GET("/mcc", { params: { query: { search } } }));
  if (!r.ok) return Response.json(null, { status: r.problem.status || 503 });
  return Response.json(r.data.data);
}
