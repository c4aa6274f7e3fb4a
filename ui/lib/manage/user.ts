import type { components } from "@/lib/api/schema";

export type User = components["schemas"]["User"];
export type AnyRole = User["Role"];

/** UserDraft is an account as it stands in a form. */
export interface UserDraft {
  first_name: string;
  last_name: string;
  email: string;
  phone: string;
  Role: string;
  reward_emails: boolean;
}

export const userFields = ["first_name", "last_name", "email", "phone", "Role", "reward_emails"] as const satisfies readonly (keyof UserDraft)[];

export const emptyUser: UserDraft = { first_name: "", last_name: "", email: "", phone: "", Role: "user", reward_emails: true };

export function userDraft(u: UserDraft): UserDraft {
  return { first_name: u.first_name, last_name: u.last_name, email: u.email, phone: u.phone, Role: u.Role, reward_emails: u.reward_emails };
}

export function fullName(u: { first_name: string; last_name: string; email: string }): string {
  return `${u.first_name} ${u.last_name}`.trim() || u.email;
}
