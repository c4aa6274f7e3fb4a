import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { connect } from "node:tls";
import { expect } from "@playwright/test";
import { generate } from "selfsigned";
import { ended, freePort, says } from "./setup";
import { apiOrigin, sample, signIn, test } from "./test";

// A portal that speaks TLS itself, as the one behind a load balancer does.
test.describe.configure({ mode: "serial" });

const serve = path.join(import.meta.dirname, "../.next/standalone/serve.mjs");

let dir = "";
let port = 0;
let server: ChildProcess;
let origin = "";
const file = (name: string) => path.join(dir, name);

async function issue() {
  const pair = await generate([{ name: "commonName", value: "ui" }], {
    keyType: "ec", curve: "P-256", extensions: [{ name: "subjectAltName", altNames: [{ type: 2, value: "localhost" }] }],
  });
  return { cert: pair.cert, key: pair.private };
}

/** presented is the certificate that the portal has, in PEM. */
function presented(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, servername: "localhost", rejectUnauthorized: false }, () => {
      const der = socket.getPeerCertificate().raw.toString("base64");
      socket.destroy();
      resolve(der);
    });
    socket.on("error", reject);
  });
}

const der = (pem: string) => pem.replaceAll(/-----.*-----|\s/g, "");

test.beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "angelowl-tls-"));
  const first = await issue();
  await writeFile(file("tls.crt"), first.cert);
  await writeFile(file("tls.key"), first.key);
  port = await freePort();
  origin = `https://localhost:${port}`;
  server = spawn(process.execPath, [serve], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env, NODE_ENV: "production", API_ORIGIN: apiOrigin(), PORTAL_ORIGIN: origin, PORTAL_SESSION_SECRET: process.env.E2E_SECRET, HOSTNAME: "127.0.0.1", PORT: String(port),
      TLS_CERT_FILE: file("tls.crt"), TLS_KEY_FILE: file("tls.key"),
    },
  });
  await says(server, /Ready/, "the portal");
  expect(await presented()).toBe(der(first.cert));
});

test.afterAll(async () => {
  await ended(server);
  await rm(dir, { recursive: true, force: true });
});

test("people sign in over TLS, and their session goes no other way", async ({ browser }) => {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  await signIn(context.request, sample("user"), origin);
  const page = await context.newPage();
  await page.goto(origin + "/account");
  await expect(page.getByLabel("First name")).toBeVisible();
  const cookies = await context.cookies(origin);
  expect(cookies.filter((c) => !c.secure).map((c) => c.name)).toEqual([]);
  expect(cookies.length).toBeGreaterThan(0);
  await context.close();
});

test("plain HTTP is not answered", async () => {
  const why = await new Promise<string>((resolve) => {
    http.get(`http://127.0.0.1:${port}/signin`, (r) => resolve(`it answers ${r.statusCode}`)).on("error", (e) => resolve(e.message));
  });
  expect(why).toMatch(/socket hang up|ECONNRESET/);
});

test("a certificate that is renewed is taken, and one that is half there is not", async () => {
  const before = await presented();
  const [half, next] = [await issue(), await issue()];
  const heard = says(server, /the one before is served on/, "the portal");
  await writeFile(file("tls.key"), half.key);
  await heard;
  expect(await presented()).toBe(before);
  await writeFile(file("tls.key"), next.key);
  await writeFile(file("tls.crt"), next.cert);
  await expect.poll(presented, { timeout: 60_000 }).toBe(der(next.cert));
});

for (const [name, settings, words] of [
  ["a certificate alone", { TLS_CERT_FILE: "tls.crt" }, /belong together/],
  ["a key alone", { TLS_KEY_FILE: "tls.key" }, /belong together/],
  ["files that are not there", { TLS_CERT_FILE: "tls.crt", TLS_KEY_FILE: "none.key" }, /cannot be used: ENOENT/],
] as const) {
  test(`${name} stops the portal at its start`, async () => {
    const env = Object.fromEntries(Object.entries(settings).map(([k, v]) => [k, file(v)]));
    const p = spawn(process.execPath, [serve], { stdio: ["ignore", "pipe", "pipe"], env: { NODE_ENV: "production", PATH: process.env.PATH, PORT: "0", ...env } });
    let said = "";
    p.stderr.on("data", (b: Buffer) => (said += b.toString()));
    const code = await new Promise((resolve) => p.once("close", resolve));
    expect(said).toMatch(words);
    expect(code).toBe(1);
  });
}
