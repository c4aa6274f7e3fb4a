import type { CampaignDraft } from "./campaign";

/** Drafts are rules that are not there yet, to be tried with a transaction. */
export interface Drafts {
  campaigns: { id?: string; draft: CampaignDraft }[];
}

const key = "angelowl-drafts";

/** carry takes drafts along to the page that tries them, within this tab. */
export function carry(d: Drafts) {
  sessionStorage.setItem(key, JSON.stringify(d));
}

export function carried(): Drafts | undefined {
  const text = sessionStorage.getItem(key);
  sessionStorage.removeItem(key);
  try {
    return text ? (JSON.parse(text) as Drafts) : undefined;
  } catch {
    return undefined;
  }
}
