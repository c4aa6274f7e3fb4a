import { createHmac, hkdfSync, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import type { APIRequestContext } from "@playwright/test";
import { type Account, apiOrigin, caller, type Call, expect } from "./test";

const first = "four turquoise trains at dawn";
export const chosen = "nine quiet lanterns uphill";

/** newUser makes an account with a first password, which has to be changed yet. */
export async function newUser(admin: Call, role: "user" | "bank" = "user"): Promise<Account> {
  const email = `${role}-${randomUUID().replaceAll(/[^a-f]/g, "x")}-${Math.random().toString(36).slice(2, 9)}@test.example`;
  const made = await admin("POST", "/user", { first_name: "Tess", last_name: "Tester", email, phone: "+6561234567", Role: role, password: first, confirm_password: first });
  if (made.status !== 201) throw new Error(`making a user: ${made.status} ${JSON.stringify(made.body)}`);
  return { id: (made.body as { data: { id: string } }).data.id, email, password: first };
}

/** readyUser is an account that has changed its first password. */
export async function readyUser(admin: Call, request: APIRequestContext, role: "user" | "bank" = "user"): Promise<Account> {
  const made = await newUser(admin, role);
  const call = caller(request, await token(request, made));
  const changed = await call("POST", "/auth/password", { email: made.email, old_password: first, password: chosen, confirm_password: chosen });
  if (changed.status !== 200) throw new Error(`changing a first password: ${JSON.stringify(changed.body)}`);
  return { ...made, password: chosen };
}

export async function token(request: APIRequestContext, { email, password }: { email: string; password: string }): Promise<string> {
  const res = await request.post(apiOrigin() + "/auth/login", { data: { email, password } });
  return ((await res.json()) as { data: { token: string } }).data.token;
}

/** mailTo waits for a mail to an address and returns its text. */
export async function mailTo(request: APIRequestContext, to: string, subject: RegExp): Promise<string> {
  let found = "";
  await expect
    .poll(async () => {
      const { data } = (await (await request.get(apiOrigin() + "/mail/mail.json", { params: { to } })).json()) as { data: { id: number; subject: string }[] };
      const mail = data.find((m) => subject.test(m.subject));
      if (mail) found = ((await (await request.get(`${apiOrigin()}/mail/${mail.id}`, { headers: { Accept: "application/json" } })).json()) as { data: { text: string } }).data.text;
      return found;
    }, { message: `a mail to ${to}`, timeout: 20_000 })
    .not.toBe("");
  return found;
}

/** unsubscribeToken is the token of the link of a nightly mail (profiler/signin/unsubscribe.go), made as profiler makes it. */
export function unsubscribeToken(userId: string): string {
  const { data_key: key } = JSON.parse(readFileSync(path.join(process.env.E2E_DATA ?? "", "bank.json"), "utf8")) as { data_key: string };
  const derive = (from: Buffer, info: string) => Buffer.from(hkdfSync("sha256", from, Buffer.alloc(0), info, 32));
  const id = Buffer.from(userId.replaceAll("-", ""), "hex");
  const mac = createHmac("sha256", derive(derive(Buffer.from(key, "base64"), "totp"), "unsubscribe")).update(id).digest().subarray(0, 16);
  return Buffer.concat([id, mac]).toString("base64url");
}

/** totp is the code of a secret at a time (RFC 6238). */
export function totp(secret: string, now = Date.now()): string {
  const bits = [...secret.replaceAll(/[\s=]/g, "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(now / 30_000)));
  const mac = createHmac("sha1", key).update(counter).digest();
  const at = (mac.at(-1) ?? 0) & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}
