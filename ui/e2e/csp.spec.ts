import { expect, portal, test } from "./test";

// What is tried here is what the browser is to complain of.
test.use({ complaints: /violates the following Content Security Policy directive/ });

test("no script runs that is not the portal's", async ({ request, signInAs }) => {
  const nonces = new Set<string>();
  for (const path of ["/signin", "/forgot", "/no/such/page"]) {
    const csp = (await request.get(portal() + path)).headers()["content-security-policy"] ?? "";
    const script = csp.split("; ").find((d) => d.startsWith("script-src")) ?? "";
    expect(script).toMatch(/^script-src 'self' 'nonce-[\w+/=]{20,}' 'strict-dynamic'$/);
    expect(csp).toContain("default-src 'none'");
    expect(csp).not.toContain("unsafe-eval");
    expect(csp.split("; ").find((d) => d.startsWith("style-src "))).not.toContain("unsafe-inline");
    nonces.add(script);
  }
  expect(nonces.size).toBe(3);
  const page = await signInAs("user");
  await page.goto("/dashboard");
  // A script that somebody gets into the page does not run.
  await page.evaluate(() => {
    const s = document.createElement("div");
    s.innerHTML = '<img src="x" onerror="window.ran = true"><a href="javascript:window.ran = true">x</a>';
    document.body.append(s);
    s.querySelector("a")?.click();
  });
  await expect.poll(() => page.evaluate(() => document.querySelector('img[src="x"]') !== null)).toBe(true);
  expect(await page.evaluate(() => "ran" in window)).toBe(false);
});
