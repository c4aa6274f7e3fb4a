import { Box } from "@chakra-ui/react";
import { type Campaign, cardTypes } from "@/lib/cards";
import { config } from "@/lib/config";
import * as format from "@/lib/format";
import { cards } from "@/messages/en/cards";
import { Badge } from "./button";

const t = cards.campaigns;

/** CampaignList says of each campaign what it gives, for what, and when. */
export async function CampaignList({ campaigns }: { campaigns: Campaign[] }) {
  const types = await cardTypes();
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
            <Box mt="1">{sentence(c, type?.reward_unit ?? "", home)}</Box>
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

/** sentence is a campaign in words. */
function sentence(c: Campaign, unit: string, home: string): string {
  const parts = [t.rate(format.number(c.reward_amount), unit, home)];
  if (c.merchant) parts.push(t.merchant(c.merchant));
  if (c.mcc !== "0") parts.push(t.mcc(c.mcc.replaceAll(",", ", ").replaceAll("-", "–")));
  if (c.foreign_currency) parts.push(t.foreign(home));
  if (parts.length === 1) parts.push(t.anywhere);
  if (!/^0*(\.0*)?$/.test(c.min_spend)) parts.push(t.min(format.amount(c.min_spend, home)));
  return parts.join(", ").replace(", ", " ") + ".";
}
