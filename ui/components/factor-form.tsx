"use client";
import { Box } from "@chakra-ui/react";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { beginFactor, confirmFactor } from "@/lib/account";
import { account } from "@/messages/en/account";
import { Button } from "./button";
import { Form, TextField } from "./form";
import { ProblemNote } from "./problem-note";
import { Qr } from "./qr";
import { useToast } from "./toasts";
import { useSubmit } from "./use-submit";

const t = account.factor;

/** FactorForm sets up a second factor (TOTP). */
export function FactorForm({ next }: { next?: string }) {
  const router = useRouter();
  const toast = useToast();
  const [made, setMade] = useState<{ secret: string; url: string }>();
  const [exists, setExists] = useState(false);
  const begin = useSubmit(beginFactor, setMade);
  const confirm = useSubmit(confirmFactor, () => {
    toast(t.done);
    setMade(undefined);
    setExists(true);
    if (next) router.replace(next);
    router.refresh();
  });
  if (exists || begin.problem?.code === "totp_exists") return <Box color="fg.muted">{t.exists}</Box>;
  if (!made)
    return (
      <>
        {begin.problem && <ProblemNote problem={begin.problem} mb="4" />}
        <Button variant="outline" busy={begin.busy} onClick={() => void begin.submit()}>{t.begin}</Button>
      </>
    );
  return (
    <Form problem={confirm.problem} fields={["code"]} onSubmit={(e) => void confirm.submit(String(new FormData(e.currentTarget).get("code")))}>
      <Box mb="4">{t.scan}</Box>
      <Box display="flex" flexWrap="wrap" gap="5" alignItems="center" mb="5">
        <Qr text={made.url} label={t.picture} />
        <Box minW="0">
          <Box color="fg.muted" fontSize="xs">{t.key}</Box>
          <Box fontFamily="mono" wordBreak="break-all">{made.secret.replace(/(.{4})(?=.)/g, "$1 ")}</Box>
        </Box>
      </Box>
      <TextField name="code" label={t.code} hint={t.codeHint} inputMode="numeric" autoComplete="one-time-code" maxLength={16} maxW="48" />
      <Button type="submit" busy={confirm.busy}>{t.confirm}</Button>
    </Form>
  );
}
