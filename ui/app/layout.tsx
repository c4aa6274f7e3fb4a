import type { Metadata, Viewport } from "next";
import { cookies, headers } from "next/headers";
import type { ReactNode } from "react";
import { Appearance } from "@/components/appearance-script";
import { Toasts } from "@/components/toasts";
import { appearanceOf } from "@/lib/appearance";
import { common } from "@/messages/en/common";
import { ThemeProvider } from "@/theme/provider";

export const metadata: Metadata = { title: { default: common.product, template: `%s · ${common.product}` }, robots: { index: false } };
export const viewport: Viewport = { themeColor: [{ media: "(prefers-color-scheme: light)", color: "#f8f9fb" }, { media: "(prefers-color-scheme: dark)", color: "#0d121b" }] };

export default async function Root({ children }: { children: ReactNode }) {
  const nonce = (await headers()).get("x-nonce") ?? "";
  const appearance = appearanceOf((await cookies()).get("appearance")?.value);
  return (
    <html lang="en" className={appearance === "dark" ? "dark" : "light"} suppressHydrationWarning>
      <head><Appearance nonce={nonce} /></head>
      <body>
        <ThemeProvider nonce={nonce}>
          <Toasts>{children}</Toasts>
        </ThemeProvider>
      </body>
    </html>
  );
}
