"use client";
import { Box } from "@chakra-ui/react";
import { useState } from "react";
import { Checkbox, Field, Input, Select, TextField } from "@/components/form";
import { campaignFields, type CampaignDraft, type CardType, isCashback } from "@/lib/manage/campaign";
import { campaigns as m } from "@/messages/en/manage-campaigns";
import { code, MccPicker } from "./mcc-picker";
import { Radio } from "./radio";

type Name = (typeof campaignFields)[number];

/** CampaignFields are the fields of a campaign, for a form and for a draft that is tried. */
export function CampaignFields({ draft, set, types, home, wrong, touch, inline }: { draft: CampaignDraft; set: <K extends keyof CampaignDraft>(name: K, value: CampaignDraft[K]) => void; types: readonly CardType[]; home: string; wrong?: (name: Name) => string | undefined; touch?: (name: Name) => void; inline?: boolean }) {
  const [find, setFind] = useState("");
  const type = types.find((t) => t.card_type === draft.reward_program);
  const error = (name: Name) => wrong?.(name);
  const blur = (name: Name) => () => touch?.(name);
  const any = draft.mcc.trim() === "0" || draft.mcc.trim() === "";
  return (
    <>
      <TextField name="name" label={m.fields.name} hint={m.hints.name} value={draft.name} onChange={(e) => set("name", e.target.value)} onBlur={blur("name")} error={error("name")} autoComplete="off" />
      <Field name="reward_program" label={m.fields.reward_program} error={error("reward_program")}>
        {(c) => (
          <Select {...c} value={draft.reward_program} onChange={(e) => { set("reward_program", e.target.value); touch?.("reward_program"); }}>
            <option value="">{m.chooseCard}</option>
            {types.map((t) => <option key={t.card_type} value={t.card_type}>{t.name}</option>)}
            {draft.reward_program && !type && <option value={draft.reward_program}>{draft.reward_program}</option>}
          </Select>
        )}
      </Field>
      <Radio
        name="base_reward" legend={m.fields.base_reward} value={draft.base_reward ? "base" : "promo"} onChange={(v) => set("base_reward", v === "base")}
        options={[{ value: "base", label: m.kinds.base, hint: m.kindHints.base }, { value: "promo", label: m.kinds.promo, hint: m.kindHints.promo }]}
      />
      <TextField
        name="reward_amount" label={m.fields.reward_amount} inputMode="decimal" autoComplete="off" value={draft.reward_amount} onChange={(e) => set("reward_amount", e.target.value)} onBlur={blur("reward_amount")} error={error("reward_amount")}
        hint={isCashback(type) ? m.hints.cashback : m.hints.rate(type ? type.reward_unit.charAt(0).toUpperCase() + type.reward_unit.slice(1) : "Units", home)}
      />
      <Box display="grid" gridTemplateColumns="repeat(auto-fit, minmax(min(10rem, 100%), 1fr))" columnGap="3">
        <Field name="start_date" label={m.fields.start_date} error={error("start_date")} mb="1.5">
          {(c) => <Input {...c} type="date" value={draft.start_date} onChange={(e) => set("start_date", e.target.value)} onBlur={blur("start_date")} />}
        </Field>
        <Field name="end_date" label={m.fields.end_date} error={error("end_date")} mb="1.5">
          {(c) => <Input {...c} type="date" value={draft.end_date} onChange={(e) => set("end_date", e.target.value)} onBlur={blur("end_date")} />}
        </Field>
      </Box>
      <Box color="fg.muted" fontSize="xs" mb="5">{m.hints.dates}</Box>
      <TextField name="merchant" label={m.fields.merchant} hint={m.hints.merchant} optional value={draft.merchant} onChange={(e) => set("merchant", e.target.value)} onBlur={blur("merchant")} error={error("merchant")} autoComplete="off" />
      <TextField name="mcc" label={m.fields.mcc} hint={m.hints.mcc} value={draft.mcc} onChange={(e) => set("mcc", e.target.value)} onBlur={blur("mcc")} error={error("mcc")} autoComplete="off" spellCheck={false} />
      <Field name="find" label={m.addCategory} optional>
        {(c) => (
          <MccPicker
            inline={inline} control={{ ...c, name: undefined, required: false }} value={find} onChange={setFind}
            onPick={(found) => { setFind(""); set("mcc", any ? code(found.mcc) : `${draft.mcc.trim()},${code(found.mcc)}`); touch?.("mcc"); }}
          />
        )}
      </Field>
      <TextField name="min_spend" label={m.fields.min_spend} hint={m.hints.min(home)} optional inputMode="decimal" autoComplete="off" value={draft.min_spend} onChange={(e) => set("min_spend", e.target.value)} onBlur={blur("min_spend")} error={error("min_spend")} />
      <Checkbox name="foreign_currency" label={m.fields.foreign_currency} hint={m.hints.foreign(home)} checked={draft.foreign_currency} onChange={(e) => set("foreign_currency", e.target.checked)} />
    </>
  );
}
