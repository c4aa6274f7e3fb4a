import NextAuth from "next-auth";
import { auth } from "@/lib/session/auth";

type Context = { params: Promise<{ nextauth: string[] }> };

// The two of next-auth's addresses that the sign-in form needs. The others would tell, or change, more of a session
// than the portal wants.
export async function GET(request: Request, context: Context) {
  const path = (await context.params).nextauth.join("/");
  return path === "csrf" ? handle(request, context) : new Response(null, { status: 404 });
}

export async function POST(request: Request, context: Context) {
  const path = (await context.params).nextauth.join("/");
  return path === "callback/credentials" ? handle(request, context) : new Response(null, { status: 404 });
}

function handle(request: Request, context: Context): Promise<Response> {
  return (NextAuth(auth()) as (request: Request, context: Context) => Promise<Response>)(request, context);
}
