"use client";
import { Box, chakra } from "@chakra-ui/react";
import NextLink from "next/link";
import { usePathname } from "next/navigation";
import { useState } from "react";
import type { NavGroup, NavItem } from "@/lib/nav";
import { common } from "@/messages/en/common";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { Icon } from "./icons";

const Anchor = chakra(NextLink);

/** The item of the longest address that the page's begins with is the present one. */
function present(path: string, items: NavItem[]): string | undefined {
  return items.filter((i) => path === i.href || path.startsWith(i.href + "/")).sort((a, b) => b.href.length - a.href.length)[0]?.href;
}

export function Nav({ groups, onFollow }: { groups: NavGroup[]; onFollow?: () => void }) {
  const path = usePathname();
  const here = present(path, groups.flatMap((g) => g.items));
  return (
    <Box as="nav" aria-label={common.nav.label} display="grid" gap="5">
      {groups.map((g, i) => (
        <Box key={g.label ?? i}>
          {g.label && <Box fontSize="xs" fontWeight="medium" color="fg.muted" px="3" mb="1">{g.label}</Box>}
          <Box as="ul" listStyleType="none" p="0" m="0" display="grid" gap="0.5">
            {g.items.map((item) => (
              <li key={item.href}>
                <Anchor
                  href={item.href} onClick={onFollow} aria-current={item.href === here ? "page" : undefined}
                  display="flex" alignItems="center" gap="3" px="3" minH="9" borderRadius="md" color="fg.muted" fontWeight="medium" textDecoration="none" focusVisibleRing="inside"
                  css={{ _hover: { bg: "bg.muted", color: "fg" }, "&[aria-current]": { bg: "owl.subtle", color: "owl.fg" } }}
                >
                  <Icon name={item.icon} size={18} />
                  {item.label}
                </Anchor>
              </li>
            ))}
          </Box>
        </Box>
      ))}
    </Box>
  );
}

/** MobileMenu is the navigation where there is no room for it beside the page. */
export function MobileMenu({ groups }: { groups: NavGroup[] }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button variant="ghost" size="icon" aria-label={common.menu} aria-haspopup="dialog" aria-expanded={open} onClick={() => setOpen(true)}><Icon name="menu" /></Button>
      <Dialog open={open} onClose={() => setOpen(false)} title={common.product} side="start">
        <Nav groups={groups} onFollow={() => setOpen(false)} />
      </Dialog>
    </>
  );
}
