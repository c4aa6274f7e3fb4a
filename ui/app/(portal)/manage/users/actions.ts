"use server";
import type { Theirs } from "@/components/manage/conflict";
import type { Old } from "@/components/manage/versioned";
import { act } from "@/lib/api/action";
import { api, load } from "@/lib/api/client";
import type { Result } from "@/lib/api/problem";
import type { components } from "@/lib/api/schema";
import { latest } from "@/lib/manage/conflict";
import { fullName, userDraft, type UserDraft } from "@/lib/manage/user";

const tag = (version: number) => ({ "If-Match": `"${version}"` });

export async function saveUser(old: Old | undefined, d: UserDraft): Promise<Result<string>> {
  const body = { ...d, Role: d.Role as NonNullable<components["schemas"]["UserInput"]["Role"]> };
  return old
    ? act((a) => a.PUT("/user/{id}", { params: { path: { id: old.id }, header: tag(old.version) }, body }), (r) => r.data.id)
    : act((a) => a.POST("/user", { body }), (r) => r.data.id);
}

/** createUser answers what did not go as it should have, too: the account may be there, and its mail not. */
export async function createUser(d: UserDraft): Promise<Result<{ id: string; warnings: string[] }>> {
  const body = { ...d, Role: d.Role as NonNullable<components["schemas"]["UserInput"]["Role"]> };
  return act((a) => a.POST("/user", { body }), (r) => ({ id: r.data.id, warnings: r.data.warnings ?? [] }));
}

export async function readUser(id: string): Promise<Result<Theirs<UserDraft>>> {
  const r = await load((await api()).GET("/user/{id}", { params: { path: { id } } }));
  if (!r.ok) return r;
  const last = await latest("user", id);
  if (!last.ok) return last;
  return { ok: true, data: { draft: userDraft(r.data.data), version: r.data.data.version, ...last.data } };
}

export async function lockUser(id: string, version: number, locked: boolean): Promise<Result<null>> {
  return act((a) => a.PUT("/user/{id}", { params: { path: { id }, header: tag(version) }, body: { locked } }));
}

export async function sendFirstPassword(id: string): Promise<Result<null>> {
  return act((a) => a.POST("/user/{id}/first-password", { params: { path: { id } } }));
}

export async function removeFactor(id: string): Promise<Result<null>> {
  return act((a) => a.DELETE("/user/{id}/totp", { params: { path: { id } } }));
}

export async function addCard(userId: string, card: { card_pan: string; card_type: string; id: string }): Promise<Result<null>> {
  return act((a) => a.POST("/card", { body: { user_id: userId, card_pan: card.card_pan, card_type: card.card_type, ...(card.id.trim() ? { id: card.id.trim() } : {}) } }));
}

export async function removeCard(id: string, version: number): Promise<Result<null>> {
  return act((a) => a.DELETE("/card/{id}", { params: { path: { id }, header: tag(version) } }));
}

/** Found is who has a card. */
export interface Found {
  id: string;
  name: string;
  email: string;
}

/** findByCard looks for a card's number, which goes in a body: addresses are kept in logs and histories. */
export async function findByCard(pan: string): Promise<Result<Found[]>> {
  return act((a) => a.POST("/user/search", { body: { card_pan: pan } }), (r) => r.data.map((u) => ({ id: u.id, name: fullName(u), email: u.email })));
}
