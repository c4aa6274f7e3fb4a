import { Badge } from "@/components/button";
import type { State } from "@/lib/manage/campaign";
import { campaigns as m } from "@/messages/en/manage-campaigns";

const palettes = { live: "green", scheduled: "owl", ended: "gray" } as const;

export function StateBadge({ state }: { state: State }) {
  return <Badge colorPalette={palettes[state]}>{m.states[state]}</Badge>;
}
