import { type ChildProcess, spawn } from "node:child_process";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { expect, test } from "@playwright/test";
import { ended, freePort, says } from "./setup";
import { accessible, signIn } from "./test";

// A gateway whose tokens are about to expire: only so does a refresh come within a test. Its refresh tokens are as
// profiler's are: good once, and a second use ends the session.
class Gateway {
  refreshes = 0;
  reused = 0;
  away = false;
  private readonly used = new Set<string>();
  private readonly short = new Set<string>();
  private n = 0;
  private over = false;
  private readonly server: Server;

  constructor() {
    this.server = createServer((req, res) => {
      if (this.away) return void req.socket.destroy();
      void this.answer(req).then(([status, body]) => res.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body)));
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((done) => this.server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  private async answer(req: IncomingMessage): Promise<[number, unknown]> {
    let text = "";
    for await (const part of req) text += String(part);
    switch (req.url) {
      case "/auth/login":
        return [200, { data: this.session(30) }];
      case "/auth/refresh": {
        const { refresh_token: token } = JSON.parse(text) as { refresh_token: string };
        this.refreshes++;
        if (this.used.has(token)) {
          this.reused++;
          this.over = true;
        }
        this.used.add(token);
        if (this.over) return [401, { error: "sign in again", code: "invalid_refresh_token" }];
        await new Promise((resolve) => setTimeout(resolve, 300)); // so that others come meanwhile
        return [200, { data: this.session(1200) }];
      }
    }
    // A token that is about to expire has expired when it arrives, so that a page shows whether it got the new one.
    if (this.over || this.short.has(req.headers.authorization?.slice("Bearer ".length) ?? "")) return [401, { error: "sign in again", code: "session_ended" }];
    if (req.url?.startsWith("/user/")) return [200, { data: { id: id, first_name: "Rae", last_name: "", phone: "", email: "rae@test.example", Role: "user", version: 1, reward_emails: true, CreditCards: [] } }];
    return [200, { data: [], page_no: 1, page_size: 100, total: 0 }];
  }

  private session(expires: number) {
    this.n++;
    const claims = Buffer.from(JSON.stringify({ role: "user" })).toString("base64url");
    const token = `x.${claims}.${this.n}`;
    if (expires < 60) this.short.add(token);
    return { token, user_id: id, is_new: false, must: "", refresh_token: `refresh-${this.n}`, expires_in: expires };
  }
}

const id = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";

test.describe.configure({ mode: "serial" });

let gateway: Gateway;
let server: ChildProcess;
let origin = "";

test.beforeAll(async () => {
  gateway = new Gateway();
  const api = await gateway.listen();
  const port = await freePort();
  origin = `http://127.0.0.1:${port}`;
  server = spawn(process.execPath, [path.join(import.meta.dirname, "../.next/standalone/serve.mjs")], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_ENV: "production", API_ORIGIN: api, PORTAL_ORIGIN: origin, PORTAL_SESSION_SECRET: process.env.E2E_SECRET, HOSTNAME: "127.0.0.1", PORT: String(port) },
  });
  await says(server, /Ready/, "the portal");
});

test.afterAll(async () => {
  await ended(server);
  gateway.close();
});

test("a refresh token is used once, however many requests come at once or late", async ({ playwright }) => {
  const client = await playwright.request.newContext({ baseURL: origin });
  await signIn(client, { email: "rae@test.example", password: "x" }, origin);
  const old = await client.storageState();

  // Tabs that load at once, all with the cookie of before.
  const all = await Promise.all(Array.from({ length: 12 }, async () => (await playwright.request.newContext({ baseURL: origin, storageState: old })).get("/account")));
  expect(all.map((r) => [r.status(), new URL(r.url()).pathname])).toEqual(all.map(() => [200, "/account"]));
  expect(gateway.refreshes).toBe(1);

  // One that comes later with it, and one that goes on with the new one.
  const late = await (await playwright.request.newContext({ baseURL: origin, storageState: old })).get("/account");
  expect(new URL(late.url()).pathname).toBe("/account");
  expect(new URL((await client.get("/account")).url()).pathname).toBe("/account");
  expect([gateway.refreshes, gateway.reused]).toEqual([1, 0]);
});

test("a gateway that is away is said, and the session outlives it", async ({ page, context }) => {
  await signIn(context.request, { email: "rae@test.example", password: "x" }, origin);
  await page.goto(origin + "/account");
  await expect(page.getByLabel("First name")).toHaveValue("Rae");
  gateway.away = true;
  await page.goto(origin + "/account");
  await expect(page.getByRole("heading", { name: "This could not be loaded" })).toBeVisible();
  await expect(page.getByText("The service does not answer just now.")).toBeVisible();
  await accessible(page);
  gateway.away = false;
  await page.getByRole("link", { name: "Try again" }).click();
  await expect(page.getByLabel("First name")).toHaveValue("Rae");
});
