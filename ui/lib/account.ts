"use server";
import { redirect } from "next/navigation";
import { act } from "./api/action";
import { anonymous, api, load } from "./api/client";
import type { Result } from "./api/problem";
import { forget, keep, opened, session } from "./session/session";

interface NewPassword {
  old: string;
  password: string;
  confirm: string;
}

/** changePassword ends all sessions of the account; this browser is signed in again, unless a code is asked for. */
export async function changePassword(given: NewPassword): Promise<Result<null>> {
  const s = await session();
  const email = s?.email ?? "";
  const result = await act((api) => api.POST("/auth/password", { body: { email, old_password: given.old, password: given.password, confirm_password: given.confirm } }));
  if (!result.ok) return result;
  const again = await load(anonymous().POST("/auth/login", { body: { email, password: given.password } }));
  if (!again.ok) {
    await forget();
    redirect("/signin?reason=changed");
  }
  await keep(opened(again.data.data, email));
  return result;
}

export async function forgotPassword(email: string): Promise<Result<null>> {
  const result = await load(anonymous().POST("/auth/forgot", { body: { email: email.trim() } }));
  return result.ok ? { ok: true, data: null } : result;
}

export async function resetPassword(given: { token: string; password: string; confirm: string }): Promise<Result<null>> {
  const result = await load(anonymous().POST("/auth/reset", { body: { token: given.token, password: given.password, confirm_password: given.confirm } }));
  return result.ok ? { ok: true, data: null } : result;
}

export async function unsubscribe(token: string): Promise<Result<null>> {
  const result = await load(
    anonymous().POST("/unsubscribe/{token}", {
      params: { path: { token } },
      body: { "List-Unsubscribe": "One-Click" },
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      bodySerializer: (body) => new URLSearchParams(body as Record<string, string>).toString(),
    }),
  );
  return result.ok ? { ok: true, data: null } : result;
}

interface Profile {
  version: number;
  first_name: string;
  last_name: string;
  phone: string;
}

/** saveProfile changes what is on the form and no more; `version` is what the form was filled from. */
export async function saveProfile({ version, first_name, last_name, phone }: Profile): Promise<Result<{ version: number }>> {
  return own({ "If-Match": `"${version}"` }, { first_name, last_name, phone });
}

export async function wantMails(reward_emails: boolean): Promise<Result<{ version: number }>> {
  return own({}, { reward_emails });
}

async function own(header: { "If-Match"?: string }, body: { first_name?: string; last_name?: string; phone?: string; reward_emails?: boolean }) {
  const id = (await session())?.userId ?? "";
  // An account without a session is nobody's: the gateway answers 401.
  return act((api) => api.PUT("/user/{id}", { params: { path: { id: id || "00000000-0000-0000-0000-000000000000" }, header }, body }), ({ data }) => ({ version: data.version }));
}

export async function beginFactor() {
  return act((api) => api.POST("/auth/totp"), ({ data }) => data);
}

/** confirmFactor ends all sessions of the account, since none of them needed a code; the answer is a new one. */
export async function confirmFactor(code: string): Promise<Result<null>> {
  const s = await session();
  const result = await load((await api()).POST("/auth/totp/confirm", { body: { code: code.replaceAll(/\s/g, "") } }));
  if (!result.ok) return result;
  await keep(opened(result.data.data, s?.email ?? ""));
  return { ok: true, data: null };
}
