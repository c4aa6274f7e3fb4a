"use server";
import { act } from "@/lib/api/action";
import type { components } from "@/lib/api/schema";

/** resend mends a dead letter and sends it again. */
export async function resend(letter: string, set: components["schemas"]["ResendSet"], again: boolean) {
  return act((api) => api.POST("/ops/deadletters/{letter}/resend", { params: { path: { letter } }, body: { set, again } }), (r) => r.data.to);
}
