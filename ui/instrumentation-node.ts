import { config } from "./lib/config";

// Wrong settings stop the portal at its start, not at somebody's first request.
try {
  config();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
