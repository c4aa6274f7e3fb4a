// Package oracle is the rules a second time: slow, written straight from DESIGN.md with math/big,
// sharing nothing with package rules, for tests to compare the two.
package oracle

import (
	"bytes"
	"math/big"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/text/cases"

	"github.com/angelowl-loyalties/app/loyalty"
)

// Oracle is a rule set.
type Oracle struct {
	home       loyalty.Currency
	cardTypes  map[string]loyalty.CardType
	campaigns  []loyalty.Campaign
	exclusions []loyalty.Exclusion
	quotes     map[loyalty.Date]loyalty.DayQuotes
}

// New takes a rule set as lists.
func New(home loyalty.Currency, cardTypes []loyalty.CardType, campaigns []loyalty.Campaign, exclusions []loyalty.Exclusion, quotes []loyalty.YearQuotes) *Oracle {
	o := &Oracle{
		home: home, campaigns: campaigns, exclusions: exclusions,
		cardTypes: map[string]loyalty.CardType{}, quotes: map[loyalty.Date]loyalty.DayQuotes{},
	}
	for _, t := range cardTypes {
		o.cardTypes[t.CardType] = t
	}
	for _, y := range quotes {
		for _, d := range y.Days {
			o.quotes[d.Date] = d
		}
	}
	return o
}

// Result is what the rules say. Numbers are nil and ids the nil UUID where there is none.
type Result struct {
	// Reason is the code of a dead letter, as rules.Reason has it; with it nothing else is set.
	Reason    string
	Outcome   loyalty.Outcome
	Exclusion uuid.UUID // the nil UUID also where the MCC is unknown

	Converted *big.Rat // units of the home currency
	Source    loyalty.ConversionSource
	RateDate  loyalty.Date // 0: no quote was needed

	Base, Promo           uuid.UUID
	BaseUnits, PromoUnits *big.Rat
	Units                 *big.Rat // never nil without a Reason
}

// Reward applies the five rules in their order.
func (o *Oracle) Reward(tx *loyalty.Transaction) Result {
	// Rule 1. Card type unknown: dead letter.
	cardType, known := o.cardTypes[tx.CardType]
	if !known {
		return Result{Reason: "unknown_card_type"}
	}
	// Rule 2. Excluded.
	if tx.MCC == 0 {
		return Result{Outcome: loyalty.Excluded, Units: new(big.Rat)}
	}
	var excluded *loyalty.Exclusion
	for i := range o.exclusions {
		x := &o.exclusions[i]
		if x.MCC != tx.MCC || tx.Date < x.ValidFrom {
			continue
		}
		if excluded == nil || x.ValidFrom < excluded.ValidFrom ||
			x.ValidFrom == excluded.ValidFrom && bytes.Compare(x.ID[:], excluded.ID[:]) < 0 {
			excluded = x
		}
	}
	if excluded != nil {
		return Result{Outcome: loyalty.Excluded, Exclusion: excluded.ID, Units: new(big.Rat)}
	}
	// Rule 3. Convert.
	res := o.convert(tx)
	if res.Reason != "" {
		return res
	}
	// Rule 4. Best base and best promo campaign.
	base := o.best(tx, res.Converted, true)
	promo := o.best(tx, res.Converted, false)
	// Rule 5. Units, each rounded on its own.
	res.Outcome = loyalty.NoCampaign
	res.Units = new(big.Rat)
	if base != nil {
		res.Outcome = loyalty.Rewarded
		res.Base = base.ID
		res.BaseUnits = round(new(big.Rat).Mul(decimal(base.Rate), res.Converted), int(cardType.Decimals))
		res.Units.Add(res.Units, res.BaseUnits)
	}
	if promo != nil {
		res.Outcome = loyalty.Rewarded
		res.Promo = promo.ID
		res.PromoUnits = round(new(big.Rat).Mul(decimal(promo.Rate), res.Converted), int(cardType.Decimals))
		res.Units.Add(res.Units, res.PromoUnits)
	}
	for _, u := range []*big.Rat{res.BaseUnits, res.PromoUnits, res.Units} {
		if u != nil && !fits(u, int(cardType.Decimals)) {
			return Result{Reason: "overflow"}
		}
	}
	return res
}

func (o *Oracle) convert(tx *loyalty.Transaction) Result {
	amount := new(big.Rat).SetFrac(big.NewInt(tx.Amount), tenTo(tx.Currency.Digits()))
	if tx.Currency == o.home {
		return Result{Converted: amount, Source: loyalty.HomeSpend}
	}
	given, ok := new(big.Rat).SetString(tx.HomeAmount.String())
	if !ok {
		panic("oracle: not a number: " + tx.HomeAmount.String())
	}
	if given.Sign() != 0 {
		if given.Cmp(round(given, o.home.Digits())) != 0 {
			return Result{Reason: "bad_home_amount"}
		}
		if !fits(given, o.home.Digits()) {
			return Result{Reason: "overflow"}
		}
		return Result{Converted: given, Source: loyalty.GivenHome}
	}
	for age := range loyalty.Date(11) { // the day itself and 10 days before
		day, there := o.quotes[tx.Date-age]
		if !there {
			continue
		}
		from, hasFrom := o.quote(day, tx.Currency)
		to, hasTo := o.quote(day, o.home)
		if !hasFrom || !hasTo {
			continue
		}
		rate := new(big.Rat).Quo(to, from)
		converted := round(new(big.Rat).Mul(amount, rate), o.home.Digits())
		if !fits(converted, o.home.Digits()) {
			return Result{Reason: "overflow"}
		}
		return Result{Converted: converted, Source: loyalty.QuoteRate, RateDate: tx.Date - age}
	}
	return Result{Reason: "no_quote"}
}

func (o *Oracle) quote(day loyalty.DayQuotes, c loyalty.Currency) (*big.Rat, bool) {
	if c == day.Base {
		return big.NewRat(1, 1), true
	}
	q, ok := day.Quotes[c]
	return decimal(q), ok
}

func (o *Oracle) best(tx *loyalty.Transaction, converted *big.Rat, base bool) *loyalty.Campaign {
	var best *loyalty.Campaign
	spend := new(big.Rat).Abs(converted)
	for i := range o.campaigns {
		c := &o.campaigns[i]
		switch {
		case c.Base != base:
		case c.Programme != tx.CardType:
		case tx.Date < c.Start || tx.Date > c.End:
		case c.Foreign && tx.Currency == o.home:
		case spend.Cmp(decimal(c.MinSpend)) < 0:
		case !hasMCC(c, tx.MCC):
		case !strings.Contains(cases.Fold().String(tx.Merchant), cases.Fold().String(c.Merchant)):
		case best == nil || c.Rate > best.Rate || c.Rate == best.Rate && c.ID.String() < best.ID.String():
			best = c
		}
	}
	return best
}

func hasMCC(c *loyalty.Campaign, mcc loyalty.MCC) bool {
	if len(c.MCC) == 0 {
		return true
	}
	for _, r := range c.MCC {
		if mcc >= r.From && mcc <= r.To {
			return true
		}
	}
	return false
}

func decimal(d loyalty.Decimal) *big.Rat { return big.NewRat(int64(d), 1_000_000_000) }

// round rounds to decimals, half away from zero.
func round(x *big.Rat, digits int) *big.Rat {
	scaled := new(big.Rat).Mul(x, new(big.Rat).SetInt(tenTo(digits)))
	twice := new(big.Int).Mul(new(big.Int).Abs(scaled.Num()), big.NewInt(2))
	twice.Add(twice, scaled.Denom())
	n := twice.Quo(twice, new(big.Int).Mul(scaled.Denom(), big.NewInt(2))) // ⌊|x| + 1/2⌋
	if x.Sign() < 0 {
		n.Neg(n)
	}
	return new(big.Rat).SetFrac(n, tenTo(digits))
}

// fits says whether x, which has that many decimals, is an int64 of its smallest units.
func fits(x *big.Rat, digits int) bool {
	n := new(big.Rat).Mul(x, new(big.Rat).SetInt(tenTo(digits)))
	return n.IsInt() && n.Num().IsInt64()
}

func tenTo(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }
