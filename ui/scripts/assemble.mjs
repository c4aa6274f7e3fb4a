// What `next build` leaves out of .next/standalone: static files, and what serves TLS. After this,
// `node .next/standalone/serve.mjs` is all that is needed to serve the portal.
import { cp } from "node:fs/promises";

await cp("serve.mjs", ".next/standalone/serve.mjs");
await cp(".next/static", ".next/standalone/.next/static", { recursive: true });
await cp("public", ".next/standalone/public", { recursive: true, force: true }).catch((e) => {
  if (e.code !== "ENOENT") throw e;
});
