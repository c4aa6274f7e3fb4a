"use client";
import { defaultBaseConfig } from "@chakra-ui/react/preset-base";
import { createSystem, defineConfig } from "@chakra-ui/react/styled-system";

// Chakra's own theme holds the recipes of all its components and would be a third of what a page may load. This one
// has the same names for tokens; what the portal's own components look like is in recipes.ts.

const step = (values: Record<string, string>) => Object.fromEntries(Object.entries(values).map(([k, value]) => [k, { value }]));

const rem = [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 72, 80, 96];
const spacing = step(Object.fromEntries(rem.map((n) => [String(n), `${n / 4}rem`])));

const palettes = {
  gray: ["#f8f9fb", "#f1f3f6", "#e3e7ed", "#cdd3dd", "#98a2b3", "#667085", "#4a5468", "#343d4f", "#1f2635", "#151b27", "#0d121b"],
  owl: ["#eff1fe", "#e0e4fd", "#c5ccfb", "#a0acf7", "#7c8bf0", "#5a68e4", "#4652cf", "#3a44ab", "#303887", "#23295f", "#161a3d"],
  red: ["#fef3f2", "#fee4e2", "#fecdca", "#fda29b", "#f97066", "#e5484d", "#c2302f", "#a12723", "#7f1d1d", "#55160c", "#330b06"],
  orange: ["#fff8eb", "#feefc7", "#fedf89", "#fec84b", "#f5a524", "#d97f0b", "#a85b07", "#8a4a0b", "#6f3c0f", "#4a2609", "#2b1505"],
  green: ["#ecfdf3", "#d5f5e1", "#abefc6", "#75dfa6", "#41c283", "#1c9c62", "#12784b", "#0f6040", "#0e4d35", "#083824", "#042115"],
} as const;
const shades = ["50", "100", "200", "300", "400", "500", "600", "700", "800", "900", "950"];

const colors: Record<string, Record<string, { value: string }>> = {};
for (const [name, values] of Object.entries(palettes)) colors[name] = step(Object.fromEntries(values.map((v, i) => [shades[i] ?? "", v])));

const both = (_light: string, _dark: string) => ({ value: { _light, _dark } });

const palette = (name: string) => ({
  solid: both(`{colors.${name}.600}`, `{colors.${name}.500}`),
  contrast: both("white", "white"),
  fg: both(`{colors.${name}.700}`, `{colors.${name}.300}`),
  subtle: both(`{colors.${name}.50}`, `{colors.${name}.950}`),
  muted: both(`{colors.${name}.100}`, `{colors.${name}.900}`),
  emphasized: both(`{colors.${name}.200}`, `{colors.${name}.800}`),
  focusRing: both("{colors.owl.500}", "{colors.owl.400}"),
  border: both(`{colors.${name}.200}`, `{colors.${name}.800}`),
});

const config = defineConfig({
  cssVarsPrefix: "ao",
  preflight: true,
  globalCss: {
    "*, *::before, *::after": { borderColor: "border", borderStyle: "solid", borderWidth: "0", boxSizing: "border-box" },
    html: { colorPalette: "owl", fontFamily: "body", lineHeight: "1.5", color: "fg", bg: "bg", colorScheme: "light", scrollPaddingTop: "5rem", textSizeAdjust: "100%", overflowWrap: "break-word" },
    "html.dark": { colorScheme: "dark" },
    body: { minH: "100dvh", fontSize: "sm" },
    "::placeholder": { color: "fg.subtle" },
    "h1, h2, h3": { textWrap: "balance" },
    "*, *::before, *::after, dialog::backdrop": { "@media (prefers-reduced-motion: reduce)": { animationDuration: "1ms !important", transitionDuration: "1ms !important" } },
    "nav, header, [data-no-print]": { "@media print": { display: "none !important" } },
  },
  theme: {
    breakpoints: { sm: "480px", md: "768px", lg: "1024px", xl: "1280px" },
    keyframes: { spin: { to: { transform: "rotate(360deg)" } }, pulse: { "50%": { opacity: "0.5" } }, rise: { from: { opacity: "0", transform: "translateY(6px)" } } },
    tokens: {
      spacing,
      sizes: { ...spacing, ...step({ full: "100%", xs: "20rem", sm: "24rem", md: "28rem", lg: "32rem", xl: "36rem", "2xl": "42rem", "4xl": "56rem", "6xl": "72rem" }) },
      radii: step({ xs: "0.125rem", sm: "0.25rem", md: "0.5rem", lg: "0.75rem", xl: "1rem", full: "9999px" }),
      fontSizes: step({ xs: "0.75rem", sm: "0.875rem", md: "1rem", lg: "1.125rem", xl: "1.25rem", "2xl": "1.5rem", "3xl": "1.875rem" }),
      fontWeights: step({ normal: "400", medium: "500", semibold: "600", bold: "700" }),
      fonts: step({
        body: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', Ubuntu, Cantarell, 'Helvetica Neue', Arial, sans-serif",
        mono: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace",
      }),
      colors,
      durations: step({ fast: "120ms" }),
      zIndex: { sticky: { value: 20 }, overlay: { value: 40 } },
    },
    semanticTokens: {
      colors: {
        bg: {
          DEFAULT: both("{colors.gray.50}", "{colors.gray.950}"),
          panel: both("white", "{colors.gray.900}"),
          subtle: both("{colors.gray.50}", "{colors.gray.950}"),
          muted: both("{colors.gray.100}", "{colors.gray.800}"),
          error: both("{colors.red.50}", "{colors.red.950}"),
          warning: both("{colors.orange.50}", "{colors.orange.950}"),
          success: both("{colors.green.50}", "{colors.green.950}"),
          info: both("{colors.owl.50}", "{colors.owl.950}"),
        },
        fg: {
          DEFAULT: both("{colors.gray.900}", "{colors.gray.50}"),
          muted: both("{colors.gray.600}", "{colors.gray.300}"),
          subtle: both("{colors.gray.500}", "{colors.gray.400}"),
          error: both("{colors.red.600}", "{colors.red.300}"),
          warning: both("{colors.orange.700}", "{colors.orange.300}"),
          success: both("{colors.green.700}", "{colors.green.300}"),
        },
        border: {
          DEFAULT: both("{colors.gray.200}", "{colors.gray.800}"),
          emphasized: both("{colors.gray.300}", "{colors.gray.700}"),
          // WCAG 1.4.11: 3:1 against what is beside it.
          control: both("#8b95a7", "{colors.gray.500}"),
        },
        gray: palette("gray"),
        owl: palette("owl"),
        red: palette("red"),
        orange: palette("orange"),
        green: palette("green"),
      },
      shadows: {
        sm: both("0 1px 2px rgb(16 24 40 / 6%)", "0 1px 2px rgb(0 0 0 / 40%)"),
        lg: both("0 12px 32px rgb(16 24 40 / 16%)", "0 12px 32px rgb(0 0 0 / 60%)"),
      },
    },
  },
});

export const system = createSystem(defaultBaseConfig, config);
