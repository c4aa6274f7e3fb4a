"use client";
import { Box } from "@chakra-ui/react";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { Button } from "@/components/button";
import { Checkbox, Form, TextField } from "@/components/form";
import { useToast } from "@/components/toasts";
import { useSubmit } from "@/components/use-submit";
import { engine } from "@/messages/en/engine";
import { resend } from "./actions";

const t = engine.letter;
const fields = ["card_type", "merchant", "mcc", "currency", "amount", "sgd_amount", "transaction_date", "card_pan", "card_id", "id", "transaction_id"] as const;

/** Resend is the form for mending a dead letter. */
export function Resend({ letter, now, before }: { letter: string; now: Record<string, string>; before: boolean }) {
  const [set, setSet] = useState<Record<string, string>>({});
  const [again, setAgain] = useState(false);
  const [told, setTold] = useState(before);
  const router = useRouter();
  const toast = useToast();
  const { submit, busy, problem } = useSubmit(resend, (to) => {
    toast(t.done(to));
    setSet({});
    setAgain(false);
    router.refresh();
  });
  const send = async () => {
    const r = await submit(letter, Object.fromEntries(Object.entries(set).filter(([, v]) => v !== "")), again);
    if (!r.ok && r.problem.status === 409) setTold(true);
  };
  return (
    <Form problem={problem} fields={fields} onSubmit={() => void send()}>
      <Box display="grid" gridTemplateColumns={{ base: "1fr", sm: "1fr 1fr", lg: "1fr 1fr 1fr" }} columnGap="4">
        {fields.map((name) => (
          <TextField key={name} name={name} label={name} optional hint={now[name] ? t.was(now[name]) : undefined} value={set[name] ?? ""} onChange={(e) => setSet({ ...set, [name]: e.target.value })} autoComplete="off" />
        ))}
      </Box>
      {told && <Checkbox name="again" label={t.again} checked={again} onChange={(e) => setAgain(e.target.checked)} />}
      <Button type="submit" busy={busy}>{t.submit}</Button>
    </Form>
  );
}
