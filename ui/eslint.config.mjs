import { defineConfig, globalIgnores } from "eslint/config";
import next from "eslint-config-next/core-web-vitals";
import typescript from "eslint-config-next/typescript";

export default defineConfig([
  ...next,
  ...typescript,
  globalIgnores([".next/**", "next-env.d.ts", "lib/api/schema.d.ts", "test-results/**"]),
  {
    rules: {
      // Nothing that a browser runs may log: what is wrong is said on the page.
      "no-console": "error",
      "react/no-danger": "error",
      eqeqeq: "error",
    },
  },
  { files: ["scripts/**", "e2e/**"], rules: { "no-console": "off", "react-hooks/rules-of-hooks": "off" } },
]);
