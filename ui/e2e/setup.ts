import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

const ui = path.join(import.meta.dirname, "..");
const root = path.join(ui, "..");

/** The whole system as `angelowl up` runs it, with the example, and the portal as it is built. Once for all tests. */
export default async function setup() {
  const angelowl = process.env.ANGELOWL || path.join(root, "bin/angelowl");
  const server = path.join(ui, ".next/standalone/server.js");
  if (!existsSync(angelowl)) throw new Error(`${angelowl} is missing: run \`make build\` first`);
  if (!existsSync(server)) throw new Error(`${server} is missing: run \`npm run build\` first`);

  const data = await mkdtemp(path.join(tmpdir(), "angelowl-ui-"));
  const [apiPort, portalPort] = [await freePort(), await freePort()];
  const api = `http://127.0.0.1:${apiPort}`;
  const portal = `http://127.0.0.1:${portalPort}`;
  const started: ChildProcess[] = [];
  const stop = async () => {
    for (const p of started.reverse()) await ended(p);
    await rm(data, { recursive: true, force: true });
  };
  try {
    const examples = path.join(root, "examples");
    const up = spawn(
      angelowl,
      ["up", "--data", data, "--listen", `127.0.0.1:${apiPort}`, "--portal", `127.0.0.1:${portalPort}`, "--sample-users", "--home", "CAD", "--timezone", "America/Toronto",
        "--rules", path.join(examples, "rules.json"), "--fx", path.join(examples, "quotes.csv"), path.join(examples, "spend.csv")],
      { stdio: ["ignore", "pipe", "pipe"], cwd: root },
    );
    started.push(up);
    // It says so once both answer, and that there is no portal where there is none.
    await says(up, new RegExp(`Open\\s+${portal}`), "angelowl up");
  } catch (error) {
    await stop();
    throw error;
  }
  process.env.E2E_API = api;
  process.env.E2E_PORTAL = portal;
  process.env.E2E_DATA = data;
  process.env.E2E_SECRET = (await readFile(path.join(data, "portal.key"), "utf8")).trim();
  return stop;
}

/** freePort is below those of outgoing connections, one of which might take it before its program does. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    const free = await new Promise<boolean>((resolve) => {
      const s = createServer().once("error", () => resolve(false));
      s.listen(port, "127.0.0.1", () => s.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error("no port is free");
}

/** says waits until a program has written something. */
export function says(p: ChildProcess, what: RegExp, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let all = "";
    const hear = (b: Buffer) => {
      all = (all + b.toString()).slice(-20_000);
      if (what.test(all)) resolve();
    };
    p.stdout?.on("data", hear);
    p.stderr?.on("data", hear);
    p.once("error", reject);
    p.once("exit", (code) => reject(new Error(`${name} ended with ${code}:\n${all}`)));
    setTimeout(() => reject(new Error(`${name} does not start:\n${all}`)), 120_000).unref();
  });
}

export function ended(p: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (p.exitCode !== null || p.signalCode !== null) return resolve();
    const force = setTimeout(() => p.kill("SIGKILL"), 30_000);
    p.once("exit", () => {
      clearTimeout(force);
      resolve();
    });
    p.kill("SIGTERM");
  });
}
