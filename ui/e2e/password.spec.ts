import { chosen, mailTo, newUser, readyUser } from "./accounts";
import { accessible, alert, expect, fits, test } from "./test";

test("a first password has to be changed before anything else", async ({ page, apiAs }) => {
  const who = await newUser(await apiAs("admin"));
  await page.goto("/signin");
  await page.getByLabel("Email").fill(who.email);
  await page.getByLabel("Password", { exact: true }).fill(who.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Choose a password" })).toBeVisible();
  await accessible(page);

  await page.getByLabel("First password, from the mail").fill(who.password);
  await page.getByLabel("New password", { exact: true }).fill("short");
  await page.getByLabel("New password again").fill("other");
  await page.getByRole("button", { name: "Save and go on" }).click();
  // The server says what is wrong, at the fields, and the first of them has the focus.
  await expect(page.getByLabel("New password", { exact: true })).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByLabel("New password", { exact: true })).toBeFocused();
  await expect(page.getByLabel("New password again")).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByLabel("First password, from the mail")).toHaveValue(who.password);
  await accessible(page);
  await fits(page);

  await page.getByLabel("New password", { exact: true }).fill(chosen);
  await page.getByLabel("New password again").fill(chosen);
  await page.getByRole("button", { name: "Save and go on" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Dashboard" })).toBeVisible();
});

test("a forgotten password is replaced by the link of a mail", async ({ page, request, apiAs }) => {
  const who = await readyUser(await apiAs("admin"), request);
  await page.goto("/signin");
  await page.getByRole("link", { name: "Forgotten your password?" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Forgotten password" })).toBeVisible();
  await accessible(page);
  await page.getByRole("button", { name: "Send the link" }).click();
  await expect(page.getByLabel("Email")).toHaveAttribute("aria-invalid", "true");
  await page.getByLabel("Email").fill(who.email);
  await page.getByRole("button", { name: "Send the link" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Look into" })).toContainText(`If ${who.email} has an account here`);
  await accessible(page);
  await fits(page);

  const mail = await mailTo(request, who.email, /new AngelOwl password/);
  const link = new URL(mail.match(/https?:\S+\/reset\?token=[\w%-]+/)?.[0] ?? "");
  await page.goto(link.pathname + link.search);
  await accessible(page);
  const next = "seven wooden umbrellas asleep";
  await page.getByLabel("New password", { exact: true }).fill(next);
  await page.getByLabel("New password again").fill("something else entirely");
  await page.getByRole("button", { name: "Save the password" }).click();
  await expect(page.getByLabel("New password again")).toHaveAttribute("aria-invalid", "true");
  await page.getByLabel("New password again").fill(next);
  await page.getByRole("button", { name: "Save the password" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Your password is changed." })).toBeVisible();
  await page.getByLabel("Email").fill(who.email);
  await page.getByLabel("Password", { exact: true }).fill(next);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Dashboard" })).toBeVisible();

  // A link is good once, and a page that is opened without one leads on.
  await page.goto(link.pathname + link.search);
  await page.getByLabel("New password", { exact: true }).fill(chosen);
  await page.getByLabel("New password again").fill(chosen);
  await page.getByRole("button", { name: "Save the password" }).click();
  await expect(alert(page)).toContainText("used before, or has expired");
  await page.goto("/reset");
  await page.getByRole("link", { name: "Ask for another link" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Forgotten password" })).toBeVisible();
});
