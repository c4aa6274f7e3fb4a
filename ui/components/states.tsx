import { Box } from "@chakra-ui/react";
import type { ReactNode } from "react";
import { common } from "@/messages/en/common";
import { ButtonLink } from "./button";
import { Icon, type IconName } from "./icons";

/** Notice is a page, or a part of one, that has nothing but a message: what it is, and the way on. */
export function Notice({ icon, title, text, small, action, level = 2 }: { icon: IconName; title: string; text: ReactNode; small?: string; action?: { href: string; label: string }; level?: 1 | 2 | 3 }) {
  return (
    <Box textAlign="center" py={{ base: "10", md: "16" }} px="4" maxW="md" mx="auto">
      <Box display="inline-flex" p="3" mb="4" borderRadius="full" bg="bg.muted" color="fg.muted"><Icon name={icon} size={24} /></Box>
      <Box as={`h${level}`} fontSize="lg" fontWeight="semibold">{title}</Box>
      <Box color="fg.muted" mt="1.5">{text}</Box>
      {small && <Box color="fg.muted" fontSize="xs" mt="3" fontFamily="mono" wordBreak="break-all">{small}</Box>}
      {action && <ButtonLink href={action.href} variant="outline" mt="5">{action.label}</ButtonLink>}
    </Box>
  );
}

/** Empty says that there is nothing, and what to do about it. */
export function Empty(props: Omit<Parameters<typeof Notice>[0], "icon"> & { icon?: IconName }) {
  return <Notice icon={props.icon ?? "search"} {...props} />;
}

/** Loading is the shape of what is coming. */
export function Loading({ rows = 6, title = true }: { rows?: number; title?: boolean }) {
  return (
    <Box role="status" aria-label={common.loading} animation="pulse 1.6s ease-in-out infinite">
      {title && <Box h="8" w="48" bg="bg.muted" borderRadius="md" mb="6" />}
      <Box borderWidth="1px" borderRadius="lg" bg="bg.panel" p="5" display="grid" gap="4">
        {Array.from({ length: rows }, (_, i) => <Box key={i} h="5" bg="bg.muted" borderRadius="sm" w={`${95 - ((i * 17) % 40)}%`} />)}
      </Box>
    </Box>
  );
}
