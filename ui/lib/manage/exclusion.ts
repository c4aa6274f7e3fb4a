/** ExclusionDraft is an exclusion as it stands in a form. */
export interface ExclusionDraft {
  mcc: string;
  valid_from: string;
}

export function exclusionDraft(e: { mcc: number; valid_from: string }): ExclusionDraft {
  return { mcc: String(e.mcc).padStart(4, "0"), valid_from: e.valid_from.slice(0, 10) };
}
