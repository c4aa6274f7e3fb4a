import type { ReactNode } from "react";
import { ProblemPage } from "@/components/problem";
import { session } from "@/lib/session/session";

/** A cardholder may read campaigns, card types and exclusions: the gateway refuses only the changes that these pages are for. */
export default async function Manage({ children }: { children: ReactNode }) {
  const role = (await session())?.role;
  if (role !== "admin" && role !== "bank") return <ProblemPage problem={{ status: 403, code: "forbidden", fields: {} }} />;
  return children;
}
