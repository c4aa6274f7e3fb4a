/** Query is an address's parameters as Next gives them. */
export type Query = Record<string, string | string[] | undefined>;

/** one is a parameter that stands in the address once. */
export function one(q: Query, name: string): string | undefined {
  const v = q[name];
  const text = typeof v === "string" ? v.trim() : undefined;
  return text || undefined;
}

/** pageOf is a page number, 1 where there is none. */
export function pageOf(q: Query): number {
  const n = Number(one(q, "page") ?? "1");
  return Number.isSafeInteger(n) && n > 0 ? n : 1;
}

/** href is an address with parameters; those that are empty are left out. */
export function href(path: string, parameters: Record<string, string | number | undefined>): string {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined && value !== "") q.set(name, String(value));
  return q.size ? `${path}?${q.toString()}` : path;
}
