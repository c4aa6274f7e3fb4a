package rules_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// The tests of the five rules of DESIGN.md, with values worked out by hand. Each case begins with
// the same rule set and transaction and changes what it is about.

var (
	sgd = loyalty.MustCurrency("SGD")
	usd = loyalty.MustCurrency("USD")
	jpy = loyalty.MustCurrency("JPY")
	bhd = loyalty.MustCurrency("BHD")
	eur = loyalty.MustCurrency("EUR")
	sep = func(day int) loyalty.Date { return loyalty.DateOf(2021, 9, day) }
	dec = loyalty.MustDecimal
)

func num(s string) loyalty.Number {
	n, err := loyalty.ParseNumber(s)
	if err != nil {
		panic(err)
	}
	return n
}

// set is a miles card (no decimals) with 1.4 miles on all spend in September 2021, a cashback
// card (two decimals) without campaigns, and quotes of 2 September 2021: 1 EUR = 1.345 SGD =
// 1 USD = 100 JPY = 0.4 BHD.
func set() *ruleSet {
	return &ruleSet{
		home: sgd,
		cardTypes: []loyalty.CardType{
			{CardType: "miles", Name: "Miles Card", Unit: "miles", Programme: "SCISMiles"},
			{CardType: "cash", Name: "Cash Card", Unit: "cashback", Programme: "SCIS Cashback", Decimals: 2},
		},
		campaigns: []loyalty.Campaign{base(1, "1.4")},
		quotes: []loyalty.YearQuotes{{Year: 2021, Days: []loyalty.DayQuotes{{Date: sep(2), Base: eur, Quotes: map[loyalty.Currency]loyalty.Decimal{
			sgd: dec("1.345"), usd: dec("1"), jpy: dec("100"), bhd: dec("0.4"),
		}}}}},
	}
}

func base(n int, rate string) loyalty.Campaign {
	return loyalty.Campaign{ID: id(n), Name: fmt.Sprintf("Campaign %d", n), Start: sep(1), End: sep(30), Programme: "miles", Rate: dec(rate), Base: true}
}

func promo(n int, rate string) loyalty.Campaign {
	c := base(n, rate)
	c.Base = false
	return c
}

// spend is SGD 100.00 at Kaligo.com, a hotel, on 10 September 2021.
func spend() *loyalty.Transaction {
	return &loyalty.Transaction{
		ID: id(100), CardID: id(101), Merchant: "KALIGO.COM", MCC: 7011, Currency: sgd, Amount: 100_00,
		Date: sep(10), CardPAN: "************1234", CardType: "miles",
	}
}

type ruleCase struct {
	name   string
	change func(*ruleSet, *loyalty.Transaction)

	outcome   loyalty.Outcome // "": Rewarded
	units     string
	base      int // number of the campaign; 0: none
	promo     int
	converted string // "": not looked at
	reason    string // of a dead letter
}

func check(t *testing.T, tests []ruleCase) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, tx := set(), spend()
			if tt.change != nil {
				tt.change(s, tx)
			}
			b := rules.NewBook(s.home)
			s.fill(b)
			r := compile(t, b)
			agree(t, r, s.oracle(), tx) // what is worked out by hand holds the oracle true too
			res, err := r.Evaluate(tx)
			if got := rules.Reason(err); got != tt.reason {
				t.Fatalf("error %v (%q), want %q", err, got, tt.reason)
			}
			if err != nil {
				return
			}
			if tt.outcome == "" {
				tt.outcome = loyalty.Rewarded
			}
			if res.Outcome != tt.outcome || res.Units.String() != tt.units {
				t.Errorf("%s with %s units, want %s with %s", res.Outcome, res.Units, tt.outcome, tt.units)
			}
			if got := number(res.Base); got != tt.base {
				t.Errorf("base campaign %d, want %d", got, tt.base)
			}
			if got := number(res.Promo); got != tt.promo {
				t.Errorf("promo campaign %d, want %d", got, tt.promo)
			}
			if tt.converted != "" && res.Converted.String() != tt.converted {
				t.Errorf("converted to %s, want %s", res.Converted, tt.converted)
			}
		})
	}
}

func number(c *loyalty.Campaign) int {
	for n := range 100 {
		if c != nil && c.ID == id(n) {
			return n
		}
	}
	return 0
}

func TestRule1AnUnknownCardTypeIsADeadLetter(t *testing.T) {
	check(t, []ruleCase{
		{name: "known", units: "140", base: 1},
		{name: "unknown", change: func(_ *ruleSet, tx *loyalty.Transaction) { tx.CardType = "gold" }, reason: "unknown_card_type"},
		{name: "other case is another key", change: func(_ *ruleSet, tx *loyalty.Transaction) { tx.CardType = "Miles" }, reason: "unknown_card_type"},
		{name: "before the exclusion", change: func(_ *ruleSet, tx *loyalty.Transaction) { tx.CardType, tx.MCC = "gold", 0 }, reason: "unknown_card_type"},
		{name: "a campaign that names it does not make it known", change: func(s *ruleSet, tx *loyalty.Transaction) {
			c := base(2, "1")
			c.Programme, tx.CardType = "gold", "gold"
			s.campaigns = append(s.campaigns, c)
		}, reason: "unknown_card_type"},
	})
}

// TestCardTypesAreToldApart has card types of every length that differ in one character.
func TestCardTypesAreToldApart(t *testing.T) {
	s := set()
	s.campaigns, s.cardTypes = nil, nil
	long := "scis_premium_miles_visa_infinite_2021"
	keys := map[string]bool{}
	for n := 1; n <= len(long); n++ {
		keys[long[:n]] = true
		for i := range n {
			keys[long[:i]+"X"+long[i+1:n]] = true
		}
	}
	for key := range keys {
		s.cardTypes = append(s.cardTypes, loyalty.CardType{CardType: key, Name: key, Unit: "miles", Programme: key})
	}
	b := rules.NewBook(s.home)
	s.fill(b)
	r := compile(t, b)
	for key := range keys {
		tx := spend()
		tx.CardType = key
		if res, err := r.Evaluate(tx); err != nil || res.CardType.CardType != key {
			t.Errorf("%q: %+v, %v", key, res.CardType, err)
		}
		for i := range key {
			tx.CardType = key[:i] + "Y" + key[i+1:]
			if _, err := r.Evaluate(tx); !errors.Is(err, rules.ErrUnknownCardType) {
				t.Errorf("%q: %v, want an unknown card type", tx.CardType, err)
			}
		}
	}
}

func TestRule2ExcludedSpendHasNoUnitsAndNeedsNoRate(t *testing.T) {
	exclude := func(mcc loyalty.MCC, from loyalty.Date) func(*ruleSet, *loyalty.Transaction) {
		return func(s *ruleSet, _ *loyalty.Transaction) {
			s.exclusions = append(s.exclusions, loyalty.Exclusion{ID: id(1), MCC: mcc, ValidFrom: from})
		}
	}
	check(t, []ruleCase{
		{name: "valid long before", change: exclude(7011, sep(1)), outcome: loyalty.Excluded, units: "0"},
		{name: "valid from the day itself", change: exclude(7011, sep(10)), outcome: loyalty.Excluded, units: "0"},
		{name: "valid from the day after", change: exclude(7011, sep(11)), units: "140", base: 1},
		{name: "another category", change: exclude(7012, sep(1)), units: "140", base: 1},
		{name: "unknown category", change: func(_ *ruleSet, tx *loyalty.Transaction) { tx.MCC = 0 }, outcome: loyalty.Excluded, units: "0"},
		{name: "no rate is needed", change: func(s *ruleSet, tx *loyalty.Transaction) {
			exclude(7011, sep(1))(s, tx)
			tx.Currency, s.quotes = usd, nil
		}, outcome: loyalty.Excluded, units: "0"},
		{name: "an amount too large to convert does not matter", change: func(s *ruleSet, tx *loyalty.Transaction) {
			tx.MCC, tx.Currency, tx.Amount = 0, usd, math.MaxInt64
		}, outcome: loyalty.Excluded, units: "0"},
	})
}

func TestRule2OfSeveralExclusionsTheEarliestThenTheLowestIDCounts(t *testing.T) {
	s, tx := set(), spend()
	for _, x := range []struct{ id, from int }{{1, 5}, {2, 3}, {3, 3}, {4, 12}} {
		s.exclusions = append(s.exclusions, loyalty.Exclusion{ID: id(x.id), MCC: 7011, ValidFrom: sep(x.from)})
	}
	want := id(2)
	if id(3).String() < want.String() {
		want = id(3)
	}
	b := rules.NewBook(sgd)
	s.fill(b)
	reward, err := compile(t, b).Reward(tx)
	if err != nil {
		t.Fatal(err)
	}
	x := reward.Trace.Exclusion
	if x == nil || x.ID == nil || *x.ID != want || *x.ValidFrom != sep(3) || x.Reason != loyalty.ExcludedMCC {
		t.Errorf("exclusion %+v, want %s of 3 September", x, want)
	}
}

func TestRule3ConvertsToTheHomeCurrency(t *testing.T) {
	foreign := func(c loyalty.Currency, amount int64) func(*ruleSet, *loyalty.Transaction) {
		return func(_ *ruleSet, tx *loyalty.Transaction) { tx.Currency, tx.Amount = c, amount }
	}
	given := func(s string) func(*ruleSet, *loyalty.Transaction) {
		return func(_ *ruleSet, tx *loyalty.Transaction) { tx.Currency, tx.HomeAmount = usd, num(s) }
	}
	on := func(day int) func(*ruleSet, *loyalty.Transaction) {
		return func(_ *ruleSet, tx *loyalty.Transaction) { tx.Currency, tx.Date = usd, sep(day) }
	}
	check(t, []ruleCase{
		{name: "home spend is the amount", converted: "SGD 100.00", units: "140", base: 1},
		{name: "home spend does not read sgd_amount", change: func(_ *ruleSet, tx *loyalty.Transaction) { tx.HomeAmount = num("7.777") }, converted: "SGD 100.00", units: "140", base: 1},
		// 100.00 × 1.345
		{name: "by the quotes of the day", change: on(2), converted: "SGD 134.50", units: "188", base: 1},
		// 0.01 × 1.345 = 0.01345
		{name: "rounded down", change: foreign(usd, 1), converted: "SGD 0.01", units: "0", base: 1},
		// 0.70 × 1.345 = 0.9415; 1.00 × 1.345 = 1.345
		{name: "rounded to the nearest", change: foreign(usd, 70), converted: "SGD 0.94", units: "1", base: 1},
		{name: "half away from zero", change: foreign(usd, 1_00), converted: "SGD 1.35", units: "2", base: 1},
		{name: "half away from zero, below it", change: foreign(usd, -1_00), converted: "SGD -1.35", units: "-2", base: 1},
		{name: "zero", change: foreign(usd, 0), converted: "SGD 0.00", units: "0", base: 1},
		// JPY 1000 × 1.345 ÷ 100
		{name: "a currency without decimals", change: foreign(jpy, 1000), converted: "SGD 13.45", units: "19", base: 1},
		// BHD 1.234 × 1.345 ÷ 0.4 = 4.149325
		{name: "a currency with three decimals", change: foreign(bhd, 1234), converted: "SGD 4.15", units: "6", base: 1},
		// EUR 2.00 × 1.345 ÷ 1
		{name: "the base of the quotes", change: foreign(eur, 2_00), converted: "SGD 2.69", units: "4", base: 1},
		{name: "a quotient that never ends", change: func(s *ruleSet, tx *loyalty.Transaction) {
			// 1.00 × 1 ÷ 3 = 0.333…
			s.quotes[0].Days[0].Quotes = map[loyalty.Currency]loyalty.Decimal{usd: dec("3"), sgd: dec("1")}
			tx.Currency, tx.Amount = usd, 1_00
		}, converted: "SGD 0.33", units: "0", base: 1},
		{name: "as the bank converted it", change: given("99.99"), converted: "SGD 99.99", units: "140", base: 1}, // 139.986
		{name: "given with zeros behind", change: given("99.9900"), converted: "SGD 99.99", units: "140", base: 1},
		{name: "given 0 is not given", change: given("0"), converted: "SGD 134.50", units: "188", base: 1},
		{name: "given with three decimals", change: given("99.995"), reason: "bad_home_amount"},
		{name: "given needs no quote", change: func(s *ruleSet, tx *loyalty.Transaction) { given("10")(s, tx); s.quotes = nil }, converted: "SGD 10.00", units: "14", base: 1},
		{name: "quotes 10 days old", change: on(12), converted: "SGD 134.50", units: "188", base: 1},
		{name: "quotes 11 days old", change: on(13), reason: "no_quote"},
		{name: "quotes of the day after only", change: on(1), reason: "no_quote"},
		{name: "a currency nobody quotes", change: foreign(loyalty.MustCurrency("CHF"), 1), reason: "no_quote"},
		{name: "the last day that has both", change: func(s *ruleSet, tx *loyalty.Transaction) {
			s.quotes[0].Days = append(s.quotes[0].Days,
				loyalty.DayQuotes{Date: sep(3), Base: eur, Quotes: map[loyalty.Currency]loyalty.Decimal{usd: dec("2")}},
				loyalty.DayQuotes{Date: sep(4), Base: eur, Quotes: map[loyalty.Currency]loyalty.Decimal{sgd: dec("2")}})
			tx.Currency, tx.Date = usd, sep(4)
		}, converted: "SGD 134.50", units: "188", base: 1},
		{name: "across the turn of the year", change: func(s *ruleSet, tx *loyalty.Transaction) {
			s.campaigns[0].End = loyalty.MaxDate
			s.quotes = []loyalty.YearQuotes{
				{Year: 2021, Days: []loyalty.DayQuotes{{Date: loyalty.DateOf(2021, 12, 31), Base: usd, Quotes: map[loyalty.Currency]loyalty.Decimal{sgd: dec("2")}}}},
				{Year: 2022, Days: []loyalty.DayQuotes{{Date: loyalty.DateOf(2022, 1, 9), Base: usd, Quotes: map[loyalty.Currency]loyalty.Decimal{sgd: dec("3")}}}},
			}
			tx.Currency, tx.Date = usd, loyalty.DateOf(2022, 1, 3)
		}, converted: "SGD 200.00", units: "280", base: 1},
		{name: "too large", change: foreign(usd, math.MaxInt64), reason: "overflow"},
		{name: "given too large", change: given("922337203685477580.7"), reason: "overflow"},
		{name: "the largest given", change: func(s *ruleSet, tx *loyalty.Transaction) { given("92233720368547758.07")(s, tx); s.campaigns = nil },
			outcome: loyalty.NoCampaign, units: "0", converted: "SGD 92233720368547758.07"},
	})
}

func TestRule4TheBestBaseAndTheBestPromo(t *testing.T) {
	add := func(cs ...loyalty.Campaign) func(*ruleSet, *loyalty.Transaction) {
		return func(s *ruleSet, _ *loyalty.Transaction) { s.campaigns = append(s.campaigns, cs...) }
	}
	// with is a promo of 10 that a case changes.
	with := func(f func(*loyalty.Campaign, *loyalty.Transaction)) func(*ruleSet, *loyalty.Transaction) {
		return func(s *ruleSet, tx *loyalty.Transaction) {
			c := promo(2, "10")
			f(&c, tx)
			s.campaigns = append(s.campaigns, c)
		}
	}
	lower, higher := 4, 5
	if id(5).String() < id(4).String() {
		lower, higher = 5, 4
	}
	live := func(from, to loyalty.Date) func(*ruleSet, *loyalty.Transaction) {
		return with(func(c *loyalty.Campaign, _ *loyalty.Transaction) { c.Start, c.End = from, to })
	}
	mcc := func(s string) func(*ruleSet, *loyalty.Transaction) {
		return with(func(c *loyalty.Campaign, _ *loyalty.Transaction) { c.MCC = mustSet(s) })
	}
	merchant := func(of, at string) func(*ruleSet, *loyalty.Transaction) {
		return with(func(c *loyalty.Campaign, tx *loyalty.Transaction) { c.Merchant, tx.Merchant = of, at })
	}
	min := func(least string, amount int64) func(*ruleSet, *loyalty.Transaction) {
		return with(func(c *loyalty.Campaign, tx *loyalty.Transaction) { c.MinSpend, tx.Amount = dec(least), amount })
	}
	check(t, []ruleCase{
		{name: "base and promo", change: add(promo(2, "10")), units: "1140", base: 1, promo: 2},
		{name: "the highest of each", change: add(promo(2, "10"), promo(3, "11"), base(4, "1.5"), base(5, "1.3")), units: "1250", base: 4, promo: 3},
		{name: "a tie goes to the lowest id", change: add(promo(higher, "3"), promo(lower, "3")), units: "440", base: 1, promo: lower},
		{name: "a higher rate beats a lower id", change: add(promo(lower, "3"), promo(higher, "3.000000001")), units: "440", base: 1, promo: higher},
		{name: "promo alone", change: func(s *ruleSet, _ *loyalty.Transaction) { s.campaigns = []loyalty.Campaign{promo(2, "10")} }, units: "1000", promo: 2},
		{name: "rate 0 is a campaign too", change: func(s *ruleSet, _ *loyalty.Transaction) { s.campaigns = []loyalty.Campaign{promo(2, "0")} }, units: "0", promo: 2},
		{name: "none", change: func(s *ruleSet, _ *loyalty.Transaction) { s.campaigns = nil }, outcome: loyalty.NoCampaign, units: "0", converted: "SGD 100.00"},

		{name: "starts on the day", change: live(sep(10), sep(30)), units: "1140", base: 1, promo: 2},
		{name: "starts the day after", change: live(sep(11), sep(30)), units: "140", base: 1},
		{name: "ends on the day", change: live(sep(1), sep(10)), units: "1140", base: 1, promo: 2},
		{name: "ended the day before", change: live(sep(1), sep(9)), units: "140", base: 1},
		{name: "one day", change: live(sep(10), sep(10)), units: "1140", base: 1, promo: 2},

		{name: "another programme", change: with(func(c *loyalty.Campaign, _ *loyalty.Transaction) { c.Programme = "cash" }), units: "140", base: 1},
		{name: "a programme without a card type", change: with(func(c *loyalty.Campaign, _ *loyalty.Transaction) { c.Programme = "gold" }), units: "140", base: 1},

		{name: "the category", change: mcc("7011"), units: "1140", base: 1, promo: 2},
		{name: "a range that ends with it", change: mcc("7000-7011"), units: "1140", base: 1, promo: 2},
		{name: "a range that begins with it", change: mcc("7011-7012"), units: "1140", base: 1, promo: 2},
		{name: "one of several", change: mcc("3500-3999,7011"), units: "1140", base: 1, promo: 2},
		{name: "between two ranges", change: mcc("3500-3999,7000-7010,7012"), units: "140", base: 1},

		{name: "the merchant in another case", change: merchant("Kaligo", "WWW.KALIGO.COM"), units: "1140", base: 1, promo: 2},
		{name: "the merchant in another word", change: merchant("grab", "GRABFOOD"), units: "1140", base: 1, promo: 2},
		{name: "half of the merchant", change: merchant("GrabFood", "Grab"), units: "140", base: 1},
		{name: "no merchant in the transaction", change: merchant("Grab", ""), units: "140", base: 1},
		{name: "ß is ss", change: merchant("Straße", "HAUPTSTRASSE 7"), units: "1140", base: 1, promo: 2},
		{name: "ss is ß", change: merchant("strasse", "Hauptstraße 7"), units: "1140", base: 1, promo: 2},
		{name: "the Greek final sigma", change: merchant("ΣΊΣΥΦΟΣ", "σίσυφος"), units: "1140", base: 1, promo: 2},
		{name: "a ligature", change: merchant("FINE", "ﬁne dining"), units: "1140", base: 1, promo: 2},
		{name: "a short one at the end", change: merchant("KFC", "the kfc"), units: "1140", base: 1, promo: 2},
		{name: "an accent is not taken off", change: merchant("cafe", "Café"), units: "140", base: 1},

		{name: "foreign spend only, at home", change: with(func(c *loyalty.Campaign, _ *loyalty.Transaction) { c.Foreign = true }), units: "140", base: 1},
		{name: "foreign spend only, abroad", change: with(func(c *loyalty.Campaign, tx *loyalty.Transaction) { c.Foreign, tx.Currency = true, usd }), units: "1533", base: 1, promo: 2}, // 1345 + 188
		{name: "foreign spend that the bank converted", change: with(func(c *loyalty.Campaign, tx *loyalty.Transaction) {
			c.Foreign, tx.Currency, tx.HomeAmount = true, usd, num("100")
		}), units: "1140", base: 1, promo: 2},
		{name: "not foreign only, abroad", change: with(func(_ *loyalty.Campaign, tx *loyalty.Transaction) { tx.Currency = usd }), units: "1533", base: 1, promo: 2},

		{name: "the least spend exactly", change: min("100", 100_00), units: "1140", base: 1, promo: 2},
		{name: "a cent below the least spend", change: min("100", 99_99), units: "140", base: 1}, // 139.986
		{name: "a refund of the least spend", change: min("100", -100_00), units: "-1140", base: 1, promo: 2},
		{name: "a refund below the least spend", change: min("100", -99_99), units: "-140", base: 1},
		{name: "a least spend between two cents", change: min("99.995", 99_99), units: "140", base: 1},
		{name: "a least spend between two cents, reached", change: min("99.995", 100_00), units: "1140", base: 1, promo: 2},
		{name: "no least spend, nothing spent", change: min("0", 0), units: "0", base: 1, promo: 2},
		{name: "the least spend of what is converted", change: with(func(c *loyalty.Campaign, tx *loyalty.Transaction) {
			c.MinSpend, tx.Currency, tx.Amount = dec("134.50"), usd, 100_00
		}), units: "1533", base: 1, promo: 2},
		{name: "the smallest amount there is", change: with(func(c *loyalty.Campaign, tx *loyalty.Transaction) {
			c.Rate, c.MinSpend, tx.Amount = 0, math.MaxInt64, math.MinInt64
		}), units: "-129127208515966861", base: 1, promo: 2}, // 92233720368547758.08 × 1.4 = 129127208515966861.312
	})
}

func TestRule5UnitsOfEachCampaignAreRoundedOnTheirOwn(t *testing.T) {
	cash := func(baseRate, promoRate string, amount int64) func(*ruleSet, *loyalty.Transaction) {
		return func(s *ruleSet, tx *loyalty.Transaction) {
			b, p := base(1, baseRate), promo(2, promoRate)
			b.Programme, p.Programme = "cash", "cash"
			s.campaigns = []loyalty.Campaign{b, p}
			tx.CardType, tx.Amount = "cash", amount
		}
	}
	miles := func(baseRate, promoRate string, amount int64) func(*ruleSet, *loyalty.Transaction) {
		return func(s *ruleSet, tx *loyalty.Transaction) {
			s.campaigns = []loyalty.Campaign{base(1, baseRate), promo(2, promoRate)}
			tx.Amount = amount
		}
	}
	check(t, []ruleCase{
		// 0.4 + 0.4 = 0.8 would be 1; each alone is 0.
		{name: "two small ones stay nothing", change: miles("0.4", "0.4", 1_00), units: "0", base: 1, promo: 2},
		// 0.5 + 0.5: each is 1.
		{name: "two halves are two", change: miles("0.5", "0.5", 1_00), units: "2", base: 1, promo: 2},
		{name: "two halves taken back", change: miles("0.5", "0.5", -1_00), units: "-2", base: 1, promo: 2},
		{name: "just below a half", change: miles("0.499999999", "0", 1_00), units: "0", base: 1, promo: 2},
		// 12.34 × 0.005 = 0.0617; 12.34 × 0.05 = 0.617
		{name: "to the card type's decimals", change: cash("0.005", "0.05", 12_34), units: "0.68", base: 1, promo: 2},
		{name: "a refund takes back what the purchase gave", change: cash("0.005", "0.05", -12_34), units: "-0.68", base: 1, promo: 2},
		{name: "half a cent", change: cash("0.005", "0", 1_00), units: "0.01", base: 1, promo: 2},
		{name: "nothing spent", change: cash("0.005", "0.05", 0), units: "0", base: 1, promo: 2},
		{name: "four decimals", change: func(s *ruleSet, tx *loyalty.Transaction) {
			cash("0.005", "0", 12_35)(s, tx) // 0.06175
			s.cardTypes[1].Decimals = 4
		}, units: "0.0618", base: 1, promo: 2},
		{name: "units that do not fit", change: miles("1000", "0", math.MaxInt64), reason: "overflow"},
		{name: "a sum that does not fit", change: miles("60", "60", math.MaxInt64), reason: "overflow"},
		{name: "a sum that does not fit, below zero", change: miles("60", "60", math.MinInt64), reason: "overflow"},
	})
}

func TestRewardExplainsItself(t *testing.T) {
	kaligo := promo(2, "10")
	kaligo.Merchant = "Kaligo"
	for _, tt := range []struct {
		name   string
		change func(*ruleSet, *loyalty.Transaction)
		want   string
	}{
		{"promo and base, foreign", func(s *ruleSet, tx *loyalty.Transaction) {
			s.campaigns = append(s.campaigns, kaligo)
			tx.Currency = usd
		}, "10 miles per dollar at Kaligo (promo) + 1.4 base; USD 100.00 = SGD 134.50 at 1.3450 of 2021-09-02"},
		{"base alone, home", nil, "1.4 miles per dollar (base)"},
		{"promo without a merchant is told by its name", func(s *ruleSet, _ *loyalty.Transaction) { s.campaigns = []loyalty.Campaign{promo(2, "1")} }, "1 mile per dollar (promo: Campaign 2)"},
		{"a small rate", func(_ *ruleSet, tx *loyalty.Transaction) { tx.Currency, tx.Amount = jpy, 1000 }, "1.4 miles per dollar (base); JPY 1000 = SGD 13.45 at 0.0134500 of 2021-09-02"},
		{"as the bank converted it", func(_ *ruleSet, tx *loyalty.Transaction) { tx.Currency, tx.HomeAmount = usd, num("134.5") }, "1.4 miles per dollar (base); USD 100.00 = SGD 134.50 as converted by the bank"},
		{"refund", func(_ *ruleSet, tx *loyalty.Transaction) { tx.Amount = -100_00 }, "1.4 miles per dollar (base); refund: 140 miles taken back"},
		{"refund of one", func(_ *ruleSet, tx *loyalty.Transaction) { tx.Amount = -70 }, "1.4 miles per dollar (base); refund: 1 mile taken back"},
		{"cashback", func(s *ruleSet, tx *loyalty.Transaction) {
			shell, all := promo(2, "0.05"), base(1, "0.005")
			shell.Merchant, shell.Programme, all.Programme = "Shell", "cash", "cash"
			s.campaigns = []loyalty.Campaign{shell, all}
			tx.CardType, tx.Merchant = "cash", "SHELL KIOSK"
		}, "5% cashback at Shell (promo) + 0.5% base"},
		{"excluded", func(s *ruleSet, tx *loyalty.Transaction) {
			s.exclusions = []loyalty.Exclusion{{ID: id(1), MCC: 6051, ValidFrom: loyalty.DateOf(2021, 1, 1)}}
			tx.MCC = 6051
		}, "Excluded: merchant category 6051 earns nothing since 2021-01-01"},
		{"category unknown", func(_ *ruleSet, tx *loyalty.Transaction) { tx.MCC = 0 }, "Excluded: the merchant category is unknown"},
		{"no campaign", func(_ *ruleSet, tx *loyalty.Transaction) { tx.Date = sep(30) + 1 }, "No live campaign fits this transaction"},
		{"no campaign, abroad", func(_ *ruleSet, tx *loyalty.Transaction) {
			tx.Date, tx.Currency, tx.HomeAmount = sep(30)+1, usd, num("1")
		},
			"No live campaign fits this transaction; USD 100.00 = SGD 1.00 as converted by the bank"},
		{"programme without campaigns", func(_ *ruleSet, tx *loyalty.Transaction) { tx.CardType = "cash" }, "No live campaign fits this transaction; the card's programme has no campaigns"},
		{"too little spent", func(s *ruleSet, tx *loyalty.Transaction) { s.campaigns[0].MinSpend = dec("100.5") },
			"No live campaign fits this transaction; 1.4 miles per dollar (base) needs SGD 100.50 or more"},
		{"home spend", func(s *ruleSet, tx *loyalty.Transaction) { s.campaigns[0].Foreign = true },
			"No live campaign fits this transaction; 1.4 miles per dollar (base) is for spend in a foreign currency"},
		{"in euro", func(s *ruleSet, tx *loyalty.Transaction) { s.home, tx.Currency = eur, eur }, "1.4 miles per euro (base)"},
		{"in a currency without a word", func(s *ruleSet, tx *loyalty.Transaction) { s.home, tx.Currency = bhd, bhd }, "1.4 miles per BHD (base)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, tx := set(), spend()
			if tt.change != nil {
				tt.change(s, tx)
			}
			b := rules.NewBook(s.home)
			s.fill(b)
			r := compile(t, b)
			reward, err := r.Reward(tx)
			if err != nil {
				t.Fatal(err)
			}
			if reward.Remarks != tt.want {
				t.Errorf("remarks\n     %s\nwant %s", reward.Remarks, tt.want)
			}
			data, err := json.Marshal(reward)
			if err != nil {
				t.Fatal(err)
			}
			var back loyalty.Reward
			if err := json.Unmarshal(data, &back); err != nil {
				t.Fatal(err)
			}
			if again, err := json.Marshal(back); err != nil || string(again) != string(data) {
				t.Errorf("the reward comes back as\n     %s\nwant %s (%v)", again, data, err)
			}
		})
	}
}

func TestTraceHasTheWholeCalculation(t *testing.T) {
	s, tx := set(), spend()
	s.campaigns = append(s.campaigns, promo(2, "10"))
	tx.Currency = usd
	b := rules.NewBook(sgd)
	s.fill(b)
	r := compile(t, b)
	reward, err := r.Reward(tx)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(reward.Trace)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"rule_set":"` + r.Hash().String() + `","outcome":"rewarded","programme":"SCISMiles","unit":"miles","decimals":0,` +
		`"base":{"id":"` + id(1).String() + `","name":"Campaign 1","rate":1.4,"units":188},` +
		`"promo":{"id":"` + id(2).String() + `","name":"Campaign 2","rate":10,"units":1345},` +
		`"converted":{"amount":134.5,"currency":"SGD","source":"quote","rate_date":"2021-09-02","quote_base":"EUR","from_quote":1,"to_quote":1.345}}`
	if string(got) != want {
		t.Errorf("trace\n     %s\nwant %s", got, want)
	}
	if reward.Units.Value != 1345+188 || !reward.CreatedAt.IsZero() {
		t.Errorf("units %s, created at %s", reward.Units, reward.CreatedAt)
	}
}

func TestReasonIsEmptyForErrorsThatAreNotTheRules(t *testing.T) {
	for _, err := range []error{nil, errors.New("disk full")} {
		if got := rules.Reason(err); got != "" {
			t.Errorf("Reason(%v) = %q", err, got)
		}
	}
}

func TestEvaluateAllocatesNothing(t *testing.T) {
	campaigns := benchCampaigns(1000)
	r := compile(t, benchBook(campaigns))
	txs := benchTransactions(campaigns)
	txs[0].Merchant = strings.Repeat("ΐ", loyalty.MaxFieldRunes) // folds to three runes each
	txs[1].Merchant = strings.Repeat("X", 4*loyalty.MaxFieldRunes)
	txs[2].Merchant = "Café Straße"
	i := 0
	if n := testing.AllocsPerRun(2*len(txs), func() {
		if _, err := r.Evaluate(&txs[i%len(txs)]); err != nil {
			t.Fatal(err)
		}
		i++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestMemoryIsBounded has the rule sets of which an index may become large.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles 10,000 campaigns")
	}
	// Each card type has its own few campaigns, of which one begins on each day.
	var cardTypes []loyalty.CardType
	var apart []loyalty.Campaign
	for i := range 500 {
		key := fmt.Sprint("card_", i)
		cardTypes = append(cardTypes, loyalty.CardType{CardType: key, Name: key, Unit: "miles", Programme: key})
		for k := range 20 {
			c := promo(20*i+k, "1")
			c.Programme, c.Merchant = key, []string{"", "Grab"}[k%2]
			c.Start, c.End = loyalty.MinDate+loyalty.Date(2000*k+i), loyalty.MaxDate
			c.MCC = loyalty.MCCSet{{From: loyalty.MCC(1 + 499*k), To: loyalty.MCC(1 + 499*k)}}
			apart = append(apart, c)
		}
	}
	for _, tt := range []struct {
		name      string
		campaigns []loyalty.Campaign
		most      uint64 // bytes for each
	}{
		{"programmes like a card issuer's", benchCampaigns(10_000), 2 << 10},
		{"a few campaigns for each of many card types", apart, 4 << 10},
		{"categories and days that overlap in as many ways as they can; direct lists would take n² entries", tangled(10_000), 16 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := heap()
			b := benchBook(tt.campaigns)
			for _, c := range cardTypes {
				b.PutCardType(c)
			}
			r := compile(t, b)
			if kept := (heap() - before) / uint64(len(tt.campaigns)); kept > tt.most {
				t.Errorf("%d bytes for each of %d campaigns, more than %d", kept, len(tt.campaigns), tt.most)
			} else {
				t.Logf("%d bytes for each of %d campaigns", kept, len(tt.campaigns))
			}
			if r.Home() != sgd {
				t.Error("another home currency")
			}
		})
	}
}
