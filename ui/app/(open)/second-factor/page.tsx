import type { Metadata } from "next";
import { redirect } from "next/navigation";
import { FactorForm } from "@/components/factor-form";
import { OpenPage } from "@/components/open-page";
import { SessionKeeper } from "@/components/session";
import { SignOut } from "@/components/sign-out";
import { session } from "@/lib/session/session";
import { account } from "@/messages/en/account";

export const metadata: Metadata = { title: account.mustFactor.title };

/** Staff come here first where REQUIRE_MFA is on and they have no second factor: proxy.ts. */
export default async function Factor() {
  const s = await session();
  if (!s) redirect("/signin");
  if (s.must !== "totp") redirect("/");
  return (
    <SessionKeeper email={s.email}>
      <OpenPage title={account.mustFactor.title} text={account.mustFactor.text}>
        <FactorForm next="/" />
        <div style={{ marginTop: 16, display: "flex", justifyContent: "center" }}><SignOut /></div>
      </OpenPage>
    </SessionKeeper>
  );
}
