"use server";
import { redirect } from "next/navigation";
import { api } from "../api/client";
import { forget, session } from "./session";

/** signOut ends the session at the bank, too: its refresh token is good for nothing any more. */
export async function signOut() {
  const s = await session();
  if (s) {
    // Where the gateway is away the session ends here all the same, and there by itself.
    await (await api()).POST("/auth/logout", { body: { refresh_token: s.refreshToken } }).catch(() => undefined);
  }
  await forget();
  redirect("/signin?reason=out");
}
