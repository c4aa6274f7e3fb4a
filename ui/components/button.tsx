"use client";
import { chakra } from "@chakra-ui/react/styled-system";
import NextLink from "next/link";
import type { ComponentProps, ReactNode } from "react";
import { badge, button, link } from "@/theme/recipes";

const Plain = chakra("button", button);

/** Button; while it is busy it cannot be pressed again, and keeps its place in the order of the Tab key. */
export function Button({ busy, disabled, children, onClick, ...rest }: ComponentProps<typeof Plain> & { busy?: boolean; children: ReactNode }) {
  const off = busy || disabled;
  return (
    <Plain type="button" {...rest} aria-disabled={off ? true : undefined} onClick={off ? (e) => e.preventDefault() : onClick}>
      {busy && <Spinner />}
      {children}
    </Plain>
  );
}

/** ButtonLink leads to a page and looks like a button. */
export const ButtonLink = chakra(NextLink, button);

/** TextLink is a link in a text or a table. */
export const TextLink = chakra(NextLink, link);

/** DownloadLink looks like a button and fetches a file, which the router must not prefetch. */
export const DownloadLink = chakra("a", button);

/** Badge is a state in a word; `colorPalette` colours it: green, orange, red, owl, gray. */
export const Badge = chakra("span", badge);

export function Spinner() {
  return <chakra.span w="4" h="4" borderRadius="full" borderWidth="2px" borderColor="currentColor" borderRightColor="transparent" animation="spin 700ms linear infinite" aria-hidden="true" />;
}

export const TabLink = chakra(NextLink, {
  base: {
    px: "3", minH: "7", display: "inline-flex", alignItems: "center", borderRadius: "sm", color: "fg.muted", fontWeight: "medium", textDecoration: "none", whiteSpace: "nowrap", focusVisibleRing: "outside",
    _hover: { color: "fg" },
    "&[aria-current]": { bg: "bg.panel", color: "fg", boxShadow: "sm" },
  },
});
