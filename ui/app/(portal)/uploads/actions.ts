"use server";
import { act } from "@/lib/api/action";
import type { components } from "@/lib/api/schema";

type New = components["schemas"]["UploadInput"];

/** ask asks for an upload: where the browser sends the file, straight to the store. */
export async function ask(input: New) {
  return act(
    (api) => api.POST("/upload", { body: { kind: input.kind, filename: input.filename, size: input.size, control: input.control } }),
    (r) => ({ id: r.data.id, url: r.data.url, headers: r.data.headers, parts: r.data.parts?.map((p) => ({ number: p.number, offset: p.offset, size: p.size, url: p.url })) }),
  );
}

/** complete ends an upload that was sent in parts. */
export async function complete(id: string, parts: { number: number; etag: string }[]) {
  return act((api) => api.POST("/upload/{id}/complete", { params: { path: { id } }, body: { parts } }));
}

/** look says how far an upload is. */
export async function look(id: string) {
  return act(
    (api) => api.GET("/upload/{id}", { params: { path: { id } } }),
    (r) => ({ state: r.data.state, percent: r.data.percent, error: r.data.error, hint: r.data.hint, received: r.data.received, rows: { accepted: r.data.rows.accepted, refused: r.data.rows.refused } }),
  );
}
