import { Box } from "@chakra-ui/react";
import { type Campaign, cardTypes, kindsOfMerchants } from "@/lib/cards";
import { config } from "@/lib/config";
import * as format from "@/lib/format";
import { cards } from "@/messages/en/cards";
import { Badge } from "./button";

const t = cards.campaigns;

/** CampaignList says of each campaign what it gives, for what, and when. */
export async function CampaignList({ campaigns }: { campaigns: Campaign[] }) {
  const [types, kinds] = await Promise.all([cardTypes(), kindsOfMerchants()]);
  const home = config().homeCurrency;
  const today = format.today(config().timezone);
  return (
    <Box as="ul" listStyleType="none" p="0" m="0">
      {campaigns.map((c) => {
        const type = types.ok ? types.data.find((x) => x.card_type === c.reward_program) : undefined;
        const state = stateOf(c, today);
        return (
          <Box as="li" key={c.id} px={{ base: "4", md: "5" }} py="4" css={{ "&:not(:last-of-type)": { borderBottomWidth: "1px" } }}>
            <Box display="flex" flexWrap="wrap" gap="2" alignItems="center" justifyContent="space-between">
              <Box fontWeight="medium" minW="0" overflowWrap="anywhere">{c.name}</Box>
              <Box display="flex" flexWrap="wrap" gap="2">
                {!c.base_reward && <Badge colorPalette="owl">{t.promo}</Badge>}
                <Badge colorPalette={state === "live" ? "green" : state === "scheduled" ? "orange" : "gray"}>{t[state]}</Badge>
              </Box>
            </Box>
            <Box mt="1">{sentence(c, type?.reward_unit ?? "", home, kinds)}</Box>
            <Box color="fg.muted" mt="1">{type?.name ?? c.reward_program} · {t.dates(format.day(c.start_date), format.day(c.end_date))}</Box>
          </Box>
        );
      })}
    </Box>
  );
}

function stateOf(c: Campaign, today: string): "live" | "scheduled" | "ended" {
  if (c.end_date.slice(0, 10) < today) return "ended";
  return c.start_date.slice(0, 10) > today ? "scheduled" : "live";
}

/** few is how many kinds of merchants are named; more are told by their codes alone. */
const few = 3;

/** categories names the kinds of merchants beside their codes, which are exact. */
function categories(mcc: string, kinds: Map<number, string>): string {
  const codes = mcc.replaceAll(",", ", ").replaceAll("-", "–");
  const ranges = mcc.split(",").map((r) => r.split("-").map(Number));
  const named = new Set([...kinds].filter(([code]) => ranges.some(([from = 0, to = from]) => from <= code && code <= to)).map(([, kind]) => kind));
  return named.size > 0 && named.size <= few ? t.kinds(new Intl.ListFormat("en-GB").format([...named].map((k) => (cards.groups[k] ?? k).toLowerCase())), codes) : t.mcc(codes);
}

/** sentence is a campaign in words. */
function sentence(c: Campaign, unit: string, home: string, kinds: Map<number, string>): string {
  const parts = [t.rate(format.number(c.reward_amount), unit, home)];
  if (c.merchant) parts.push(t.merchant(c.merchant));
  if (c.mcc !== "0") parts.push(categories(c.mcc, kinds));
  if (c.foreign_currency) parts.push(t.foreign(home));
  if (parts.length === 1) parts.push(t.anywhere);
  if (!/^0*(\.0*)?$/.test(c.min_spend)) parts.push(t.min(format.amount(c.min_spend, home)));
  return parts.join(", ").replace(", ", " ") + ".";
}
