"use client";
import { Box, chakra } from "@chakra-ui/react";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { Button } from "@/components/button";
import { Checkbox, Form, TextField } from "@/components/form";
import { ProblemNote } from "@/components/problem-note";
import { useToast } from "@/components/toasts";
import { useSubmit } from "@/components/use-submit";
import { saveProfile, wantMails } from "@/lib/account";
import type { Appearance } from "@/lib/appearance";
import { account } from "@/messages/en/account";
import { common } from "@/messages/en/common";

const t = account.profile;

export function ProfileForm({ user }: { user: { version: number; first_name: string; last_name: string; phone: string; email: string } }) {
  const router = useRouter();
  const toast = useToast();
  const { submit, busy, problem } = useSubmit(saveProfile, () => { toast(t.saved); router.refresh(); });
  return (
    <Form
      problem={problem} fields={["first_name", "last_name", "phone"]}
      onSubmit={(e) => {
        const data = new FormData(e.currentTarget);
        const text = (name: string) => String(data.get(name) ?? "").trim();
        void submit({ version: user.version, first_name: text("first_name"), last_name: text("last_name"), phone: text("phone").replaceAll(/[\s()-]/g, "") });
      }}
    >
      <Box display="grid" gridTemplateColumns={{ base: "1fr", sm: "1fr 1fr" }} columnGap="4">
        <TextField name="first_name" label={t.first} defaultValue={user.first_name} autoComplete="given-name" />
        <TextField name="last_name" label={t.last} defaultValue={user.last_name} autoComplete="family-name" optional />
      </Box>
      <TextField name="phone" type="tel" label={t.phone} hint={t.phoneHint} defaultValue={user.phone} autoComplete="tel" optional />
      <TextField name="email" type="email" label={t.email} hint={t.emailHint} defaultValue={user.email} readOnly autoComplete="email" />
      <Button type="submit" busy={busy}>{busy ? common.saving : common.save}</Button>
    </Form>
  );
}

export function MailsForm({ on }: { on: boolean }) {
  const router = useRouter();
  const toast = useToast();
  const [wanted, setWanted] = useState(on);
  const { submit, problem } = useSubmit(wantMails);
  return (
    <>
      {problem && <ProblemNote problem={problem} mb="4" />}
      <Checkbox
        name="reward_emails" label={account.mails.label} hint={account.mails.hint} checked={wanted} mb="0"
        onChange={async (e) => {
          const want = e.target.checked;
          setWanted(want);
          if ((await submit(want)).ok) {
            toast(want ? account.mails.on : account.mails.off);
            router.refresh();
          } else setWanted(!want);
        }}
      />
    </>
  );
}

const choices: Appearance[] = ["system", "light", "dark"];

export function AppearanceForm({ now }: { now: Appearance }) {
  const [chosen, setChosen] = useState(now);
  const choose = (a: Appearance) => {
    setChosen(a);
    remember(a);
  };
  return (
    <Box as="fieldset" display="flex" flexWrap="wrap" gap="2">
      <chakra.legend position="absolute" w="1px" h="1px" overflow="hidden" clipPath="inset(50%)">{common.appearance.label}</chakra.legend>
      {choices.map((a) => (
        <chakra.label
          key={a} display="inline-flex" alignItems="center" gap="2" minH="10" px="4" borderWidth="1px" borderColor="border.emphasized" borderRadius="md" cursor="pointer" fontWeight="medium"
          css={{ "&:has(:checked)": { borderColor: "owl.solid", bg: "owl.subtle", color: "owl.fg" } }}
        >
          <chakra.input type="radio" name="appearance" value={a} checked={chosen === a} onChange={() => choose(a)} accentColor="colors.owl.solid" focusVisibleRing="outside" borderRadius="full" />
          {common.appearance[a]}
        </chakra.label>
      ))}
    </Box>
  );
}

function remember(a: Appearance) {
  document.cookie = `appearance=${a}; path=/; max-age=31536000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
  const dark = a === "dark" || (a === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
  document.documentElement.classList.toggle("light", !dark);
}
