import { Box } from "@chakra-ui/react";
import { TextLink } from "@/components/button";
import { Icon } from "@/components/icons";

/** Back leads to the list that a page belongs to. */
export function Back({ href, label }: { href: string; label: string }) {
  return (
    <Box mb="3">
      <TextLink href={href} color="fg.muted" textDecoration="none" display="inline-flex" alignItems="center" gap="1" _hover={{ color: "fg" }}>
        <Icon name="chevron" size={14} style={{ transform: "rotate(180deg)" }} />{label}
      </TextLink>
    </Box>
  );
}
