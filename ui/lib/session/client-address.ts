import "server-only";
import { createHmac } from "node:crypto";
import { isIP } from "node:net";
import { config } from "../config";

/** The header by which profiler learns from which address a person comes: its limits of tries would count the portal else. */
export const header = "X-Client-Address";

/**
 * signedAddress is a JWT (HS256, a minute) of the address from which a request came; undefined where that is not known.
 * Each proxy adds to X-Forwarded-For whom it heard, so what was there before the portal's own proxies is anybody's word.
 * Without proxies the header is the browser's own, and nothing is passed on.
 */
export function signedAddress(headers: Headers, now = Date.now()): string | undefined {
  const { addressKey, proxies } = config();
  if (!addressKey || proxies === 0) return undefined;
  const address = headers.get("X-Forwarded-For")?.split(",").at(-proxies)?.trim() ?? "";
  if (!isIP(address) || address.includes("%")) return undefined;
  const seconds = Math.floor(now / 1000);
  const text = [{ alg: "HS256", typ: "JWT" }, { aud: "angelowl client address", sub: address, iat: seconds, exp: seconds + 60 }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  return text + "." + createHmac("sha256", addressKey).update(text).digest("base64url");
}
