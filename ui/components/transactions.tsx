import { Box } from "@chakra-ui/react";
import type { Reward } from "@/lib/cards";
import * as format from "@/lib/format";
import { cards } from "@/messages/en/cards";
import { Badge } from "./button";
import { Dd, Details, Dl, Dt, Summary } from "./html";
import { Icon } from "./icons";

const t = cards.why;

/** Transactions are rows that open to why each earned what it did. It needs no script. */
export function Transactions({ rewards, timezone, homeCurrency, card }: { rewards: Reward[]; timezone: string; homeCurrency: string; card?: (r: Reward) => string }) {
  return (
    <Box as="ul" listStyleType="none" p="0" m="0">
      {rewards.map((r) => (
        <Box as="li" key={r.id} css={{ "&:not(:last-of-type)": { borderBottomWidth: "1px" } }}>
          <Details css={{ "&[open] > summary": { bg: "bg.subtle" }, "&[open] > summary svg": { transform: "rotate(90deg)" } }}>
            <Summary
              display="grid" gridTemplateColumns={{ base: "minmax(0, 1fr) auto", md: "6.5rem minmax(0, 1fr) minmax(8rem, auto) minmax(7rem, auto) 1rem" }} columnGap="4" rowGap="0.5" alignItems="center"
              px={{ base: "4", md: "5" }} py="3" cursor="pointer" listStyleType="none" focusVisibleRing="inside" _hover={{ bg: "bg.subtle" }}
              css={{ "&::-webkit-details-marker": { display: "none" } }}
            >
              <Box color="fg.muted" order={{ base: 3, md: 0 }} whiteSpace="nowrap">{format.day(r.transaction_date)}</Box>
              <Box minW="0" fontWeight="medium" overflowWrap="anywhere">
                {r.merchant}
                {card && <Box color="fg.muted" fontWeight="normal" fontSize="xs">{card(r)}</Box>}
              </Box>
              <Box order={{ base: 4, md: 0 }} textAlign="end" color={{ base: "fg.muted", md: "fg" }} fontVariantNumeric="tabular-nums" whiteSpace="nowrap">{format.amount(r.amount, r.currency)}</Box>
              <Box textAlign="end" fontVariantNumeric="tabular-nums" whiteSpace="nowrap"><Earned reward={r} /></Box>
              <Box display={{ base: "none", md: "block" }} color="fg.muted"><Icon name="chevron" size={16} /></Box>
            </Summary>
            <Box px={{ base: "4", md: "5" }} pb="5" pt="3" bg="bg.subtle"><Why reward={r} timezone={timezone} homeCurrency={homeCurrency} /></Box>
          </Details>
        </Box>
      ))}
    </Box>
  );
}

function Earned({ reward: r }: { reward: Reward }) {
  if (r.trace.outcome === "excluded") return <Badge colorPalette="gray">{cards.history.outcomes.excluded}</Badge>;
  if (r.trace.outcome === "no_campaign") return <Badge colorPalette="gray">{cards.history.outcomes.no_campaign}</Badge>;
  const back = r.reward_amount.startsWith("-");
  return <Box as="span" fontWeight="medium" color={back ? "fg.error" : "fg.success"}>{format.signed(r.reward_amount, r.trace.decimals)} {r.trace.unit}</Box>;
}

/** Why is the calculation behind a reward, in words and figures. */
export function Why({ reward: r, timezone, homeCurrency }: { reward: Reward; timezone: string; homeCurrency: string }) {
  const { converted: c, base, promo, exclusion, unit, decimals } = r.trace;
  const line = (a: NonNullable<typeof base>) => (
    <>
      <Box fontWeight="medium">{a.name}</Box>
      <Box color="fg.muted">{t.rule(format.number(a.rate), unit, c?.currency ?? homeCurrency)}</Box>
      {c && <Box color="fg.muted" fontVariantNumeric="tabular-nums">{t.times(format.amount(c.amount, c.currency), format.number(a.rate), format.units(a.units, decimals), unit)}</Box>}
    </>
  );
  return (
    <Box display="grid" gap="5" gridTemplateColumns={{ md: "minmax(0, 3fr) minmax(0, 2fr)" }}>
      <Dl m="0">
        {exclusion && <Item name={t.title}>{exclusion.reason === "mcc_unknown" ? t.unknownMcc : t.excludedMcc(r.mcc, exclusion.valid_from ? format.day(exclusion.valid_from) : "")}</Item>}
        {r.trace.outcome === "no_campaign" && <Item name={t.title}>{t.noCampaign}</Item>}
        {c && c.source !== "home" && (
          <Item name={t.converted}>
            <Box fontVariantNumeric="tabular-nums">{format.amount(r.amount, r.currency)} = {format.amount(c.amount, c.currency)}</Box>
            <Box color="fg.muted">
              {c.source === "given" ? t.given : <>{c.rate_date && t.quote(format.day(c.rate_date))}{c.quote_base && c.from_quote && c.to_quote && <>: {t.quotes(c.quote_base, format.number(c.from_quote), r.currency, format.number(c.to_quote), c.currency)}</>}</>}
            </Box>
          </Item>
        )}
        {base && <Item name={t.base}>{line(base)}</Item>}
        {promo && <Item name={t.promo}>{line(promo)}</Item>}
        {(base || promo) && (
          <Item name={t.sum}>
            <Box fontWeight="medium" fontVariantNumeric="tabular-nums">{format.units(r.reward_amount, decimals)} {unit}</Box>
            <Box color="fg.muted">{r.trace.programme} · {t.rounded(decimals)}</Box>
            {r.amount.startsWith("-") && <Box color="fg.muted">{t.refund}</Box>}
          </Item>
        )}
      </Dl>
      <Dl m="0" fontSize="xs">
        <Item name={t.category}>{r.mcc === 0 ? cards.groups.unknown : String(r.mcc).padStart(4, "0")}</Item>
        {r.created_at && <Item name={t.counted}>{format.moment(r.created_at, timezone)}</Item>}
        {r.transaction_id && <Item name={t.reference} mono>{r.transaction_id}</Item>}
        <Item name={t.id} mono>{r.id}</Item>
        <Item name={t.rules} mono>{r.trace.rule_set.slice(0, 12)}</Item>
      </Dl>
    </Box>
  );
}

function Item({ name, mono, children }: { name: string; mono?: boolean; children: React.ReactNode }) {
  return (
    <Box mb="3">
      <Dt color="fg.muted" fontSize="xs">{name}</Dt>
      <Dd m="0" overflowWrap="anywhere" fontFamily={mono ? "mono" : undefined}>{children}</Dd>
    </Box>
  );
}
