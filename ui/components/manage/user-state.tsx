import { Badge } from "@/components/button";
import { users as m } from "@/messages/en/manage-users";

export function UserState({ user: u }: { user: { locked: boolean; IsNew: boolean } }) {
  if (u.locked) return <Badge colorPalette="red">{m.states.locked}</Badge>;
  return u.IsNew ? <Badge colorPalette="orange">{m.states.new}</Badge> : <Badge colorPalette="green">{m.states.active}</Badge>;
}
