import "server-only";

/** What the portal is told by its environment; README.md has the list. instrumentation.ts reads it at the start. */
export interface Config {
  /** The gateway. */
  api: string;
  /** The portal's own origin. Where it is not given, requests may name any host. */
  origin: string | undefined;
  /** Encrypts the session cookie. */
  secret: string;
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
    timezone: env.BANK_TIMEZONE || "Asia/Singapore",
    homeCurrency: env.HOME_CURRENCY || "SGD",
  };
  if (c.secret.length < 32) {
    if (env.NODE_ENV === "production") problems.push("PORTAL_SESSION_SECRET needs 32 characters or more; it encrypts the session cookies: openssl rand -base64 32");
    // `npm run dev`: sessions need not outlive a developer's machine.
    else c.secret = c.secret || "only while the portal is being developed";
  }
  if (env.NODE_ENV === "production" && !c.origin) problems.push("PORTAL_ORIGIN is missing: where browsers find the portal, such as https://portal.example.com");
  try {
    new Intl.DateTimeFormat("en", { timeZone: c.timezone });
  } catch {
    problems.push(`BANK_TIMEZONE ${c.timezone} is not a time zone such as Asia/Singapore`);
  }
  if (!/^[A-Z]{3}$/.test(c.homeCurrency)) problems.push(`HOME_CURRENCY ${c.homeCurrency} is not a code of ISO 4217 such as SGD`);
  if (problems.length) throw new Error("the portal's settings are not right:\n" + problems.map((p) => "  " + p).join("\n"));
  return c;
}
