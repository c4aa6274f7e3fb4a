/** That the portal runs. It asks nobody: the gateway has a /health of its own. */
export function GET() {
  return Response.json({ status: "OK" });
}
