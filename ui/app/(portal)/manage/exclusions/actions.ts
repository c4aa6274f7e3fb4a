"use server";
import type { Old } from "@/components/manage/versioned";
import type { Theirs } from "@/components/manage/conflict";
import { act } from "@/lib/api/action";
import { api, load } from "@/lib/api/client";
import type { Result } from "@/lib/api/problem";
import { latest } from "@/lib/manage/conflict";
import { exclusionDraft, type ExclusionDraft } from "@/lib/manage/exclusion";

const tag = (version: number) => ({ "If-Match": `"${version}"` });

export async function saveExclusion(old: Old | undefined, draft: ExclusionDraft): Promise<Result<string>> {
  const mcc = draft.mcc.trim();
  // What is not a number goes as it is: the server says what is wrong with it.
  const body = { mcc: (/^\d{1,9}$/.test(mcc) ? Number(mcc) : mcc) as number, valid_from: draft.valid_from };
  return old
    ? act((a) => a.PUT("/exclusion/{id}", { params: { path: { id: old.id }, header: tag(old.version) }, body }), (d) => d.data.id)
    : act((a) => a.POST("/exclusion", { body }), (d) => d.data.id);
}

export async function readExclusion(id: string): Promise<Result<Theirs<ExclusionDraft>>> {
  const r = await load((await api()).GET("/exclusion/{id}", { params: { path: { id } } }));
  if (!r.ok) return r;
  const last = await latest("exclusion", id);
  if (!last.ok) return last;
  return { ok: true, data: { draft: exclusionDraft(r.data.data), version: r.data.data.version, ...last.data } };
}

export async function deleteExclusion(id: string, version: number): Promise<Result<null>> {
  return act((a) => a.DELETE("/exclusion/{id}", { params: { path: { id }, header: tag(version) } }));
}
