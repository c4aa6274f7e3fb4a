import { randomBytes } from "node:crypto";
import { NextResponse, type NextRequest } from "next/server";
import { config as settings } from "./lib/config";
import { foreign } from "./lib/session/origin";
import { fresh } from "./lib/session/refresh";
import { cookieName, cookieOptions, maxAge, seal, unseal } from "./lib/session/session";

/** What can be seen without signing in. */
const open = /^\/(signin|forgot|reset|unsubscribe\/[^/]+|health)$/;

/** Where a session goes that has to do something before anything else. */
const before: Record<string, string> = { password: "/password", totp: "/second-factor" };

/** proxy runs before every page, action and route handler. */
export async function proxy(request: NextRequest) {
  const own = settings().origin;
  if (foreign(request.method, request.headers, own)) return new NextResponse("This request came from another site.", { status: 403 });

  const nonce = randomBytes(16).toString("base64");
  const policy = csp(nonce, own);
  const headers = new Headers(request.headers);
  headers.set("x-nonce", nonce);
  headers.set("Content-Security-Policy", policy);

  const name = cookieName();
  let set: string | undefined;
  let must = "";
  const old = request.cookies.get(name)?.value;
  const session = await unseal(old);
  if (session) {
    const f = await fresh(session, request.headers);
    if ("ended" in f) set = "";
    else if ("session" in f) {
      must = f.session.must;
      if (f.changed) set = await seal(f.session);
    }
  } else if (old) {
    set = "";
  }
  if (set !== undefined) {
    if (set) request.cookies.set(name, set);
    else request.cookies.delete(name);
    headers.set("Cookie", request.cookies.toString());
  }

  const signedIn = session !== undefined && set !== "";
  // An action answers for itself: the form keeps what was typed and asks to sign in.
  const page = request.method === "GET" && !request.nextUrl.pathname.startsWith("/api/");
  let response: NextResponse;
  if (page && !signedIn && !open.test(request.nextUrl.pathname)) {
    const to = new URL("/signin", own ?? request.nextUrl.origin);
    const next = stripped(request.nextUrl);
    if (next !== "/") to.searchParams.set("next", next);
    if (session) to.searchParams.set("reason", "ended");
    response = NextResponse.redirect(to, 303);
  } else if (page && signedIn && must && request.nextUrl.pathname !== before[must] && !open.test(request.nextUrl.pathname)) {
    response = NextResponse.redirect(new URL(before[must] ?? "/", own ?? request.nextUrl.origin), 303);
  } else {
    response = NextResponse.next({ request: { headers } });
  }
  response.headers.set("Content-Security-Policy", policy);
  for (const [key, value] of Object.entries(always)) response.headers.set(key, value);
  if (own?.startsWith("https:")) response.headers.set("Strict-Transport-Security", "max-age=63072000; includeSubDomains");
  if (set !== undefined) response.cookies.set(name, set, { ...cookieOptions(), maxAge: set ? maxAge : 0 });
  return response;
}

/** stripped is an address without what Next adds to it for itself. */
function stripped(url: URL): string {
  const query = new URLSearchParams(url.search);
  query.delete("_rsc");
  return url.pathname + (query.size ? "?" + query.toString() : "");
}

const always = {
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "same-origin",
  "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "private, no-store",
};

/**
 * Scripts and style sheets need the nonce. Style attributes may stand (React writes them for what is measured); they
 * can run nothing. Uploads go straight from the browser to the store: UPLOAD_ORIGIN names it.
 */
function csp(nonce: string, own: string | undefined): string {
  const dev = process.env.NODE_ENV === "development";
  const upload = process.env.UPLOAD_ORIGIN;
  return [
    "default-src 'none'",
    `script-src 'self' 'nonce-${nonce}' 'strict-dynamic'${dev ? " 'unsafe-eval'" : ""}`,
    `style-src 'self' ${dev ? "'unsafe-inline'" : `'nonce-${nonce}'`}`,
    "style-src-attr 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self'",
    `connect-src 'self'${upload ? " " + upload : ""}`,
    "manifest-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    ...(own?.startsWith("https:") ? ["upgrade-insecure-requests"] : []),
  ].join("; ");
}

export const config = {
  matcher: [{ source: "/((?!_next/static|_next/image|icon.svg).*)" }],
};
