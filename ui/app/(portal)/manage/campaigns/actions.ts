"use server";
import type { Theirs } from "@/components/manage/conflict";
import { act } from "@/lib/api/action";
import { api, load } from "@/lib/api/client";
import type { Result } from "@/lib/api/problem";
import { bodyOf, type CampaignDraft, draftOf } from "@/lib/manage/campaign";
import { latest } from "@/lib/manage/conflict";

const tag = (version: number) => ({ "If-Match": `"${version}"` });

/** saveCampaign makes a campaign, or changes the version of one that was read. */
export async function saveCampaign(old: { id: string; version: number } | undefined, draft: CampaignDraft): Promise<Result<string>> {
  const body = bodyOf(draft);
  return old
    ? act((a) => a.PUT("/campaign/{id}", { params: { path: { id: old.id }, header: tag(old.version) }, body }), (d) => d.data.id)
    : act((a) => a.POST("/campaign", { body }), (d) => d.data.id);
}

/** readCampaign is a campaign as it is now, for who was too late to save. */
export async function readCampaign(id: string): Promise<Result<Theirs<CampaignDraft>>> {
  const r = await load((await api()).GET("/campaign/{id}", { params: { path: { id } } }));
  if (!r.ok) return r;
  const last = await latest("campaign", id);
  if (!last.ok) return last;
  return { ok: true, data: { draft: draftOf(r.data.data), version: r.data.data.version, ...last.data } };
}

/** endCampaign sets the last day of the version that was read, and nothing else. */
export async function endCampaign(id: string, version: number, day: string): Promise<Result<null>> {
  const client = await api();
  const r = await load(client.GET("/campaign/{id}", { params: { path: { id } } }));
  if (!r.ok) return r;
  return act((a) => a.PUT("/campaign/{id}", { params: { path: { id }, header: tag(version) }, body: { ...r.data.data, end_date: day } }));
}

export async function deleteCampaign(id: string, version: number): Promise<Result<null>> {
  return act((a) => a.DELETE("/campaign/{id}", { params: { path: { id }, header: tag(version) } }));
}
