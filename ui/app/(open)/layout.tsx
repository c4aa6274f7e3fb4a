import { Box } from "@chakra-ui/react";
import type { ReactNode } from "react";
import { Brand } from "@/components/brand";
import { Main } from "@/components/html";

/** What can be seen without signing in. */
export default function Open({ children }: { children: ReactNode }) {
  return (
    <Main display="flex" flexDirection="column" alignItems="center" minH="100dvh" px="4" pt={{ base: "10", md: "24" }} pb="10">
      <Box mb="8"><Brand /></Box>
      <Box w="full" maxW="sm" bg="bg.panel" borderWidth="1px" borderRadius="xl" boxShadow="sm" p={{ base: "5", sm: "8" }}>{children}</Box>
    </Main>
  );
}
