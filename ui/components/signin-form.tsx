"use client";
import { Box } from "@chakra-ui/react";
import { useState } from "react";
import type { Problem } from "@/lib/api/problem";
import { signIn } from "@/lib/signin";
import { signin } from "@/messages/en/signin";
import { Button, TextLink } from "./button";
import { Form, PasswordField, TextField } from "./form";

/** SignInForm is the page's and the dialog's. With `email` it is that account which has to sign in again. */
export function SignInForm({ email, done }: { email?: string; done: () => void }) {
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const [second, setSecond] = useState(false);

  async function submit(form: HTMLFormElement) {
    const data = new FormData(form);
    const text = (name: string) => String(data.get(name) ?? "");
    setBusy(true);
    setProblem(undefined);
    const wrong = await signIn({ email: email ?? text("email"), password: text("password"), totp: text("totp") });
    setBusy(false);
    if (!wrong) {
      done();
      return;
    }
    if (wrong.code === "totp_required" && !second) {
      setSecond(true); // the field takes the focus
      return;
    }
    setProblem({ ...wrong, message: signin.problems[wrong.code] });
  }

  return (
    <Form problem={problem} fields={["email", "password", "totp"]} onSubmit={(e) => void submit(e.currentTarget as HTMLFormElement)}>
      {email === undefined ? <TextField name="email" type="email" label={signin.email} autoComplete="username" autoFocus inputMode="email" /> : <Box mb="4"><Box fontWeight="medium" mb="1">{signin.email}</Box><Box color="fg.muted" overflowWrap="anywhere">{email}</Box></Box>}
      <PasswordField name="password" label={signin.password} autoComplete="current-password" autoFocus={email !== undefined} />
      {second && <TextField name="totp" label={signin.totp} hint={signin.totpHint} inputMode="numeric" autoComplete="one-time-code" maxLength={16} autoFocus />}
      <Button type="submit" w="full" busy={busy} mt="2">{busy ? signin.busy : signin.submit}</Button>
      <Box mt="4" textAlign="center"><TextLink href="/forgot">{signin.forgotLink}</TextLink></Box>
    </Form>
  );
}
