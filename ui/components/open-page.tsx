import { Box } from "@chakra-ui/react";
import type { ReactNode } from "react";

/** OpenPage is the sheet of a page that needs no session. */
export function OpenPage({ title, text, children }: { title: string; text?: ReactNode; children: ReactNode }) {
  return (
    <>
      <Box as="h1" fontSize="xl" fontWeight="semibold" letterSpacing="-0.01em">{title}</Box>
      <Box color="fg.muted" mt="1" mb="6">{text}</Box>
      {children}
    </>
  );
}

export function Note({ children }: { children: ReactNode }) {
  return <Box role="status" bg="bg.info" borderWidth="1px" borderColor="owl.border" borderRadius="md" p="3" mb="5">{children}</Box>;
}
