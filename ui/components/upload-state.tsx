import type { components } from "@/lib/api/schema";
import { files as t } from "@/messages/en/files";
import { Badge } from "./button";

type State = components["schemas"]["Upload"]["state"];

const palettes: Record<State, string> = { waiting: "gray", reading: "owl", queued: "owl", rewarded: "owl", reconciled: "green", failed: "red" };

/** final says whether nothing more will become of an upload. */
export function final(state: State): boolean {
  return state === "reconciled" || state === "failed";
}

/** UploadState is how far an upload is, in a word. */
export function UploadState({ state, percent }: { state: State; percent?: number }) {
  return (
    <Badge colorPalette={palettes[state]}>
      {t.states[state]}
      {!final(state) && percent !== undefined && ` ${t.percent(percent)}`}
    </Badge>
  );
}
