import type { Metadata } from "next";
import { TextLink } from "@/components/button";
import { Note, OpenPage } from "@/components/open-page";
import { within } from "@/lib/session/origin";
import { session } from "@/lib/session/session";
import { signin } from "@/messages/en/signin";
import { SignInPage } from "./form";

export const metadata: Metadata = { title: signin.title };

const reasons: Record<string, string> = { ended: signin.ended, out: signin.signedOut, changed: signin.changed };

export default async function Page({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const q = await searchParams;
  const reason = typeof q.reason === "string" && Object.hasOwn(reasons, q.reason) ? reasons[q.reason] : undefined;
  const s = reason ? undefined : await session();
  return (
    <OpenPage title={signin.title} text={signin.text}>
      {reason && <Note>{reason}</Note>}
      {s && <Note>{signin.signedIn(s.email)} <TextLink href="/">{signin.goOn}</TextLink></Note>}
      <SignInPage next={within(typeof q.next === "string" ? q.next : undefined)} />
    </OpenPage>
  );
}
