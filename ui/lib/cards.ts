import "server-only";
import { cache } from "react";
import { api, load } from "./api/client";
import type { Result } from "./api/problem";
import type { components } from "./api/schema";
import { session } from "./session/session";

export type Reward = components["schemas"]["Reward"];
export type Campaign = components["schemas"]["Campaign"];
export type CardType = components["schemas"]["CardType"];

/** OwnCard is a card of who has signed in, with what its type says. */
export interface OwnCard {
  id: string;
  lastFour: string;
  type: string;
  name: string;
  programme: string;
  unit: string;
  decimals: number;
  linked?: string;
}

type Card = components["schemas"]["Card"];

export function described(card: Card, types: CardType[]): OwnCard {
  const type = types.find((t) => t.card_type === card.card_type);
  return {
    id: card.id,
    lastFour: card.card_pan.slice(-4),
    type: card.card_type,
    name: type?.name ?? card.card_type,
    programme: type?.reward_program ?? card.card_type,
    unit: type?.reward_unit ?? "",
    decimals: type?.decimals ?? 0,
    linked: card.created_at,
  };
}

export const cardTypes = cache(async (): Promise<Result<CardType[]>> => {
  const r = await load((await api()).GET("/card/type", { params: { query: { page_size: 100 } } }));
  return r.ok ? { ok: true, data: r.data.data } : r;
});

/** kindsOfMerchants are the kinds of all merchant categories, by code. Where they cannot be had, the codes alone do. */
export const kindsOfMerchants = cache(async (): Promise<Map<number, string>> => {
  const r = await load((await api()).GET("/mcc"));
  return new Map(r.ok ? r.data.data.map((m) => [m.mcc, m.group]) : []);
});

/** ownCards are the cards of who has signed in, and the first name. */
export const ownCards = cache(async (): Promise<Result<{ name: string; cards: OwnCard[] }>> => {
  const s = await session();
  const [me, types] = await Promise.all([load((await api()).GET("/user/{id}", { params: { path: { id: s?.userId ?? "" } } })), cardTypes()]);
  if (!me.ok) return me;
  if (!types.ok) return types;
  const cards = me.data.data.CreditCards.map((c) => described(c, types.data));
  cards.sort((a, b) => a.name.localeCompare(b.name) || a.lastFour.localeCompare(b.lastFour));
  return { ok: true, data: { name: me.data.data.first_name, cards } };
});

type RewardsPage = components["schemas"]["RewardsPage"];

export interface RewardsQuery {
  from?: string;
  to?: string;
  merchant?: string;
  outcome?: "rewarded" | "no_campaign" | "excluded";
  cursor?: string;
  page_size?: number;
}

/** rewards is a page of a card's history, newest first. */
export async function rewards(cardId: string, query: RewardsQuery): Promise<Result<RewardsPage>> {
  const r = await load((await api()).GET("/reward/{cardId}", { params: { path: { cardId }, query } }));
  if (!r.ok) return r;
  if (typeof r.data === "string") throw new Error("the API sent a file where a page was asked for");
  return { ok: true, data: r.data };
}
