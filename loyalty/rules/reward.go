package rules

import (
	"strconv"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty"
)

// Reward evaluates a transaction and explains the result. CreatedAt is left zero.
func (r *Rules) Reward(tx *loyalty.Transaction) (loyalty.Reward, error) {
	res, err := r.Evaluate(tx)
	if err != nil {
		return loyalty.Reward{}, err
	}
	return loyalty.Reward{
		Transaction: *tx,
		Units:       res.Units,
		Remarks:     r.remarks(&res, tx),
		Trace:       r.trace(&res),
	}, nil
}

func (r *Rules) trace(res *Result) loyalty.Trace {
	t := loyalty.Trace{
		RuleSet:   r.hash,
		Outcome:   res.Outcome,
		Programme: res.CardType.Programme,
		Unit:      res.CardType.Unit,
		Decimals:  res.CardType.Decimals,
		Base:      applied(res.Base, res.BaseUnits),
		Promo:     applied(res.Promo, res.PromoUnits),
	}
	if res.Outcome == loyalty.Excluded {
		t.Exclusion = &loyalty.AppliedExclusion{Reason: loyalty.UnknownMCC}
		if x := res.Exclusion; x != nil {
			id, from := x.ID, x.ValidFrom
			t.Exclusion = &loyalty.AppliedExclusion{Reason: loyalty.ExcludedMCC, ID: &id, ValidFrom: &from}
		}
		return t
	}
	t.Converted = &loyalty.Conversion{
		Amount:   res.Converted.Number(),
		Currency: res.Converted.Currency,
		Source:   res.Source,
	}
	if res.Source == loyalty.QuoteRate {
		rate := res.Rate
		t.Converted.RateDate = &rate.Date
		t.Converted.Base = rate.Base.String()
		t.Converted.FromQuote = &rate.From
		t.Converted.ToQuote = &rate.To
	}
	return t
}

func applied(c *loyalty.Campaign, u loyalty.Units) *loyalty.AppliedCampaign {
	if c == nil {
		return nil
	}
	return &loyalty.AppliedCampaign{ID: c.ID, Name: c.Name, Rate: c.Rate, Units: u.Number()}
}

// remarks says in plain words which campaigns applied, or why none.
func (r *Rules) remarks(res *Result, tx *loyalty.Transaction) string {
	b := make([]byte, 0, 160)
	switch res.Outcome {
	case loyalty.Excluded:
		if res.Exclusion == nil {
			return "Excluded: the merchant category is unknown"
		}
		b = append(b, "Excluded: merchant category "...)
		b = append(b, tx.MCC.String()...)
		b = append(b, " earns nothing since "...)
		b = append(b, res.Exclusion.ValidFrom.String()...)
		return string(b)
	case loyalty.NoCampaign:
		b = append(b, "No live campaign fits this transaction"...)
		b = r.appendWhyNone(b, res, tx)
		return string(appendConversion(b, res, tx))
	}
	switch {
	case res.Promo == nil:
		b = r.appendOffer(b, res.CardType, res.Base)
	default:
		b = r.appendOffer(b, res.CardType, res.Promo)
		if res.Base != nil {
			b = append(b, " + "...)
			b = appendRate(b, res.CardType, res.Base.Rate)
			b = append(b, " base"...)
		}
	}
	b = appendConversion(b, res, tx)
	if res.Converted.Minor < 0 {
		taken := res.Units.String()
		b = append(b, "; refund: "...)
		b = append(b, strings.TrimPrefix(taken, "-")...)
		b = append(b, ' ')
		b = append(b, unit(res.CardType, taken == "-1")...)
		b = append(b, " taken back"...)
	}
	return string(b)
}

// appendOffer appends "10 miles per dollar at Kaligo (promo)" or "5% cashback (base)". A promo
// without a merchant is told by its name.
func (r *Rules) appendOffer(b []byte, t *loyalty.CardType, c *loyalty.Campaign) []byte {
	b = appendRate(b, t, c.Rate)
	b = append(b, ' ')
	b = append(b, unit(t, c.Rate == 1e9)...)
	if !isCashback(t) {
		b = append(b, " per "...)
		b = append(b, currencyWord(r.home)...)
	}
	if c.Merchant != "" {
		b = append(b, " at "...)
		b = append(b, c.Merchant...)
	}
	switch {
	case c.Base:
		b = append(b, " (base)"...)
	case c.Merchant != "":
		b = append(b, " (promo)"...)
	default:
		b = append(b, " (promo: "...)
		b = append(b, c.Name...)
		b = append(b, ')')
	}
	return b
}

// appendWhyNone names the best campaign that would fit but for the amount, or but for the
// currency, if there is one.
func (r *Rules) appendWhyNone(b []byte, res *Result, tx *loyalty.Transaction) []byte {
	c := r.cards.get(tx.CardType)
	if c.campaigns.empty() {
		return append(b, "; the card's programme has no campaigns"...)
	}
	best := func(q query) *loyalty.Campaign {
		base, promo := c.campaigns.find(&q, tx.Merchant)
		if promo != nil {
			return promo
		}
		return base
	}
	q := r.query(res, tx)
	large := q
	large.amount = 1<<64 - 1
	if found := best(large); found != nil {
		b = append(b, "; "...)
		b = r.appendOffer(b, res.CardType, found)
		b = append(b, " needs "...)
		b = append(b, r.home.String()...)
		b = append(b, ' ')
		b = append(b, loyalty.FormatFixed(int64(found.MinSpend), loyalty.DecimalDigits, r.home.Digits())...)
		return append(b, " or more"...)
	}
	q.foreign = true
	if found := best(q); found != nil {
		b = append(b, "; "...)
		b = r.appendOffer(b, res.CardType, found)
		b = append(b, " is for spend in a foreign currency"...)
	}
	return b
}

// appendConversion appends how the amount in the home currency came about.
func appendConversion(b []byte, res *Result, tx *loyalty.Transaction) []byte {
	if res.Source == loyalty.HomeSpend {
		return b
	}
	b = append(b, "; "...)
	b = append(b, tx.Money().String()...)
	b = append(b, " = "...)
	b = append(b, res.Converted.String()...)
	if res.Source == loyalty.GivenHome {
		return append(b, " as converted by the bank"...)
	}
	b = append(b, " at "...)
	b = append(b, rateText(res.Rate.From, res.Rate.To)...)
	b = append(b, " of "...)
	b, _ = res.Rate.Date.AppendText(b) // never fails
	return b
}

// appendRate appends a campaign's rate: "1.4", or "5%" for cashback.
func appendRate(b []byte, t *loyalty.CardType, rate loyalty.Decimal) []byte {
	if isCashback(t) {
		b = append(b, loyalty.FormatFixed(int64(rate), loyalty.DecimalDigits-2, 0)...)
		return append(b, '%')
	}
	b, _ = rate.AppendText(b) // never fails
	return b
}

func isCashback(t *loyalty.CardType) bool { return strings.EqualFold(t.Unit, "cashback") }

// unit is the unit's word: "1 mile", but "0.5 miles".
func unit(t *loyalty.CardType, one bool) string {
	if one {
		return strings.TrimSuffix(t.Unit, "s")
	}
	return t.Unit
}

// currencyWord is what people call one unit of a currency.
func currencyWord(c loyalty.Currency) string {
	switch code := c.String(); code {
	case "SGD", "CAD", "USD", "AUD", "NZD", "HKD", "TWD":
		return "dollar"
	case "EUR":
		return "euro"
	case "GBP":
		return "pound"
	case "JPY":
		return "yen"
	default:
		return code
	}
}

// rateText is to ÷ from for people: four decimals, or six significant digits below 0.1, rounded
// half up. The trace has the exact quotes.
func rateText(from, to loyalty.Decimal) string {
	digits := 4
	v, err := loyalty.MulDiv(int64(to), 1, int64(from), digits, 0)
	for err != nil && digits > 0 { // a quotient too large for four decimals
		digits--
		v, err = loyalty.MulDiv(int64(to), 1, int64(from), digits, 0)
	}
	if err != nil {
		return "?" // cannot be: with no decimals every quotient fits
	}
	for v < 100_000 && digits < 19 {
		if digits == 4 && v >= 1_000 {
			break
		}
		digits++
		if v, err = loyalty.MulDiv(int64(to), 1, int64(from), digits, 0); err != nil {
			return "?" // cannot be: below 1,000,000
		}
	}
	text := strconv.FormatInt(v, 10)
	if digits == 0 {
		return text
	}
	for len(text) <= digits {
		text = "0" + text
	}
	return text[:len(text)-digits] + "." + text[len(text)-digits:]
}
