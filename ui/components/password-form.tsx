"use client";
import { useRouter } from "next/navigation";
import { useRef } from "react";
import { changePassword } from "@/lib/account";
import { account } from "@/messages/en/account";
import { Button } from "./button";
import { Form, PasswordField } from "./form";
import { useToast } from "./toasts";
import { useSubmit } from "./use-submit";

const t = account.password;

/** PasswordForm changes the own password. `first`: it is the first one, which has to be changed before anything else. */
export function PasswordForm({ email, first }: { email: string; first?: boolean }) {
  const router = useRouter();
  const toast = useToast();
  const form = useRef<HTMLFormElement>(null);
  const { submit, busy, problem } = useSubmit(changePassword, () => {
    if (first) {
      router.replace("/");
      router.refresh();
      return;
    }
    form.current?.reset();
    toast(t.saved);
  });
  return (
    <Form
      ref={form} problem={problem} fields={["old_password", "password", "confirm_password"]}
      onSubmit={(e) => {
        const data = new FormData(e.currentTarget);
        void submit({ old: String(data.get("old_password")), password: String(data.get("password")), confirm: String(data.get("confirm_password")) });
      }}
    >
      {/* Password managers look for whose password it is. */}
      <input type="email" name="username" autoComplete="username" value={email} readOnly hidden />
      <PasswordField name="old_password" label={first ? account.first.old : t.old} autoComplete="current-password" autoFocus={first} />
      <PasswordField name="password" label={t.new} hint={t.hint} autoComplete="new-password" />
      <PasswordField name="confirm_password" label={t.confirm} autoComplete="new-password" />
      <Button type="submit" busy={busy} w={first ? "full" : undefined}>{first ? account.first.submit : t.submit}</Button>
    </Form>
  );
}
