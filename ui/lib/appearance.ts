export type Appearance = "light" | "dark" | "system";

export function appearanceOf(cookie: string | undefined): Appearance {
  return cookie === "light" || cookie === "dark" ? cookie : "system";
}
