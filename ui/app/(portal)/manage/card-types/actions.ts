"use server";
import type { Theirs } from "@/components/manage/conflict";
import type { Old } from "@/components/manage/versioned";
import { act } from "@/lib/api/action";
import { api, load } from "@/lib/api/client";
import type { Result } from "@/lib/api/problem";
import { cardTypeDraft, type CardTypeDraft } from "@/lib/manage/card-type";
import { latest } from "@/lib/manage/conflict";

const tag = (version: number) => ({ "If-Match": `"${version}"` });

export async function saveCardType(old: Old | undefined, d: CardTypeDraft): Promise<Result<string>> {
  const body = { card_type: old?.id ?? d.card_type, name: d.name, reward_unit: d.reward_unit, reward_program: d.reward_program, ...(d.decimals ? { decimals: Number(d.decimals) } : {}) };
  return old
    ? act((a) => a.PUT("/card/type/{card_type}", { params: { path: { card_type: old.id }, header: tag(old.version) }, body }), (r) => r.data.card_type)
    : act((a) => a.POST("/card/type", { body }), (r) => r.data.card_type);
}

export async function readCardType(id: string): Promise<Result<Theirs<CardTypeDraft>>> {
  const r = await load((await api()).GET("/card/type/{card_type}", { params: { path: { card_type: id } } }));
  if (!r.ok) return r;
  const last = await latest("cardType", id);
  if (!last.ok) return last;
  return { ok: true, data: { draft: cardTypeDraft(r.data.data), version: r.data.data.version, ...last.data } };
}

export async function deleteCardType(id: string, version: number): Promise<Result<null>> {
  return act((a) => a.DELETE("/card/type/{card_type}", { params: { path: { card_type: id }, header: tag(version) } }));
}
