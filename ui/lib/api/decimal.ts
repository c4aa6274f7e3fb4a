import fields from "./decimals.json";

/** Decimal is a decimal number as the API wrote it: "1.50". It is text, since a JavaScript number would round it. */
export type Decimal = `${number}`;

/** decimal reads what a person typed. It is undefined for what is not a plain decimal number. */
export function decimal(text: string): Decimal | undefined {
  const plain = text.trim().replaceAll("−", "-");
  return /^-?\d+(\.\d+)?$/.test(plain) ? (plain as Decimal) : undefined;
}

const names = new Set(fields.names);
const maps = new Set(fields.maps);

const token = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[{}[\]:,]/g;

/** quoteDecimals turns the decimals of a JSON text into strings, so that JSON.parse keeps them as they are. */
export function quoteDecimals(json: string): string {
  let last = ""; // the string that was read last, a name if a colon follows
  let name = "";
  const outer: string[] = [];
  return json.replace(token, (t) => {
    switch (t[0]) {
      case '"':
        last = t;
        return t;
      case ":":
        name = last.slice(1, -1);
        return t;
      case "{":
      case "[":
        outer.push(name);
        return t;
      case "}":
      case "]":
        name = outer.pop() ?? "";
        return t;
      case ",":
        return t;
    }
    return names.has(name) || maps.has(outer.at(-1) ?? "") ? `"${t}"` : t;
  });
}

const plain = /^-?\d+(\.\d+)?$/;

/** toJSON writes a body: what is a decimal by its name goes out as a number, digit for digit. */
export function toJSON(value: unknown, name = "", within = ""): string {
  if (Array.isArray(value)) return `[${value.map((v) => toJSON(v, name, name)).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const members = Object.entries(value).filter(([, v]) => v !== undefined);
    return `{${members.map(([k, v]) => `${JSON.stringify(k)}:${toJSON(v, k, name)}`).join(",")}}`;
  }
  if (typeof value === "string" && plain.test(value) && (names.has(name) || maps.has(within))) {
    // JSON has no leading zeros.
    return value.replace(/^(-?)0+(?=\d)/, "$1");
  }
  return JSON.stringify(value ?? null);
}

/** scaled is a decimal as an integer of so many decimals, for adding and comparing. */
export function scaled(d: string, decimals: number): bigint {
  const [whole = "0", fraction = ""] = d.split(".");
  const digits = whole.replace("-", "") + fraction.slice(0, decimals).padEnd(decimals, "0");
  return whole.startsWith("-") ? -BigInt(digits) : BigInt(digits);
}

/** unscaled is scaled's way back. */
export function unscaled(n: bigint, decimals: number): Decimal {
  const digits = (n < 0n ? -n : n).toString().padStart(decimals + 1, "0");
  const cut = digits.length - decimals;
  return `${n < 0n ? "-" : ""}${digits.slice(0, cut)}${decimals ? "." + digits.slice(cut) : ""}` as Decimal;
}

const most = 12;

/** add adds decimals exactly. */
export function add(...all: string[]): Decimal {
  const decimals = Math.min(most, Math.max(0, ...all.map((d) => d.split(".")[1]?.length ?? 0)));
  return unscaled(all.reduce((sum, d) => sum + scaled(d, decimals), 0n), decimals);
}
