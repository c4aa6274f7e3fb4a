// What `next build` leaves out of .next/standalone: static files. After this, `node .next/standalone/server.js` is all
// that is needed to serve the portal.
import { cp } from "node:fs/promises";

await cp(".next/static", ".next/standalone/.next/static", { recursive: true });
await cp("public", ".next/standalone/public", { recursive: true, force: true }).catch((e) => {
  if (e.code !== "ENOENT") throw e;
});
