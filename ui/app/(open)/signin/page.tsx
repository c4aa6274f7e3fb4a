import { Box } from "@chakra-ui/react";
import type { Metadata } from "next";
import { within } from "@/lib/session/origin";
import { signin } from "@/messages/en/signin";
import { SignInPage } from "./form";

export const metadata: Metadata = { title: signin.title };

export default async function Page({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const q = await searchParams;
  const next = within(typeof q.next === "string" ? q.next : undefined);
  const reason = q.reason === "ended" ? signin.ended : q.reason === "out" ? signin.signedOut : q.reason === "changed" ? signin.changed : undefined;
  return (
    <>
      <Box as="h1" fontSize="xl" fontWeight="semibold">{signin.title}</Box>
      <Box color="fg.muted" mb="6">{signin.text}</Box>
      {reason && <Box role="status" bg="bg.info" borderWidth="1px" borderColor="owl.border" borderRadius="md" p="3" mb="5">{reason}</Box>}
      <SignInPage next={next} />
    </>
  );
}
