import "server-only";
import type { NextAuthOptions } from "next-auth";
import Credentials from "next-auth/providers/credentials";
import { anonymous } from "../api/client";
import { config } from "../config";
import { within } from "./origin";
import { cookieName, cookieOptions, maxAge, opened, secure } from "./session";

/** auth is next-auth's part: a person's credentials against POST /auth/login, the session in an encrypted cookie. */
export function auth(): NextAuthOptions {
  // next-auth reads this one from the environment alone.
  process.env.NEXTAUTH_URL ??= config().origin ?? "http://127.0.0.1:3000";
  const prefix = secure() ? "__Host-" : "";
  return {
    secret: config().secret,
    session: { strategy: "jwt", maxAge },
    useSecureCookies: secure(),
    cookies: {
      sessionToken: { name: cookieName(), options: cookieOptions() },
      csrfToken: { name: prefix + "angelowl-csrf", options: cookieOptions() },
      callbackUrl: { name: prefix + "angelowl-callback", options: cookieOptions() },
    },
    pages: { signIn: "/signin", error: "/signin" },
    providers: [
      Credentials({
        credentials: { email: {}, password: {}, totp: {} },
        async authorize(given) {
          const email = (given?.email ?? "").trim();
          const { data, error, response } = await anonymous()
            .POST("/auth/login", { body: { email, password: given?.password ?? "", ...(given?.totp ? { totp: given.totp.trim() } : {}) } })
            .catch(() => {
              throw new Error("away");
            });
          if (!data) {
            const wait = response.headers.get("Retry-After");
            // The sign-in form reads this text: the code, and for how long to wait.
            throw new Error([error?.code ?? "away", wait ?? ""].join(":"));
          }
          const s = opened(data.data, email);
          return { id: s.userId, session: s };
        },
      }),
    ],
    callbacks: {
      // Only a sign-in fills the token: what a browser sends to update a session is not read.
      jwt: ({ token, user }) => (user && "session" in user ? { ...(user.session as object) } : token),
      session: ({ session }) => ({ expires: session.expires }),
      redirect: ({ url, baseUrl }) => baseUrl + within(url.startsWith(baseUrl) ? url.slice(baseUrl.length) : url),
    },
    logger: { error() {}, warn() {}, debug() {} }, // it would log what was typed
  };
}
