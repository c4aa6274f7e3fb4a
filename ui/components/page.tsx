import { Box } from "@chakra-ui/react";
import type { ComponentProps, ReactNode } from "react";

/** PageHeader is a page's name, a line about it and what can be done. */
export function PageHeader({ title, text, actions }: { title: string; text?: ReactNode; actions?: ReactNode }) {
  return (
    <Box display="flex" flexWrap="wrap" gap="4" alignItems="flex-end" justifyContent="space-between" mb="6">
      <Box minW="0">
        <Box as="h1" fontSize="2xl" fontWeight="semibold" letterSpacing="-0.02em" lineHeight="1.25">{title}</Box>
        {text && <Box color="fg.muted" mt="1">{text}</Box>}
      </Box>
      {actions && <Box display="flex" flexWrap="wrap" gap="2">{actions}</Box>}
    </Box>
  );
}

/** Panel is a sheet of what belongs together. */
export function Panel({ title, text, actions, children, flush, ...rest }: { title?: string; text?: ReactNode; actions?: ReactNode; flush?: boolean; children: ReactNode } & Omit<ComponentProps<typeof Box>, "title">) {
  return (
    <Box as="section" aria-label={title} bg="bg.panel" borderWidth="1px" borderRadius="lg" boxShadow="sm" mb="6" minW="0" overflow={flush ? "hidden" : undefined} {...rest}>
      {(title || actions) && (
        <Box display="flex" flexWrap="wrap" gap="3" justifyContent="space-between" alignItems="center" px={{ base: "4", md: "5" }} pt={{ base: "4", md: "5" }} pb={flush ? "4" : "0"}>
          <Box minW="0">
            {title && <Box as="h2" fontSize="md" fontWeight="semibold">{title}</Box>}
            {text && <Box color="fg.muted" mt="0.5">{text}</Box>}
          </Box>
          {actions}
        </Box>
      )}
      <Box p={flush ? "0" : { base: "4", md: "5" }}>{children}</Box>
    </Box>
  );
}
