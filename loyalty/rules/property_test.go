package rules_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rules"
	"github.com/angelowl-loyalties/app/loyalty/rules/oracle"
)

// ruleSet is a rule set as lists.
type ruleSet struct {
	home       loyalty.Currency
	cardTypes  []loyalty.CardType
	campaigns  []loyalty.Campaign
	exclusions []loyalty.Exclusion
	quotes     []loyalty.YearQuotes
}

func (s *ruleSet) fill(b *rules.Book) {
	for _, t := range s.cardTypes {
		b.PutCardType(t)
	}
	for _, c := range s.campaigns {
		b.PutCampaign(c)
	}
	for _, x := range s.exclusions {
		b.PutExclusion(x)
	}
	for _, y := range s.quotes {
		b.PutQuotes(y)
	}
}

func (s *ruleSet) oracle() *oracle.Oracle {
	return oracle.New(s.home, s.cardTypes, s.campaigns, s.exclusions, s.quotes)
}

// The domains are small, so that ties, overlaps and boundaries occur all the time.

var (
	day0       = loyalty.DateOf(2021, 12, 25) // the turn of a year lies among the days
	currencies = []loyalty.Currency{
		loyalty.MustCurrency("SGD"), loyalty.MustCurrency("USD"), loyalty.MustCurrency("EUR"),
		loyalty.MustCurrency("JPY"), loyalty.MustCurrency("BHD"),
	}
	programmes = []string{"miles", "points", "cash"}
	merchants  = []string{
		"", "", "Grab", "GRABFOOD", "rab", "a", "Straße", "STRASSE", "ss", "ﬁne", "Σίσυφος", "kfc", "K", "ſ", "é", "グラブ", "bfo",
		"GrabFood SG", "grab`", "gra[b", "i̇stanbul", "xxxxGrab", "ssssssssKFC",
	}
	names = []string{
		"Grab", "GrabFood SG", "STRASSE 7", "große Straße", "FINE DINING", "ΣΊΣΥΦΟΣ ς", "KFC", "\u212afc", "a", "", "aaaa", "Crème É",
		"grab grabfood grab", "グラブ Grab", "gra\xffb", "\xf0\x9f", "ẞ", "a\x00\x00\x00\x00\x00",
		"GRAB@", "grab`", "{grab", "gra[b", "İstanbul", strings.Repeat("x", 62) + "GrabFood", strings.Repeat("ß", 33) + "KFC",
	}
	amounts     = []int64{0, 1, -1, 49, 50, 100, -100, 9999, 10000, 10001, -10000, 12345, 5_000_000, math.MaxInt64, math.MinInt64, 1 << 60}
	decimals    = []loyalty.Decimal{0, 1, 5_000_000, 500_000_000, 1e9, 1e9, 1_400_000_000, 4e9, 10e9, 99_990_000_000, 100e9, 100_001_000_000, math.MaxInt64}
	homeAmounts = []string{"0", "0", "0", "0", "0.5", "-1", "100", "99.99", "1.234", "134.5", "9223372036854775807", "0.000000001"}
)

func date() *rapid.Generator[loyalty.Date] {
	return rapid.Custom(func(t *rapid.T) loyalty.Date { return day0 + loyalty.Date(rapid.IntRange(0, 15).Draw(t, "day")) })
}

func id(n int) uuid.UUID {
	return uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n))
}

func mccSet() *rapid.Generator[loyalty.MCCSet] {
	return rapid.Custom(func(t *rapid.T) loyalty.MCCSet {
		var set loyalty.MCCSet
		for range rapid.IntRange(0, 3).Draw(t, "ranges") {
			from := rapid.IntRange(1, 12).Draw(t, "from")
			set = append(set, loyalty.MCCRange{From: loyalty.MCC(from), To: loyalty.MCC(from + rapid.IntRange(0, 6).Draw(t, "more"))})
		}
		if rapid.IntRange(0, 20).Draw(t, "edge") == 0 {
			set = append(set, loyalty.MCCRange{From: 9990, To: 9999})
		}
		return set
	})
}

func campaign() *rapid.Generator[loyalty.Campaign] {
	return rapid.Custom(func(t *rapid.T) loyalty.Campaign {
		start := date().Draw(t, "start")
		return loyalty.Campaign{
			ID:        id(rapid.IntRange(0, 60).Draw(t, "id")),
			Name:      rapid.SampledFrom([]string{"A", "B & <C>", "Ü\u2028x"}).Draw(t, "name"),
			MinSpend:  rapid.SampledFrom(decimals).Draw(t, "min"),
			Start:     start,
			End:       start + loyalty.Date(rapid.IntRange(0, 10).Draw(t, "days")),
			Programme: rapid.SampledFrom(programmes).Draw(t, "programme"),
			Rate:      rapid.SampledFrom(decimals).Draw(t, "rate"),
			MCC:       mccSet().Draw(t, "mcc"),
			Merchant:  rapid.SampledFrom(merchants).Draw(t, "merchant"),
			Base:      rapid.Bool().Draw(t, "base"),
			Foreign:   rapid.IntRange(0, 3).Draw(t, "foreign") == 0,
		}
	})
}

func yearQuotes(year int) *rapid.Generator[loyalty.YearQuotes] {
	return rapid.Custom(func(t *rapid.T) loyalty.YearQuotes {
		y := loyalty.YearQuotes{Year: year}
		for d := day0 - 12; d < day0+16; d++ {
			if d.Year() != year || rapid.IntRange(0, 4).Draw(t, "quoted") > 0 {
				continue
			}
			q := loyalty.DayQuotes{Date: d, Base: rapid.SampledFrom(currencies).Draw(t, "base"), Quotes: map[loyalty.Currency]loyalty.Decimal{}}
			for _, c := range currencies {
				if c != q.Base && rapid.IntRange(0, 3).Draw(t, "there") > 0 {
					q.Quotes[c] = rapid.SampledFrom([]loyalty.Decimal{1, 1e9, 1_536_400_000, 333_333_333, 110_250_000_000, math.MaxInt64}).Draw(t, "quote")
				}
			}
			if len(q.Quotes) > 0 {
				y.Days = append(y.Days, q)
			}
		}
		return y
	})
}

func ruleSets() *rapid.Generator[ruleSet] {
	return rapid.Custom(func(t *rapid.T) ruleSet {
		s := ruleSet{home: rapid.SampledFrom(currencies).Draw(t, "home")}
		for _, p := range programmes[:rapid.IntRange(1, 3).Draw(t, "card types")] {
			s.cardTypes = append(s.cardTypes, loyalty.CardType{CardType: p, Name: p, Unit: p, Programme: p, Decimals: uint8(rapid.IntRange(0, 4).Draw(t, "decimals"))})
		}
		s.campaigns = rapid.SliceOfNDistinct(campaign(), 0, 40, func(c loyalty.Campaign) uuid.UUID { return c.ID }).Draw(t, "campaigns")
		s.exclusions = rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) loyalty.Exclusion {
			return loyalty.Exclusion{ID: id(rapid.IntRange(0, 20).Draw(t, "id")), MCC: loyalty.MCC(rapid.IntRange(1, 20).Draw(t, "mcc")), ValidFrom: date().Draw(t, "from")}
		}), 0, 6, func(x loyalty.Exclusion) uuid.UUID { return x.ID }).Draw(t, "exclusions")
		s.quotes = []loyalty.YearQuotes{yearQuotes(2021).Draw(t, "2021"), yearQuotes(2022).Draw(t, "2022")}
		return s
	})
}

func transaction() *rapid.Generator[loyalty.Transaction] {
	return rapid.Custom(func(t *rapid.T) loyalty.Transaction {
		given, err := loyalty.ParseNumber(rapid.SampledFrom(homeAmounts).Draw(t, "given"))
		if err != nil {
			t.Fatal(err)
		}
		return loyalty.Transaction{
			ID: id(1), CardID: id(2), CardPAN: "************1234",
			Merchant:   rapid.SampledFrom(names).Draw(t, "merchant"),
			MCC:        loyalty.MCC(rapid.SampledFrom([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 18, 20, 9989, 9990, 9999}).Draw(t, "mcc")),
			Currency:   rapid.SampledFrom(currencies).Draw(t, "currency"),
			Amount:     rapid.SampledFrom(amounts).Draw(t, "amount"),
			HomeAmount: given,
			Date:       date().Draw(t, "date") + loyalty.Date(rapid.IntRange(-1, 12).Draw(t, "later")),
			CardType:   rapid.SampledFrom(append(programmes[:3:3], "gold")).Draw(t, "card type"),
		}
	})
}

// agree compares what the rules and the oracle say of a transaction.
func agree(t interface {
	Fatalf(string, ...any)
	Helper()
}, r *rules.Rules, o *oracle.Oracle, tx *loyalty.Transaction) {
	t.Helper()
	want := o.Reward(tx)
	res, err := r.Evaluate(tx)
	if got := rules.Reason(err); got != want.Reason || (err != nil) != (got != "") {
		t.Fatalf("%+v:\nerror %v, the oracle says %q", tx, err, want.Reason)
	}
	if err != nil {
		return
	}
	idOf := func(c *loyalty.Campaign) uuid.UUID {
		if c == nil {
			return uuid.Nil
		}
		return c.ID
	}
	got := oracle.Result{
		Outcome: res.Outcome, Source: res.Source, RateDate: res.Rate.Date,
		Base: idOf(res.Base), Promo: idOf(res.Promo), Units: rat(res.Units.Value, int(res.Units.Digits)),
	}
	if res.Exclusion != nil {
		got.Exclusion = res.Exclusion.ID
	}
	if res.Outcome != loyalty.Excluded {
		got.Converted = rat(res.Converted.Minor, r.Home().Digits())
	}
	if res.Base != nil {
		got.BaseUnits = rat(res.BaseUnits.Value, int(res.BaseUnits.Digits))
	}
	if res.Promo != nil {
		got.PromoUnits = rat(res.PromoUnits.Value, int(res.PromoUnits.Digits))
	}
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Fatalf("%+v:\n got %s\nwant %s", tx, g, w)
	}
	reward, err := r.Reward(tx)
	if err != nil || reward.Units != res.Units || reward.Remarks == "" || reward.Trace.RuleSet != r.Hash() || reward.Trace.Outcome != res.Outcome {
		t.Fatalf("%+v:\nreward %+v, error %v, do not go with %+v", tx, reward, err, res)
	}
}

func rat(v int64, digits int) *big.Rat {
	return new(big.Rat).SetFrac(big.NewInt(v), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil))
}

func TestRulesAgreeWithTheOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ruleSets().Draw(t, "rules")
		b := rules.NewBook(s.home)
		s.fill(b)
		r, _, err := b.Compile()
		if err != nil {
			t.Fatal(err)
		}
		o := s.oracle()
		for _, tx := range rapid.SliceOfN(transaction(), 40, 40).Draw(t, "transactions") {
			agree(t, r, o, &tx)
		}
	})
}

// TestManyCampaignsAgreeWithTheOracle has rule sets so large and so tangled that every form of
// the index is taken: lists and trees, by category and by day, and trees of texts.
func TestManyCampaignsAgreeWithTheOracle(t *testing.T) {
	for _, shape := range []struct {
		name                             string
		campaigns, mccs, days, mins      int
		nested, byMerchant, singleRanges bool
	}{
		{name: "all categories, many days", campaigns: 400, days: 3000, mins: 5},
		{name: "all categories, tiers by amount that no window shares", campaigns: 600, days: 40000, mins: 1 << 20, nested: true},
		{name: "many ranges, many days", campaigns: 500, mccs: 9999, days: 3000, mins: 5},
		{name: "many ranges, few days", campaigns: 500, mccs: 300, days: 20, mins: 1 << 20, nested: true},
		{name: "single categories", campaigns: 500, mccs: 40, days: 400, mins: 3, singleRanges: true},
		{name: "many merchants", campaigns: 1500, mccs: 50, days: 100, mins: 4, byMerchant: true},
	} {
		t.Run(shape.name, func(t *testing.T) {
			for seed := range uint64(4) {
				rnd := rand.New(rand.NewPCG(seed, 7))
				s := ruleSet{home: currencies[0], cardTypes: []loyalty.CardType{{CardType: "miles", Name: "M", Unit: "miles", Programme: "M", Decimals: 2}}}
				name := func() string {
					n := make([]byte, 1+rnd.IntN(9))
					for i := range n {
						n[i] = "abcABC d"[rnd.IntN(8)]
					}
					if n[0] == ' ' || n[len(n)-1] == ' ' {
						return "ab"
					}
					return string(n)
				}
				for i := range shape.campaigns {
					c := loyalty.Campaign{ID: id(i), Name: "c", Programme: "miles", Base: rnd.IntN(3) == 0, Foreign: rnd.IntN(4) == 0}
					c.Start = loyalty.MinDate + loyalty.Date(rnd.IntN(shape.days))
					c.End = min(loyalty.MaxDate, c.Start+loyalty.Date(rnd.IntN(shape.days)))
					c.MinSpend = loyalty.Decimal(rnd.IntN(shape.mins)) * 10_000_000
					c.Rate = loyalty.Decimal(rnd.IntN(50)) * 1e8
					if shape.nested { // the more is spent, the higher the rate: nothing makes anything useless
						c.Rate = c.MinSpend + 1
					}
					for range min(shape.mccs, 1+rnd.IntN(3)) {
						from := 1 + rnd.IntN(shape.mccs)
						to := min(9999, from+rnd.IntN(shape.mccs))
						if shape.singleRanges {
							to = from
						}
						c.MCC = append(c.MCC, loyalty.MCCRange{From: loyalty.MCC(from), To: loyalty.MCC(to)})
					}
					if shape.byMerchant && rnd.IntN(20) > 0 {
						c.Merchant = name()
					}
					s.campaigns = append(s.campaigns, c)
				}
				b := rules.NewBook(s.home)
				s.fill(b)
				r, _, err := b.Compile()
				if err != nil {
					t.Fatal(err)
				}
				o := s.oracle()
				for range 150 {
					tx := loyalty.Transaction{
						CardType: "miles", Currency: currencies[rnd.IntN(2)], Amount: int64(rnd.IntN(1 << rnd.IntN(22))),
						MCC:      loyalty.MCC(1 + rnd.IntN(max(shape.mccs, 50))),
						Date:     loyalty.MinDate + loyalty.Date(rnd.IntN(shape.days*3/2)),
						Merchant: name() + name() + name(),
					}
					tx.HomeAmount = loyalty.Money{Minor: 1 + tx.Amount, Currency: s.home}.Number()
					if c := s.campaigns[rnd.IntN(len(s.campaigns))]; rnd.IntN(2) == 0 { // at a boundary
						tx.Date = []loyalty.Date{c.Start - 1, c.Start, c.End, c.End + 1}[rnd.IntN(4)]
						tx.Amount = int64(c.MinSpend)/10_000_000 - int64(rnd.IntN(2))
						if c.MCC != nil {
							tx.MCC = []loyalty.MCC{c.MCC[0].From - 1, c.MCC[0].From, c.MCC[0].To, c.MCC[0].To + 1}[rnd.IntN(4)]
						}
						tx.Merchant = c.Merchant + tx.Merchant
					}
					agree(t, r, o, &tx)
				}
			}
		})
	}
}

func TestEqualContentHasOneHashWhateverTheEdits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ruleSets().Draw(t, "rules")
		want := rules.NewBook(s.home)
		s.fill(want)
		r, parts, err := want.Compile()
		if err != nil {
			t.Fatal(err)
		}

		// The same content after a detour: other items came and went, and compiles between.
		b := rules.NewBook(s.home)
		other := ruleSets().Draw(t, "detour")
		steps := []func(){}
		for _, c := range other.campaigns {
			steps = append(steps, func() { b.PutCampaign(c) })
		}
		for _, x := range other.exclusions {
			steps = append(steps, func() { b.PutExclusion(x) })
		}
		for _, y := range other.quotes {
			steps = append(steps, func() { b.PutQuotes(y) })
		}
		for _, c := range other.cardTypes {
			steps = append(steps, func() { b.PutCardType(c) })
		}
		play := func(steps []func()) {
			for _, i := range rapid.Permutation(indexes(len(steps))).Draw(t, "order") {
				steps[i]()
				if rapid.IntRange(0, 9).Draw(t, "compile") == 0 {
					if _, _, err := b.Compile(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		play(steps)
		steps = nil
		for _, c := range s.campaigns {
			steps = append(steps, func() { b.PutCampaign(c) })
		}
		for _, c := range other.campaigns {
			if !slices.ContainsFunc(s.campaigns, func(have loyalty.Campaign) bool { return have.ID == c.ID }) {
				steps = append(steps, func() { b.DeleteCampaign(c.ID) })
			}
		}
		for _, x := range s.exclusions {
			steps = append(steps, func() { b.PutExclusion(x) })
		}
		for _, x := range other.exclusions {
			if !slices.ContainsFunc(s.exclusions, func(have loyalty.Exclusion) bool { return have.ID == x.ID }) {
				steps = append(steps, func() { b.DeleteExclusion(x.ID) })
			}
		}
		for _, y := range s.quotes {
			steps = append(steps, func() { b.DeleteQuotes(y.Year); b.PutQuotes(y) })
		}
		for _, p := range programmes {
			i := slices.IndexFunc(s.cardTypes, func(c loyalty.CardType) bool { return c.CardType == p })
			if i < 0 {
				steps = append(steps, func() { b.DeleteCardType(p) })
			} else {
				steps = append(steps, func() { b.PutCardType(s.cardTypes[i]) })
			}
		}
		play(steps)

		again, partsAgain, err := b.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if r.Hash() != again.Hash() || !slices.EqualFunc(parts, partsAgain, func(a, b rules.Part) bool { return a.Hash == b.Hash }) {
			t.Fatalf("the hash is %s, and %s after a detour", r.Hash(), again.Hash())
		}
		loaded := load(t, r.Hash(), partsAgain)
		o := s.oracle()
		for _, tx := range rapid.SliceOfN(transaction(), 10, 10).Draw(t, "transactions") {
			agree(t, r, o, &tx)
			agree(t, again, o, &tx)
			agree(t, loaded, o, &tx)
		}
	})
}

func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// load loads a rule set from its parts.
func load(t interface {
	Fatal(...any)
	Helper()
}, hash loyalty.Hash, parts []rules.Part) *rules.Rules {
	t.Helper()
	byHash := map[loyalty.Hash][]byte{}
	for _, p := range parts {
		if loyalty.HashOf(p.Data) != p.Hash {
			t.Fatal("a part's hash is not that of its data")
		}
		byHash[p.Hash] = p.Data
	}
	r, err := rules.Load(hash, func(h loyalty.Hash) ([]byte, error) {
		data, ok := byHash[h]
		if !ok {
			return nil, fmt.Errorf("there is no part %s", h)
		}
		return data, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Hash() != hash {
		t.Fatal("another hash than asked for")
	}
	return r
}
