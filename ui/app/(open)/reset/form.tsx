"use client";
import { Box } from "@chakra-ui/react";
import { useRouter } from "next/navigation";
import { Button, TextLink } from "@/components/button";
import { Form, PasswordField } from "@/components/form";
import { useSubmit } from "@/components/use-submit";
import { resetPassword } from "@/lib/account";
import { account } from "@/messages/en/account";

export function ResetForm({ token }: { token: string }) {
  const router = useRouter();
  const { submit, busy, problem } = useSubmit(resetPassword, () => router.replace("/signin?reason=changed"));
  const link = problem?.fields.token;
  return (
    <Form
      problem={link && problem ? { ...problem, message: account.reset.used, fields: {} } : problem} fields={["password", "confirm_password"]}
      onSubmit={(e) => {
        const data = new FormData(e.currentTarget);
        void submit({ token, password: String(data.get("password")), confirm: String(data.get("confirm_password")) });
      }}
    >
      <PasswordField name="password" label={account.password.new} hint={account.password.hint} autoComplete="new-password" autoFocus />
      <PasswordField name="confirm_password" label={account.password.confirm} autoComplete="new-password" />
      <Button type="submit" w="full" busy={busy}>{account.reset.submit}</Button>
      <Box mt="4" textAlign="center"><TextLink href="/forgot">{account.forgot.again}</TextLink></Box>
    </Form>
  );
}
