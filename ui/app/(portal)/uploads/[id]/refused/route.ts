import { api, load } from "@/lib/api/client";

/** The refused rows, by a link of the store that is signed when it is asked for: one in the page might have expired. */
export async function GET(_: Request, { params }: { params: Promise<{ id: string }> }) {
  const { id } = await params;
  const r = await load((await api()).GET("/upload/{id}", { params: { path: { id } } }));
  const page = `/uploads/${encodeURIComponent(id)}`;
  const to = r.ok ? (r.data.data.refused_url ?? page) : r.problem.status === 401 ? `/signin?reason=ended&next=${encodeURIComponent(page)}` : page;
  return new Response(null, { status: 303, headers: { Location: to } });
}
