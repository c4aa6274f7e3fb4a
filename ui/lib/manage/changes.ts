import type { Decimal } from "@/lib/api/decimal";
import { amount, day, number } from "@/lib/format";
import { campaigns } from "@/messages/en/manage-campaigns";
import { manage } from "@/messages/en/manage";
import { cardTypes, exclusions } from "@/messages/en/manage-rules";
import { users } from "@/messages/en/manage-users";
import { common } from "@/messages/en/common";
import { mccWords } from "./campaign";

export type Kind = "campaign" | "exclusion" | "cardType" | "user" | "card";

type Show = (value: unknown, home: string) => string;

const text: Show = (v) => (v === undefined || v === null || v === "" ? manage.empty : typeof v === "object" ? JSON.stringify(v) : String(v));
const date: Show = (v) => (v ? day(String(v)) : manage.empty);
const flag: Show = (v) => (v === true || v === "true" ? manage.yes : manage.no);
const decimal: Show = (v) => (/^-?\d+(\.\d+)?$/.test(String(v)) ? number(String(v) as Decimal) : text(v, ""));
const money: Show = (v, home) => (/^\d+(\.\d+)?$/.test(String(v)) && !/^0*(\.0*)?$/.test(String(v)) ? amount(String(v) as Decimal, home) : v && !/^0*(\.0*)?$/.test(String(v)) ? String(v) : campaigns.any);

interface Spec {
  name: string;
  label: string;
  show: Show;
}

const specs: Record<Kind, Spec[]> = {
  campaign: [
    { name: "name", label: campaigns.fields.name, show: text },
    { name: "reward_program", label: campaigns.fields.reward_program, show: text },
    { name: "base_reward", label: campaigns.fields.base_reward, show: (v) => (v === true ? campaigns.kinds.base : campaigns.kinds.promo) },
    { name: "reward_amount", label: campaigns.fields.reward_amount, show: decimal },
    { name: "foreign_currency", label: campaigns.fields.foreign_currency, show: flag },
    { name: "mcc", label: campaigns.fields.mcc, show: (v) => (v === "0" ? campaigns.any : mccWords(text(v, ""))) },
    { name: "merchant", label: campaigns.fields.merchant, show: (v) => (v ? String(v) : campaigns.any) },
    { name: "min_spend", label: campaigns.fields.min_spend, show: money },
    { name: "start_date", label: campaigns.fields.start_date, show: date },
    { name: "end_date", label: campaigns.fields.end_date, show: date },
  ],
  exclusion: [
    { name: "mcc", label: exclusions.fields.mcc, show: (v) => String(v ?? "").padStart(4, "0") },
    { name: "valid_from", label: exclusions.fields.valid_from, show: date },
  ],
  cardType: [
    { name: "card_type", label: cardTypes.fields.card_type, show: text },
    { name: "name", label: cardTypes.fields.name, show: text },
    { name: "reward_unit", label: cardTypes.fields.reward_unit, show: text },
    { name: "reward_program", label: cardTypes.fields.reward_program, show: text },
    { name: "decimals", label: cardTypes.fields.decimals, show: text },
  ],
  user: [
    { name: "first_name", label: users.fields.first_name, show: text },
    { name: "last_name", label: users.fields.last_name, show: text },
    { name: "email", label: users.fields.email, show: text },
    { name: "phone", label: users.fields.phone, show: text },
    { name: "Role", label: users.fields.Role, show: (v) => (common.roles as Record<string, string>)[String(v)] ?? text(v, "") },
    { name: "locked", label: users.fields.locked, show: flag },
    { name: "reward_emails", label: users.fields.reward_emails, show: flag },
    { name: "IsNew", label: users.fields.IsNew, show: flag },
  ],
  card: [
    { name: "card_pan", label: users.cardFields.card_pan, show: text },
    { name: "card_type", label: users.cardFields.card_type, show: text },
  ],
};

export interface Change {
  name: string;
  label: string;
  before?: string;
  after?: string;
}

type Values = object | null | undefined;

const at = (values: Values, name: string): unknown => (values ? (values as Record<string, unknown>)[name] : undefined);

/** changes are the fields that differ, in words. Where one side is not there, all of the other's are. */
export function changes(kind: Kind, before: Values, after: Values, home: string): Change[] {
  const out: Change[] = [];
  for (const s of specs[kind]) {
    const b = before && at(before, s.name) !== undefined ? s.show(at(before, s.name), home) : undefined;
    const a = after && at(after, s.name) !== undefined ? s.show(at(after, s.name), home) : undefined;
    if (b !== a) out.push({ name: s.name, label: s.label, before: b, after: a });
  }
  return out;
}

/** shown is a field's value in words. */
export function shown(kind: Kind, name: string, value: unknown, home: string): string {
  return specs[kind].find((s) => s.name === name)?.show(value, home) ?? text(value, home);
}

export function fieldsOf(kind: Kind): readonly { name: string; label: string }[] {
  return specs[kind];
}
