import { Box } from "@chakra-ui/react";
import { Icon } from "@/components/icons";
import { manage } from "@/messages/en/manage";

/** Warnings are what the API said to look at. */
export function Warnings({ all }: { all?: readonly string[] }) {
  if (!all?.length) return null;
  return (
    <Box role="status" display="flex" gap="3" bg="bg.warning" color="fg.warning" borderWidth="1px" borderColor="orange.border" borderRadius="md" p="3" mb="6">
      <Icon name="warning" size={18} style={{ flexShrink: 0, marginTop: 1 }} />
      <Box minW="0" overflowWrap="anywhere"><b>{manage.live.warning}.</b>{all.map((w) => <Box key={w}>{w.charAt(0).toUpperCase() + w.slice(1)}.</Box>)}</Box>
    </Box>
  );
}
