import { Box } from "@chakra-ui/react";
import NextLink from "next/link";
import { redirect } from "next/navigation";
import type { ReactNode } from "react";
import { Brand } from "@/components/brand";
import { Icon } from "@/components/icons";
import { MobileMenu, Nav } from "@/components/nav";
import { SessionKeeper } from "@/components/session";
import { SignOut } from "@/components/sign-out";
import { SkipLink } from "@/components/skip-link";
import { home, navigation } from "@/lib/nav";
import { session } from "@/lib/session/session";
import { common } from "@/messages/en/common";
import { Main, Span } from "@/components/html";

/** Every page for who has signed in stands in here: navigation, the account, what tells of a lost session or network. */
export default async function Portal({ children }: { children: ReactNode }) {
  const s = await session();
  if (!s) redirect("/signin");
  const groups = navigation[s.role];
  return (
    <SessionKeeper email={s.email}>
      <SkipLink />
      <Box display={{ lg: "grid" }} gridTemplateColumns={{ lg: "15rem minmax(0, 1fr)" }} minH="100dvh">
        <Box as="aside" display={{ base: "none", lg: "flex" }} flexDirection="column" gap="6" position="sticky" top="0" h="100dvh" overflowY="auto" borderRightWidth="1px" bg="bg.panel" px="3" py="5" data-no-print>
          <Box px="3"><Home href={home[s.role]} /></Box>
          <Nav groups={groups} />
          <Box mt="auto"><Who email={s.email} role={common.roles[s.role]} /></Box>
        </Box>
        <Box minW="0">
          <Box as="header" display={{ base: "flex", lg: "none" }} alignItems="center" justifyContent="space-between" px="3" py="2" bg="bg.panel" borderBottomWidth="1px" position="sticky" top="0" zIndex="sticky">
            <Box display="flex" alignItems="center" gap="1"><MobileMenu groups={groups} /><Home href={home[s.role]} /></Box>
            <Box display="flex" alignItems="center"><AccountLink compact /><SignOut compact /></Box>
          </Box>
          <Main id="content" tabIndex={-1} outline="0" display="block" px={{ base: "4", md: "8" }} py={{ base: "5", md: "8" }} maxW="76rem" mx="auto">
            {children}
          </Main>
        </Box>
      </Box>
    </SessionKeeper>
  );
}

function Home({ href }: { href: string }) {
  return <Span display="inline-flex" css={{ "& a": { display: "inline-flex", borderRadius: "md", textDecoration: "none", color: "fg" } }}><NextLink href={href}><Brand /></NextLink></Span>;
}

function Who({ email, role }: { email: string; role: string }) {
  return (
    <Box borderTopWidth="1px" pt="4" px="3">
      <Box fontWeight="medium" overflowWrap="anywhere">{email}</Box>
      <Box color="fg.muted" fontSize="xs" mb="3">{role}</Box>
      <Box display="flex" gap="4"><AccountLink /><SignOut /></Box>
    </Box>
  );
}

function AccountLink({ compact }: { compact?: boolean }) {
  return (
    <Span css={{ "& a": { display: "inline-flex", alignItems: "center", justifyContent: "center", gap: "1.5", minH: compact ? "10" : "6", minW: compact ? "10" : undefined, color: "fg.muted", borderRadius: "md", textDecoration: "none", _hover: { color: "fg" } } }}>
      <NextLink href="/account" aria-label={compact ? common.nav.account : undefined}><Icon name="user" size={compact ? 20 : 16} />{!compact && common.nav.account}</NextLink>
    </Span>
  );
}
