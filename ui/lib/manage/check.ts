import type { CampaignDraft } from "./campaign";

/** What the server says of a draft: what is wrong with its fields, and what a purchase would earn by it. */
export interface Check {
  fields: Record<string, string>;
  example?: { spend: string; day: string; earns: string; remarks: string };
}

/** look has the server look at a draft. There is no answer where it cannot be reached: it looks again when it is sent. */
export async function look(id: string | undefined, draft: CampaignDraft, signal?: AbortSignal): Promise<Check | undefined> {
  try {
    const r = await fetch("/api/manage/check", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ id, draft }), signal });
    return r.ok ? ((await r.json()) as Check) : undefined;
  } catch {
    return undefined;
  }
}
