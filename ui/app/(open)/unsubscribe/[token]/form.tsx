"use client";
import { Box } from "@chakra-ui/react";
import { useState } from "react";
import { Button, ButtonLink } from "@/components/button";
import { OpenPage } from "@/components/open-page";
import { ProblemNote } from "@/components/problem-note";
import { useSubmit } from "@/components/use-submit";
import { unsubscribe } from "@/lib/account";
import { account } from "@/messages/en/account";

const t = account.unsubscribe;

export function UnsubscribeForm({ token }: { token: string }) {
  const [done, setDone] = useState(false);
  const { submit, busy, problem } = useSubmit(unsubscribe, () => setDone(true));
  const bad = problem?.fields.token;
  if (done)
    return (
      <Box role="status">
        <OpenPage title={t.doneTitle} text={t.done}><ButtonLink href="/account" variant="outline" w="full">{t.account}</ButtonLink></OpenPage>
      </Box>
    );
  return (
    <OpenPage title={t.title} text={t.text}>
      {problem && <ProblemNote problem={bad ? { ...problem, fields: {}, message: t.bad } : problem} mb="5" />}
      <Button w="full" busy={busy} onClick={() => void submit(token)}>{t.submit}</Button>
    </OpenPage>
  );
}
