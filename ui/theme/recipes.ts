import { defineRecipe } from "@chakra-ui/react/styled-system";

export const button = defineRecipe({
  className: "button",
  base: {
    display: "inline-flex",
    alignItems: "center",
    justifyContent: "center",
    gap: "2",
    borderRadius: "md",
    borderWidth: "1px",
    borderColor: "transparent",
    fontWeight: "medium",
    lineHeight: "1.2",
    textAlign: "center",
    cursor: "pointer",
    flexShrink: "0",
    userSelect: "none",
    textDecoration: "none",
    transition: "background 120ms, border-color 120ms, color 120ms",
    focusVisibleRing: "outside",
    "&:disabled, &[aria-disabled=true]": { opacity: 0.55, cursor: "not-allowed" },
  },
  variants: {
    size: {
      sm: { minH: "8", px: "3", fontSize: "sm", py: "1" },
      md: { minH: "10", px: "4", fontSize: "sm", py: "1.5" },
      icon: { minH: "10", minW: "10", p: "0" },
    },
    variant: {
      solid: { bg: "colorPalette.solid", color: "colorPalette.contrast", _hover: { bg: "color-mix(in srgb, {colors.colorPalette.solid} 88%, black)" } },
      outline: { bg: "bg.panel", borderColor: "border.emphasized", color: "fg", _hover: { bg: "bg.muted" } },
      ghost: { bg: "transparent", color: "fg.muted", _hover: { bg: "bg.muted", color: "fg" } },
      plain: { bg: "transparent", color: "colorPalette.fg", minH: "auto", px: "0", py: "0", textDecoration: "underline", textUnderlineOffset: "3px" },
    },
  },
  defaultVariants: { size: "md", variant: "solid" },
});

export const input = defineRecipe({
  className: "input",
  base: {
    width: "100%",
    minWidth: "0",
    minH: "10",
    px: "3",
    fontSize: "sm",
    borderRadius: "md",
    borderWidth: "1px",
    borderColor: "border.control",
    bg: "bg.panel",
    color: "fg",
    transition: "border-color 120ms",
    focusVisibleRing: "inside",
    _hover: { borderColor: "fg.subtle" },
    "&[aria-invalid=true]": { borderColor: "fg.error" },
    "&:disabled, &:read-only:not(select)": { bg: "bg.muted", color: "fg.muted" },
  },
});

export const badge = defineRecipe({
  className: "badge",
  base: {
    display: "inline-flex",
    alignItems: "center",
    gap: "1.5",
    px: "2",
    py: "0.5",
    borderRadius: "full",
    fontSize: "xs",
    fontWeight: "medium",
    lineHeight: "1.4",
    whiteSpace: "nowrap",
    bg: "colorPalette.subtle",
    color: "colorPalette.fg",
    borderWidth: "1px",
    borderColor: "colorPalette.border",
  },
});

export const link = defineRecipe({
  className: "link",
  base: { color: "owl.fg", textDecoration: "underline", textUnderlineOffset: "3px", textDecorationThickness: "1px", textDecorationColor: "color-mix(in srgb, currentColor 35%, transparent)", borderRadius: "xs", focusVisibleRing: "outside", _hover: { textDecorationColor: "currentColor" } },
});
