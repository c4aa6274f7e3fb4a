/** within returns a path of the portal, or the fallback where the text is anything else, such as another site. */
export function within(path: string | null | undefined, fallback = "/"): string {
  if (!path || !/^\/(?![/\\])/.test(path) || /[\u0000-\u001f\\]/.test(path)) return fallback;
  const base = "http://portal.invalid";
  const url = URL.canParse(path, base) ? new URL(path, base) : undefined;
  return url?.origin === base && !url.pathname.startsWith("//") ? url.pathname + url.search : fallback;
}

/** foreign says whether a request that may change something comes from another site (CSRF). */
export function foreign(method: string, headers: Headers, own: string | undefined): boolean {
  if (method === "GET" || method === "HEAD" || method === "OPTIONS") return false;
  const origin = headers.get("origin");
  // Browsers send Origin with every request that is not GET or HEAD.
  if (origin) return own ? origin !== own : !URL.canParse(origin) || new URL(origin).host !== headers.get("host");
  return headers.get("sec-fetch-site") !== "same-origin";
}
