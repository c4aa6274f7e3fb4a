import "server-only";
import { decode, encode, type JWT } from "next-auth/jwt";
import { cookies } from "next/headers";
import { config } from "../config";

export type Role = "user" | "bank" | "merchant" | "admin";
/** What an account has to do before anything else. */
export type Must = "" | "password" | "totp";

/** Session is what the encrypted cookie holds. The tokens in it never reach a browser's JavaScript. */
export interface Session {
  token: string;
  refreshToken: string;
  /** When token expires, in milliseconds of Unix time. */
  expires: number;
  userId: string;
  role: Role;
  must: Must;
  email: string;
}

/** Unused for so long a session has ended on the gateway, too (cardholders' refresh tokens). */
export const maxAge = 12 * 60 * 60;

export function secure(): boolean {
  return config().origin?.startsWith("https:") ?? false;
}

export function cookieName(): string {
  return secure() ? "__Host-angelowl-session" : "angelowl-session";
}

export function cookieOptions() {
  return { httpOnly: true, sameSite: "lax", path: "/", secure: secure() } as const;
}

/** opened is the session of an answer of POST /auth/login, /auth/refresh or /auth/totp/confirm. */
export function opened(login: { token: string; user_id: string; must: string; refresh_token: string; expires_in: number }, email: string): Session {
  return {
    token: login.token,
    refreshToken: login.refresh_token,
    expires: Date.now() + login.expires_in * 1000,
    userId: login.user_id,
    role: role(login.token),
    must: login.must === "password" || login.must === "totp" ? login.must : "",
    email,
  };
}

/** role is what the access token says. It only chooses what is shown: the gateway decides what is allowed. */
function role(token: string): Role {
  const claims: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
  const r = claims !== null && typeof claims === "object" && "role" in claims ? claims.role : undefined;
  if (r === "user" || r === "bank" || r === "merchant" || r === "admin") return r;
  throw new Error("an access token without a role that the portal knows");
}

export async function seal(s: Session): Promise<string> {
  return encode({ token: { ...s } as JWT, secret: config().secret, maxAge });
}

export async function unseal(raw: string | undefined): Promise<Session | undefined> {
  if (!raw) return undefined;
  try {
    const t = (await decode({ token: raw, secret: config().secret })) as unknown as Session | null;
    return t && t.token && t.refreshToken && t.role ? t : undefined;
  } catch {
    return undefined; // sealed under another secret, or tampered with
  }
}

/** session is that of the request, which the proxy has refreshed where needed. */
export async function session(): Promise<Session | undefined> {
  return unseal((await cookies()).get(cookieName())?.value);
}

/** keep puts a session into the browser. Server actions and route handlers alone may call it. */
export async function keep(s: Session): Promise<void> {
  (await cookies()).set(cookieName(), await seal(s), { ...cookieOptions(), maxAge });
}

export async function forget(): Promise<void> {
  (await cookies()).set(cookieName(), "", { ...cookieOptions(), maxAge: 0 });
}
