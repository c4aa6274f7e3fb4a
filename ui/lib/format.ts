import type { Decimal } from "./api/decimal";

const locale = "en-GB";

/** amount is money as a statement has it: its ISO 4217 code and all of its decimals. */
export function amount(value: Decimal, currency: string): string {
  return new Intl.NumberFormat(locale, { style: "currency", currency, currencyDisplay: "code" }).format(value);
}

/** units are points, miles or cashback with the decimals of their programme. */
export function units(value: Decimal, decimals: number): string {
  return new Intl.NumberFormat(locale, { minimumFractionDigits: decimals, maximumFractionDigits: Math.max(decimals, digits(value)) }).format(value);
}

/** number is a decimal with all the digits that it has. */
export function number(value: Decimal | number): string {
  return new Intl.NumberFormat(locale, { maximumFractionDigits: 20 }).format(value);
}

/** signed is units with a sign: what a transaction earned, or took back. */
export function signed(value: Decimal, decimals: number): string {
  return (/^-|^0*(\.0*)?$/.test(value) ? "" : "+") + units(value, decimals).replace("-", "−");
}

function digits(value: string): number {
  return value.split(".")[1]?.replace(/0+$/, "").length ?? 0;
}

/** day is a date of the calendar: 2019-09-03, or 2019-09-03T00:00:00Z, of which the date that is written counts. */
export function day(value: string, style: "medium" | "long" = "medium"): string {
  const at = new Date(value.slice(0, 10) + "T00:00:00Z");
  return Number.isNaN(at.getTime()) ? value : new Intl.DateTimeFormat(locale, { dateStyle: style, timeZone: "UTC" }).format(at);
}

/** month is 2019-09. */
export function month(value: string, style: "long" | "short" = "long"): string {
  const at = new Date(value + "-01T00:00:00Z");
  return Number.isNaN(at.getTime()) ? value : new Intl.DateTimeFormat(locale, { month: style, year: style === "long" ? "numeric" : undefined, timeZone: "UTC" }).format(at);
}

/** moment is a point in time, in the bank's time zone, which it names. */
export function moment(value: string, timezone: string): string {
  const at = new Date(value);
  if (Number.isNaN(at.getTime())) return value;
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium", timeZone: timezone }).format(at) + " " + zone(at, timezone);
}

function zone(at: Date, timezone: string): string {
  return new Intl.DateTimeFormat(locale, { timeZone: timezone, timeZoneName: "short" }).formatToParts(at).find((p) => p.type === "timeZoneName")?.value ?? timezone;
}

/** today is the bank's date, YYYY-MM-DD. */
export function today(timezone: string, now = new Date()): string {
  return new Intl.DateTimeFormat("en-CA", { timeZone: timezone, year: "numeric", month: "2-digit", day: "2-digit" }).format(now);
}

/** momentDay is the day of a moment at the bank. */
export function momentDay(value: string, timezone: string): string {
  const at = new Date(value);
  return Number.isNaN(at.getTime()) ? value : new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: timezone }).format(at);
}
