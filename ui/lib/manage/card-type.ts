/** CardTypeDraft is a card type as it stands in a form. Without decimals the unit decides. */
export interface CardTypeDraft {
  card_type: string;
  name: string;
  reward_unit: string;
  reward_program: string;
  decimals: string;
}

export const cardTypeFields = ["card_type", "name", "reward_program", "reward_unit", "decimals"] as const satisfies readonly (keyof CardTypeDraft)[];

export const emptyCardType: CardTypeDraft = { card_type: "", name: "", reward_unit: "points", reward_program: "", decimals: "" };

export function cardTypeDraft(t: { card_type: string; name: string; reward_unit: string; reward_program: string; decimals: number }): CardTypeDraft {
  return { card_type: t.card_type, name: t.name, reward_unit: t.reward_unit, reward_program: t.reward_program, decimals: String(t.decimals) };
}
