import "server-only";

/** What the portal is told by its environment; README.md has the list. instrumentation.ts reads it at the start. */
export interface Config {
  /** The gateway. */
  api: string;
  /** The portal's own origin. Where it is not given, requests may name any host. */
  origin: string | undefined;
  /** Encrypts the session cookie. */
  secret: string;
  /** Signs the addresses of people, which profiler's limits count; "" where none are passed on. */
  addressKey: string;
  /** How many proxies stand before the portal, each of which adds to X-Forwarded-For whom it heard. */
  proxies: number;
  timezone: string;
  homeCurrency: string;
}

let read: Config | undefined;

export function config(): Config {
  read ??= parse(process.env);
  return read;
}

function parse(env: NodeJS.ProcessEnv): Config {
  const problems: string[] = [];
  const origin = (name: string, value: string | undefined): string | undefined => {
    if (!value) return undefined;
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (!url || url.origin !== value.replace(/\/$/, "")) problems.push(`${name} must be like https://portal.example.com, without a path`);
    return url?.origin;
  };
  const c: Config = {
    api: origin("API_ORIGIN", env.API_ORIGIN) ?? "http://127.0.0.1:8080",
    origin: origin("PORTAL_ORIGIN", env.PORTAL_ORIGIN),
    secret: env.PORTAL_SESSION_SECRET ?? "",
    addressKey: env.CLIENT_ADDRESS_KEY ?? "",
    proxies: Number(env.PROXIES || "0"),
    timezone: env.BANK_TIMEZONE || "Asia/Singapore",
    homeCurrency: env.HOME_CURRENCY || "SGD",
  };
  if (c.secret.length < 32) {
    if (env.NODE_ENV === "production") problems.push("PORTAL_SESSION_SECRET needs 32 characters or more; it encrypts the session cookies: openssl rand -base64 32");
    // `npm run dev`: sessions need not outlive a developer's machine.
    else c.secret = c.secret || "only while the portal is being developed";
  }
  if (env.NODE_ENV === "production" && !c.origin) problems.push("PORTAL_ORIGIN is missing: where browsers find the portal, such as https://portal.example.com");
  if (c.addressKey && c.addressKey.length < 32) problems.push("CLIENT_ADDRESS_KEY needs 32 characters or more, the same as profiler's; it signs from which address people come");
  if (!Number.isInteger(c.proxies) || c.proxies < 0 || c.proxies > 10) problems.push(`PROXIES ${env.PROXIES} is not a number from 0 to 10: how many proxies stand before the portal`);
  if (c.proxies > 0 && !c.addressKey) problems.push("CLIENT_ADDRESS_KEY is missing: with PROXIES people's addresses are passed on, signed by it");
  try {
    new Intl.DateTimeFormat("en", { timeZone: c.timezone });
  } catch {
    problems.push(`BANK_TIMEZONE ${c.timezone} is not a time zone such as Asia/Singapore`);
  }
  if (!/^[A-Z]{3}$/.test(c.homeCurrency)) problems.push(`HOME_CURRENCY ${c.homeCurrency} is not a code of ISO 4217 such as SGD`);
  if (problems.length) throw new Error("the portal's settings are not right:\n" + problems.map((p) => "  " + p).join("\n"));
  return c;
}
