"use client";
import { Box } from "@chakra-ui/react";
import { useRouter } from "next/navigation";
import { createUser, readUser, saveUser } from "@/app/(portal)/manage/users/actions";
import { Button, ButtonLink } from "@/components/button";
import { Checkbox, Field, Form, Select, TextField } from "@/components/form";
import { Panel } from "@/components/page";
import { useToast } from "@/components/toasts";
import type { Result } from "@/lib/api/problem";
import { userFields, type UserDraft } from "@/lib/manage/user";
import { common } from "@/messages/en/common";
import { campaigns as cm } from "@/messages/en/manage-campaigns";
import { users as m } from "@/messages/en/manage-users";
import { Conflict } from "./conflict";
import { type Old, useVersioned } from "./versioned";

const roles = ["user", "bank", "merchant", "admin"] as const;

/** UserForm makes or changes an account. Bank staff make cardholders alone, so they are not asked for a role. */
export function UserForm({ old, initial, home, anyRole, back }: { old?: Old; initial: UserDraft; home: string; anyRole: boolean; back: string }) {
  const router = useRouter();
  const toast = useToast();
  const f = useVersioned<UserDraft>({
    old, initial, read: readUser,
    save: async (was, draft): Promise<Result<string>> => {
      if (was) return saveUser(was, draft);
      const r = await createUser(draft);
      if (!r.ok) return r;
      for (const w of r.data.warnings) toast(w, "error");
      return { ok: true, data: r.data.id };
    },
    saved: (id) => { toast(old ? m.saved : m.created); router.push(`/manage/users/${id}`); },
  });
  const d = f.draft;
  const text = (name: "first_name" | "last_name" | "email" | "phone") => ({ name, label: m.fields[name], value: d[name], onChange: (e: { target: { value: string } }) => f.set(name, e.target.value), autoComplete: "off" });
  return (
    <Panel maxW="2xl">
      <Form problem={f.gone ? { status: 404, code: "gone", message: cm.gone, fields: {} } : f.problem} fields={userFields} onSubmit={() => void f.send()}>
        <Box display="grid" gridTemplateColumns="repeat(auto-fit, minmax(min(12rem, 100%), 1fr))" columnGap="3">
          <TextField {...text("first_name")} />
          <TextField {...text("last_name")} optional />
        </Box>
        <TextField {...text("email")} type="email" inputMode="email" hint={old ? m.hints.emailChange : m.hints.email} />
        <TextField {...text("phone")} type="tel" inputMode="tel" hint={m.hints.phone} optional />
        {anyRole && (
          <Field name="Role" label={m.fields.Role} hint={d.Role === "merchant" && !old ? m.hints.roleNew : old ? m.hints.role : undefined}>
            {(c) => <Select {...c} value={d.Role} onChange={(e) => f.set("Role", e.target.value)}>{roles.map((r) => <option key={r} value={r}>{common.roles[r]}</option>)}</Select>}
          </Field>
        )}
        <Checkbox name="reward_emails" label={m.fields.reward_emails} hint={m.hints.reward_emails} checked={d.reward_emails} onChange={(e) => f.set("reward_emails", e.target.checked)} />
        {!old && d.Role !== "merchant" && <Box bg="bg.muted" borderRadius="md" p="3" color="fg.muted">{m.firstPasswordInfo}</Box>}
        <Box display="flex" flexWrap="wrap" gap="2" mt="5">
          {f.gone ? <Button onClick={f.anew}>{cm.createAgain}</Button> : <Button type="submit" busy={f.busy}>{f.busy ? common.saving : f.old ? common.save : m.createSubmit}</Button>}
          <ButtonLink href={back} variant="ghost">{common.cancel}</ButtonLink>
        </Box>
      </Form>
      {f.theirs && <Conflict kind="user" base={f.base} yours={d} theirs={f.theirs} home={home} onClose={f.closeConflict} onResolve={f.resolve} />}
    </Panel>
  );
}
