"use client";
import { Box } from "@chakra-ui/react";
import { useState } from "react";
import { Button, ButtonLink, TextLink } from "@/components/button";
import { Form, TextField } from "@/components/form";
import { OpenPage } from "@/components/open-page";
import { useSubmit } from "@/components/use-submit";
import { forgotPassword } from "@/lib/account";
import { account } from "@/messages/en/account";
import { signin } from "@/messages/en/signin";

const t = account.forgot;

export function ForgotForm() {
  const [sent, setSent] = useState<string>();
  const { submit, busy, problem } = useSubmit(forgotPassword);
  if (sent)
    return (
      <Box role="status">
        <OpenPage title={t.sentTitle} text={t.sent(sent)}>
          <ButtonLink href="/signin" w="full">{t.back}</ButtonLink>
          <Button variant="ghost" w="full" mt="2" onClick={() => setSent(undefined)}>{t.again}</Button>
        </OpenPage>
      </Box>
    );
  return (
    <OpenPage title={t.title} text={t.text}>
      <Form
        problem={problem} fields={["email"]}
        onSubmit={async (e) => {
          const email = String(new FormData(e.currentTarget).get("email")).trim();
          if ((await submit(email)).ok) setSent(email);
        }}
      >
        <TextField name="email" type="email" label={signin.email} autoComplete="username" inputMode="email" autoFocus />
        <Button type="submit" w="full" busy={busy}>{t.submit}</Button>
        <Box mt="4" textAlign="center"><TextLink href="/signin">{t.back}</TextLink></Box>
      </Form>
    </OpenPage>
  );
}
