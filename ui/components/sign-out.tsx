import { signOut } from "@/lib/session/actions";
import { common } from "@/messages/en/common";
import { Icon } from "./icons";
import { RawButton } from "./html";

export function SignOut({ compact }: { compact?: boolean }) {
  return (
    <form action={signOut}>
      <RawButton type="submit" aria-label={compact ? common.nav.signOut : undefined} display="inline-flex" alignItems="center" justifyContent="center" gap="1.5" minH={compact ? "10" : "6"} minW={compact ? "10" : undefined} color="fg.muted" borderRadius="md" cursor="pointer" focusVisibleRing="outside" _hover={{ color: "fg" }}>
        <Icon name="signOut" size={compact ? 20 : 16} />
        {!compact && common.nav.signOut}
      </RawButton>
    </form>
  );
}
