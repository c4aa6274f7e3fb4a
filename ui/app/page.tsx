import { redirect } from "next/navigation";
import { home } from "@/lib/nav";
import { session } from "@/lib/session/session";

export default async function Start() {
  const s = await session();
  redirect(s ? home[s.role] : "/signin");
}
