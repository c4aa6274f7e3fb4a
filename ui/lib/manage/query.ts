type Params = Record<string, string | string[] | undefined>;

/** Query reads what a page's address says, and writes addresses that differ from it. */
export class Query {
  constructor(
    private readonly path: string,
    private readonly params: Params,
  ) {}

  text(name: string): string {
    const v = this.params[name];
    return (Array.isArray(v) ? v[0] : v)?.trim() ?? "";
  }

  /** one is a value of those that are known, else undefined: an address is typed by anybody. */
  one<T extends string>(name: string, known: readonly T[]): T | undefined {
    return known.find((k) => k === this.text(name));
  }

  page(): number {
    const n = Number(this.text("page"));
    return Number.isInteger(n) && n > 0 && n < 1e6 ? n : 1;
  }

  /** with is the address with other values; a page number goes where anything else changes. */
  with(changes: Record<string, string | undefined>): string {
    const out = new URLSearchParams();
    const all: Record<string, string | undefined> = {};
    for (const name of Object.keys(this.params)) all[name] = this.text(name);
    Object.assign(all, { page: undefined }, changes);
    for (const [name, value] of Object.entries(all)) if (value) out.set(name, value);
    return this.path + (out.size ? `?${out}` : "");
  }
}
