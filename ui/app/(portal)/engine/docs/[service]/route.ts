import { config } from "@/lib/config";

const services = ["profiler", "campaignex", "informer"];

/** The API's documentation stands beside the gateway, whose address the browser is not told otherwise. */
export async function GET(_: Request, { params }: { params: Promise<{ service: string }> }) {
  const { service } = await params;
  const to = services.includes(service) ? `${config().api}/docs/${service}/index.html` : "/engine";
  return new Response(null, { status: 303, headers: { Location: to } });
}
