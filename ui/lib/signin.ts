import type { Problem } from "./api/problem";

/** signIn hands what was typed to next-auth, which puts the session into the cookie. It returns what went wrong. */
export async function signIn(given: { email: string; password: string; totp?: string }): Promise<Problem | undefined> {
  try {
    const csrf = (await (await fetch("/api/auth/csrf", { cache: "no-store" })).json()) as { csrfToken: string };
    const response = await fetch("/api/auth/callback/credentials", {
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ ...given, totp: given.totp ?? "", csrfToken: csrf.csrfToken, json: "true", callbackUrl: "/" }),
    });
    const { url } = (await response.json()) as { url?: string };
    // next-auth leads whose form was too old (its CSRF cookie is another) to the sign-in without an error.
    if (response.ok && !new URL(url ?? "", location.origin).searchParams.has("csrf")) return undefined;
    const [code = "away", wait] = (new URL(url ?? "", location.origin).searchParams.get("error") ?? "away").split(":");
    return { status: code === "away" ? 0 : wait ? 429 : 401, code, fields: {}, retryAfter: wait ? Number(wait) : undefined };
  } catch {
    return { status: 0, code: navigator.onLine ? "away" : "offline", fields: {} };
  }
}
