import { add, type Decimal, scaled } from "./api/decimal";
import type { components } from "./api/schema";

type Month = components["schemas"]["MonthSummary"];
type Group = components["schemas"]["GroupSummary"];

export interface Figures {
  units: Decimal;
  spend: Decimal;
  rewards: number;
  unconverted: number;
}

const nothing: Figures = { units: "0", spend: "0", rewards: 0, unconverted: 0 };

/** sum adds groups up; of the units only those of one unit, since miles and points do not add. */
export function sum(groups: Group[], unit: string): Figures {
  return groups.reduce<Figures>(
    (s, g) => ({
      units: add(s.units, ...g.units.filter((u) => u.unit === unit).map((u) => u.units)),
      spend: add(s.spend, g.spend_home),
      rewards: s.rewards + g.rewards,
      unconverted: s.unconverted + g.unconverted,
    }),
    nothing,
  );
}

/** year is the last so many months up to the last one with spend, without gaps, the earliest first. */
export function year(months: Month[], count = 12): Month[] {
  const last = months.map((m) => m.month).sort().at(-1);
  if (!last) return [];
  const by = new Map(months.map((m) => [m.month, m]));
  const [y = 0, m = 0] = last.split("-").map(Number);
  return Array.from({ length: count }, (_, i) => {
    const n = y * 12 + (m - 1) - (count - 1 - i);
    const name = `${String(Math.floor(n / 12)).padStart(4, "0")}-${String((n % 12) + 1).padStart(2, "0")}`;
    return by.get(name) ?? { month: name, groups: [] };
  });
}

/** byCategory adds months up by kind of merchant, what earned most first. */
export function byCategory(months: Month[], unit: string): { group: string; figures: Figures }[] {
  const all = new Map<string, Group[]>();
  for (const g of months.flatMap((m) => m.groups)) all.set(g.group, [...(all.get(g.group) ?? []), g]);
  return [...all].map(([group, groups]) => ({ group, figures: sum(groups, unit) })).sort((a, b) => compare(b.figures.units, a.figures.units) || compare(b.figures.spend, a.figures.spend));
}

function compare(a: Decimal, b: Decimal): number {
  const d = scaled(a, 12) - scaled(b, 12);
  return d > 0n ? 1 : d < 0n ? -1 : 0;
}

/** largest is the greatest of decimals, 0 of none. */
export function largest(all: Decimal[]): Decimal {
  return all.reduce<Decimal>((m, d) => (compare(d, m) > 0 ? d : m), "0");
}
