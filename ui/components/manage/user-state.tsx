import { Badge } from "@/components/button";
import { users as m } from "@/messages/en/manage-users";

export function UserState({ user: u }: { user: { locked: boolean; IsNew: boolean; Role: string } }) {
  if (u.locked) return <Badge colorPalette="red">{m.states.locked}</Badge>;
  // Merchants have no password.
  return u.IsNew && u.Role !== "merchant" ? <Badge colorPalette="orange">{m.states.new}</Badge> : <Badge colorPalette="green">{m.states.active}</Badge>;
}
