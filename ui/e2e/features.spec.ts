import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@playwright/test";
import { features } from "./features";

test("every feature has its test", () => {
  const missing: string[] = [];
  for (const [who, parts] of Object.entries(features)) {
    for (const [what, [file, title]] of Object.entries(parts)) {
      const text = readdirSync(import.meta.dirname).includes(file) ? readFileSync(path.join(import.meta.dirname, file), "utf8") : "";
      if (!text.includes(`\ntest(${JSON.stringify(title)}, `)) missing.push(`${who}, ${what}: ${file} has no test "${title}"`);
    }
  }
  expect(missing).toEqual([]);
});
