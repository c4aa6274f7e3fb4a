import { Box } from "@chakra-ui/react";
import { Li, Ul } from "@/components/html";
import { Panel } from "@/components/page";
import { Pages } from "@/components/table";
import { words } from "@/components/problem-note";
import { Badge } from "@/components/button";
import { api, load } from "@/lib/api/client";
import type { Problem } from "@/lib/api/problem";
import type { components } from "@/lib/api/schema";
import { config } from "@/lib/config";
import { moment } from "@/lib/format";
import { changes, type Kind } from "@/lib/manage/changes";
import { names } from "@/lib/manage/people";
import { manage } from "@/messages/en/manage";
import { Differences } from "./differences";

type Page = components["schemas"]["HistoryPage"];

const size = 10;

async function read(kind: Kind, id: string, page: number) {
  const client = await api();
  const query = { page_size: size, page_no: page };
  switch (kind) {
    case "campaign": return load(client.GET("/campaign/{id}/history", { params: { path: { id }, query } }));
    case "exclusion": return load(client.GET("/exclusion/{id}/history", { params: { path: { id }, query } }));
    case "cardType": return load(client.GET("/card/type/{card_type}/history", { params: { path: { card_type: id }, query } }));
    case "user": return load(client.GET("/user/{id}/history", { params: { path: { id }, query } }));
    case "card": return load(client.GET("/card/{id}/history", { params: { path: { id }, query } }));
  }
}

const palettes: Record<string, string> = { created: "green", changed: "owl", deleted: "red" };

/** History says who changed what and when, each change with its differences. */
export async function History({ kind, id, page, href }: { kind: Kind; id: string; page: number; href: (page: number) => string }) {
  const r = await read(kind, id, page);
  if (!r.ok) return <Panel title={manage.history}><Wrong problem={r.problem} /></Panel>;
  const all: Page = r.data;
  const who = await names(all.data.map((c) => c.who));
  const { timezone, homeCurrency } = config();
  return (
    <Panel title={manage.history} flush id="history">
      {all.data.length === 0 && <Box px="5" pb="5" color="fg.muted">{manage.historyEmpty}</Box>}
      <Ul listStyleType="none" p="0" m="0">
        {all.data.map((c) => (
          <Li key={`${c.version} ${c.when}`} px={{ base: "4", md: "5" }} py="4" borderTopWidth="1px">
            <Box display="flex" flexWrap="wrap" gap="2" alignItems="center" mb="2">
              <Badge colorPalette={palettes[c.action] ?? "gray"}>{manage.actions[c.action] ?? c.action}</Badge>
              <Box as="span">{manage.by(who[c.who] ?? c.who)}</Box>
              <Box as="span" color="fg.muted">· {moment(c.when, timezone)} · {manage.version(c.version)}</Box>
            </Box>
            <Differences changes={changes(kind, c.before, c.after, homeCurrency)} />
          </Li>
        ))}
      </Ul>
      {all.total > size && <Pages previous={page > 1 ? href(page - 1) : undefined} next={page * size < all.total ? href(page + 1) : undefined} />}
    </Panel>
  );
}

function Wrong({ problem }: { problem: Problem }) {
  return <Box color="fg.muted">{words(problem)}</Box>;
}
