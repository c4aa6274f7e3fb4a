package rules_test

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// Run with: go test -run '^$' -bench . -benchmem ./rules
//
// The rule sets are made from real programmes: the four card types with the base campaigns, the
// category bonuses and the readings of "shopping", "hotel" and "online" of examples/rules.json; the
// rest promos for a merchant, for categories or both, each for one to six months of six years, a
// third with a least spend, a tenth for foreign spend only. Half of the merchants are those of the
// city's spend in examples/spend.csv, as a bank would write them ("Home Depot" of "THE HOME DEPOT
// #7080"), the other half are made up.
//
// The transactions are made from that spend too: its merchants with other numbers in them, each
// with its own category, its amounts; any day of ten months, so that the whole of a year's rules is
// in use, which is harder than a bank's file of one day. One in five is foreign; one in three is at
// the merchant of a promo, with its card type, on a day on which it is live. They are so many that
// the processor cannot learn the way through all of them by heart.

var benchCards = []loyalty.CardType{
	{CardType: "scis_shopping", Name: "SCIS Shopping Card", Unit: "points", Programme: "SCIS Points"},
	{CardType: "scis_premiummiles", Name: "SCIS PremiumMiles Card", Unit: "miles", Programme: "SCISMiles"},
	{CardType: "scis_platinummiles", Name: "SCIS PlatinumMiles Card", Unit: "miles", Programme: "SCISMiles"},
	{CardType: "scis_freedom", Name: "SCIS Freedom Card", Unit: "cashback", Programme: "SCIS Cashback", Decimals: 2},
}

// benchStanding are the campaigns that are always live.
var benchStanding = []struct {
	card           int
	rate, min, mcc string
	base, foreign  bool
}{
	{0, "1", "0", "0", true, false},
	{0, "4", "0", "5300-5311,5611,5621,5631,5641,5651,5661,5691,5699", true, false},
	{0, "10", "0", "5399,5815-5818,5964", false, false},
	{1, "1.1", "0", "0", true, false},
	{1, "2.2", "0", "0", true, true},
	{1, "3", "0", "3500-3999,7011", false, false},
	{2, "1.4", "0", "0", true, false},
	{2, "3", "0", "0", true, true},
	{2, "3", "0", "3500-3999,7011", false, false},
	{2, "6", "0", "3500-3999,7011", false, true},
	{3, "0.005", "0", "0", true, false},
	{3, "0.01", "500", "0", true, false},
	{3, "0.03", "2000", "0", true, false},
}

var benchFirst = loyalty.DateOf(2018, 1, 1)

func mustSet(s string) loyalty.MCCSet {
	set, err := loyalty.ParseMCCSet(s)
	if err != nil {
		panic(err)
	}
	return set
}

// benchSpend is the example's spend.
var benchSpend = sync.OnceValue(func() (out []loyalty.RawTransaction) {
	f, err := os.Open("../../examples/spend.csv")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		panic(err)
	}
	for _, row := range rows[1:] {
		raw := loyalty.RawTransaction{}
		fields := raw.Fields()
		for i, column := range rows[0] {
			*fields[slices.Index(loyalty.Columns, column)] = row[i]
		}
		if _, err := raw.Parse(0); err == nil {
			out = append(out, raw)
		}
	}
	return out
})

// benchNames are the merchants of the spend without what a bank would not write into a campaign:
// the article, store numbers, what follows the second word.
var benchNames = sync.OnceValue(func() (names []string) {
	seen := map[string]bool{}
	for _, raw := range benchSpend() {
		var words []string
		for _, w := range strings.Fields(strings.TrimPrefix(raw.Merchant, "THE ")) {
			if len(words) == 2 || strings.ContainsAny(w, "#0123456789*") {
				break
			}
			words = append(words, w[:1]+strings.ToLower(w[1:]))
		}
		if n := strings.Join(words, " "); len(n) >= 4 && !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	return names
})

// benchMerchant is a merchant of a campaign.
func benchMerchant(rnd *rand.Rand, i int) string {
	known := []string{"Grab", "GrabFood", "Kaligo", "Shell", "Shopee", "Lazada", "Amazon", "Qoo10", "FoodPanda", "Deliveroo", "RedMart", "Comfort Taxi"}
	if i < len(known) {
		return known[i]
	}
	if names := benchNames(); i%2 == 0 {
		return names[rnd.IntN(len(names))]
	}
	syllables := []string{"ka", "lo", "mer", "shop", "tan", "ray", "bel", "co", "dun", "fi", "gar", "hol", "jin", "ken", "lu", "mo", "nor", "pe", "qu", "ri", "sun", "tek", "vil", "wa", "xi", "yo", "zen"}
	n := ""
	for range 2 + rnd.IntN(3) {
		n += syllables[rnd.IntN(len(syllables))]
	}
	return n + []string{"", " cafe", " mart", " hotel", " travel"}[rnd.IntN(5)]
}

func benchCampaigns(n int) []loyalty.Campaign {
	rnd := rand.New(rand.NewPCG(uint64(n), 3))
	var out []loyalty.Campaign
	add := func(c loyalty.Campaign) {
		c.ID = id(len(out))
		c.Name = fmt.Sprintf("Campaign %d", len(out))
		out = append(out, c)
	}
	for _, s := range benchStanding {
		add(loyalty.Campaign{
			Programme: benchCards[s.card].CardType, Rate: loyalty.MustDecimal(s.rate), MinSpend: loyalty.MustDecimal(s.min),
			MCC: mustSet(s.mcc), Base: s.base, Foreign: s.foreign, Start: loyalty.MinDate, End: loyalty.MaxDate,
		})
	}
	for i := 0; len(out) < n; i++ {
		c := loyalty.Campaign{
			Programme: benchCards[rnd.IntN(4)].CardType,
			Rate:      loyalty.Decimal(2+rnd.IntN(40)) * 250_000_000,
			Start:     benchFirst + loyalty.Date(30*rnd.IntN(72)),
			Base:      rnd.IntN(20) == 0,
			Foreign:   rnd.IntN(10) == 0,
		}
		c.End = c.Start + loyalty.Date(30*(1+rnd.IntN(6))-1)
		if rnd.IntN(3) == 0 {
			c.MinSpend = loyalty.Decimal([]int64{20, 50, 100, 150, 500}[rnd.IntN(5)]) * 1e9
		}
		switch k := rnd.IntN(100); {
		case k < 60:
			c.Merchant = benchMerchant(rnd, i)
		case k < 70:
			c.Merchant = benchMerchant(rnd, i)
			c.MCC = mustSet([]string{"5411,5499", "5600-7299", "7011", "4121"}[rnd.IntN(4)])
		case k < 80:
			c.MCC = mustSet("3500-3999,7011")
		case k < 85:
			c.MCC = mustSet("5600-7299")
		case k < 88:
			c.MCC = mustSet("5541-5542")
		case k < 98:
			c.MCC = mustSet(fmt.Sprint(3000 + rnd.IntN(6000)))
		}
		add(c)
	}
	return out
}

func benchQuotes() loyalty.YearQuotes {
	y := loyalty.YearQuotes{Year: 2021}
	for d := loyalty.DateOf(2021, 1, 4); d.Year() == 2021; d++ {
		if weekday := (int(d) + 4) % 7; weekday != 0 && weekday != 6 {
			y.Days = append(y.Days, loyalty.DayQuotes{Date: d, Base: currencies[2], Quotes: map[loyalty.Currency]loyalty.Decimal{
				currencies[0]: 1_536_400_000, currencies[1]: 1_121_100_000, currencies[3]: 130_250_000_000,
			}})
		}
	}
	return y
}

func benchBook(campaigns []loyalty.Campaign) *rules.Book {
	s := ruleSet{home: currencies[0], cardTypes: benchCards, campaigns: campaigns, quotes: []loyalty.YearQuotes{benchQuotes()}}
	for i, mcc := range []loyalty.MCC{6051, 9399, 6540} {
		s.exclusions = append(s.exclusions, loyalty.Exclusion{ID: id(i), MCC: mcc, ValidFrom: benchFirst})
	}
	b := rules.NewBook(s.home)
	s.fill(b)
	return b
}

const benchCount = 8192

func benchTransactions(campaigns []loyalty.Campaign) []loyalty.Transaction {
	rnd := rand.New(rand.NewPCG(5, 5))
	spend := benchSpend()
	first, last := loyalty.DateOf(2021, 2, 1), loyalty.DateOf(2021, 11, 27) // within the quotes
	var promos []*loyalty.Campaign
	for i := range campaigns {
		if c := &campaigns[i]; c.Merchant != "" && c.Start <= last && c.End >= first {
			promos = append(promos, c)
		}
	}
	out := make([]loyalty.Transaction, benchCount)
	for i := range out {
		raw := spend[rnd.IntN(len(spend))]
		raw.Amount = spend[rnd.IntN(len(spend))].Amount
		raw.Currency = "SGD"
		if rnd.IntN(5) == 0 {
			raw.Currency = "USD"
		}
		name := []byte(raw.Merchant)
		for k, c := range name {
			if '0' <= c && c <= '9' {
				name[k] = byte('0' + rnd.IntN(10))
			}
		}
		raw.Merchant = string(name)
		tx, err := raw.Parse(currencies[0])
		if err != nil {
			panic(err)
		}
		tx.CardType = benchCards[rnd.IntN(4)].CardType
		tx.Date = first + loyalty.Date(rnd.IntN(int(last-first)+1))
		if len(promos) > 0 && rnd.IntN(3) == 0 {
			c := promos[rnd.IntN(len(promos))]
			tx.CardType = c.Programme
			from := max(first, c.Start)
			tx.Date = from + loyalty.Date(rnd.IntN(int(min(last, c.End)-from)+1))
			tx.Merchant = strings.ToUpper(c.Merchant) + []string{"", " SINGAPORE", " SG", ".COM"}[rnd.IntN(4)]
			if rnd.IntN(4) == 0 {
				tx.Merchant = "THE " + tx.Merchant
			}
			if c.MCC != nil && rnd.IntN(4) > 0 {
				tx.MCC = c.MCC[rnd.IntN(len(c.MCC))].From
			}
		}
		out[i] = tx
	}
	return out
}

func compile(tb testing.TB, b *rules.Book) *rules.Rules {
	tb.Helper()
	r, _, err := b.Compile()
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

var sizes = []int{100, 1_000, 10_000, 100_000}

func BenchmarkEvaluate(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			campaigns := benchCampaigns(n)
			r := compile(b, benchBook(campaigns))
			benchEvaluate(b, r, benchTransactions(campaigns))
		})
	}
}

// BenchmarkMatch is the part of Evaluate that finds the campaigns: without card types, exclusions,
// conversion and units.
func BenchmarkMatch(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			campaigns := benchCampaigns(n)
			r := compile(b, benchBook(campaigns))
			txs := benchTransactions(campaigns)
			var finds []func() (base, promo *loyalty.Campaign)
			for i := range txs {
				find, err := r.Matching(&txs[i])
				if err != nil {
					b.Fatal(err)
				}
				if find != nil {
					finds = append(finds, find)
				}
			}
			benchLoop(b, func(i int) error {
				finds[i%len(finds)]()
				return nil
			})
		})
	}
}

func benchEvaluate(b *testing.B, r *rules.Rules, txs []loyalty.Transaction) {
	b.Helper()
	benchLoop(b, func(i int) error {
		_, err := r.Evaluate(&txs[i%benchCount])
		return err
	})
}

func benchLoop(b *testing.B, do func(i int) error) {
	b.Helper()
	b.ReportAllocs()
	runtime.GC() // the compiler's garbage is not what is measured
	i := 0
	before := cpuTime()
	for b.Loop() {
		if err := do(i); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
}

// cpuTime is what the process has used, which on a busy machine says more than the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkEvaluateWorst has merchants only: any category, always live, the merchant-less ones
// never good enough to spare the search, and each transaction at one of the merchants.
func BenchmarkEvaluateWorst(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rnd := rand.New(rand.NewPCG(1, 2))
			campaigns := make([]loyalty.Campaign, n)
			for i := range campaigns {
				campaigns[i] = loyalty.Campaign{
					ID: id(i), Name: "c", Programme: benchCards[0].CardType, Base: i%2 == 0, Rate: loyalty.Decimal(1+rnd.IntN(1000)) * 1e7,
					Start: loyalty.MinDate, End: loyalty.MaxDate, Merchant: fmt.Sprintf("%s %d", benchMerchant(rnd, i), i),
				}
			}
			txs := benchTransactions(campaigns)
			for i := range txs {
				txs[i].CardType = benchCards[0].CardType
				txs[i].Merchant = "THE " + campaigns[rnd.IntN(n)].Merchant + " OF SINGAPORE"
			}
			benchEvaluate(b, compile(b, benchBook(campaigns)), txs)
		})
	}
}

// BenchmarkEvaluateTangled has categories and days that overlap in as many ways as they can.
func BenchmarkEvaluateTangled(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			campaigns := tangled(n)
			benchEvaluate(b, compile(b, benchBook(campaigns)), benchTransactions(campaigns))
		})
	}
}

func tangled(n int) []loyalty.Campaign {
	rnd := rand.New(rand.NewPCG(1, 2))
	campaigns := make([]loyalty.Campaign, n)
	for i := range campaigns {
		from := loyalty.MCC(1 + rnd.IntN(9999))
		start := loyalty.MinDate + loyalty.Date(rnd.IntN(20000))
		min := loyalty.Decimal(rnd.IntN(1_000_000)) * 1e7
		campaigns[i] = loyalty.Campaign{
			ID: id(i), Name: "c", Programme: benchCards[i%4].CardType, Base: i%2 == 0, Rate: min + 1, MinSpend: min,
			Start: start, End: start + loyalty.Date(rnd.IntN(20000)),
			MCC: loyalty.MCCSet{{From: from, To: from + loyalty.MCC(rnd.IntN(10000-int(from)))}},
		}
	}
	return campaigns
}

func BenchmarkReward(b *testing.B) {
	campaigns := benchCampaigns(1000)
	r := compile(b, benchBook(campaigns))
	txs := benchTransactions(campaigns)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := r.Reward(&txs[i%benchCount]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkEdit changes one campaign and compiles.
func BenchmarkEdit(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			campaigns := benchCampaigns(n)
			book := benchBook(campaigns)
			compile(b, book)
			i := 0
			for b.Loop() {
				c := campaigns[(i*7919)%n]
				i++
				c.Rate += loyalty.Decimal(i)
				book.PutCampaign(c)
				compile(b, book)
			}
		})
	}
}

// BenchmarkCompile compiles from nothing and reports what the rules keep in memory.
func BenchmarkCompile(b *testing.B) {
	kinds := map[string]func(int) []loyalty.Campaign{"programmes": benchCampaigns, "tangled": tangled}
	for _, kind := range []string{"programmes", "tangled"} {
		for _, n := range []int{1_000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				campaigns := kinds[kind](n)
				kept := uint64(0)
				for b.Loop() {
					b.StopTimer()
					book := benchBook(campaigns)
					before := heap()
					b.StartTimer()
					r := compile(b, book)
					b.StopTimer()
					kept = heap() - before
					runtime.KeepAlive(r)
					runtime.KeepAlive(book)
					b.StartTimer()
				}
				b.ReportMetric(float64(kept)/float64(n), "kept-B/campaign")
			})
		}
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
