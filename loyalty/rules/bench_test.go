package rules_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// Run with: go test -run '^$' -bench . -benchmem ./rules
//
// The rule sets are those of programmes like a card issuer's: four card types; base campaigns for
// all spend, for foreign spend and for amounts; the rest promos for a merchant, for a group of
// categories (hotels 3500-3999 and 7011, shopping 5600-7299, petrol 5541-5542, single codes) or
// both, each for some months of six years, a few with a least spend or for foreign spend only.

var benchCards = []loyalty.CardType{
	{CardType: "scis_shopping", Name: "SCIS Shopping Card", Unit: "points", Programme: "SCIS Points"},
	{CardType: "scis_premiummiles", Name: "SCIS PremiumMiles Card", Unit: "miles", Programme: "SCISMiles"},
	{CardType: "scis_platinummiles", Name: "SCIS PlatinumMiles Card", Unit: "miles", Programme: "SCISMiles"},
	{CardType: "scis_freedom", Name: "SCIS Freedom Card", Unit: "cashback", Programme: "SCIS Cashback", Decimals: 2},
}

var benchFirst = loyalty.DateOf(2018, 1, 1)

func mustSet(s string) loyalty.MCCSet {
	set, err := loyalty.ParseMCCSet(s)
	if err != nil {
		panic(err)
	}
	return set
}

// benchMerchant makes names that look like merchants', all different.
func benchMerchant(rnd *rand.Rand, i int) string {
	known := []string{"Grab", "GrabFood", "Kaligo", "Shell", "Shopee", "Lazada", "Amazon", "Qoo10", "FoodPanda", "Deliveroo", "RedMart", "Comfort Taxi"}
	if i < len(known) {
		return known[i]
	}
	syllables := []string{"ka", "lo", "mer", "shop", "tan", "ray", "bel", "co", "dun", "fi", "gar", "hol", "jin", "ken", "lu", "mo", "nor", "pe", "qu", "ri", "sun", "tek", "vil", "wa", "xi", "yo", "zen"}
	n := ""
	for range 2 + rnd.IntN(3) {
		n += syllables[rnd.IntN(len(syllables))]
	}
	return n + []string{"", " cafe", " mart", " hotel", " travel"}[rnd.IntN(5)] + fmt.Sprint(i%7)
}

func benchCampaigns(n int) []loyalty.Campaign {
	rnd := rand.New(rand.NewPCG(uint64(n), 3))
	var out []loyalty.Campaign
	add := func(c loyalty.Campaign) {
		c.ID = id(len(out))
		c.Name = fmt.Sprintf("Campaign %d", len(out))
		out = append(out, c)
	}
	for _, t := range benchCards { // the programmes' own, always live
		for _, rate := range []string{"1", "1.4", "2.2"} {
			c := loyalty.Campaign{Programme: t.CardType, Base: true, Rate: loyalty.MustDecimal(rate), Start: loyalty.MinDate, End: loyalty.MaxDate}
			c.Foreign = rate == "2.2"
			if rate == "1.4" {
				c.MinSpend = loyalty.MustDecimal("500")
			}
			add(c)
		}
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

// benchTransactions are 1,024 of 2021: one in five foreign, one in three at a merchant that has a
// campaign.
func benchTransactions(campaigns []loyalty.Campaign) []loyalty.Transaction {
	rnd := rand.New(rand.NewPCG(5, 5))
	text := []string{"STARBUCKS COFFEE SG", "TANGLIN SUPERMARKET", "WWW.BOOKSHOP.COM", "CHANGI AIRPORT T3", "NTUC FAIRPRICE #0423", "UNIQLO ORCHARD CENTRAL"}
	out := make([]loyalty.Transaction, 1024)
	for i := range out {
		tx := &out[i]
		*tx = loyalty.Transaction{
			CardType: benchCards[rnd.IntN(4)].CardType, Currency: currencies[0], Amount: int64(100 + rnd.IntN(60000)),
			Date:     loyalty.DateOf(2021, 2, 1) + loyalty.Date(rnd.IntN(300)),
			MCC:      loyalty.MCC([]int{5411, 5812, 7011, 3501, 5999, 5542, 4121, 5691, 3000 + rnd.IntN(6000)}[rnd.IntN(9)]),
			Merchant: text[rnd.IntN(len(text))],
		}
		if rnd.IntN(3) == 0 {
			tx.Merchant = campaigns[rnd.IntN(len(campaigns))].Merchant + " SINGAPORE"
		}
		if rnd.IntN(5) == 0 {
			tx.Currency = currencies[1]
		}
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

func benchEvaluate(b *testing.B, r *rules.Rules, txs []loyalty.Transaction) {
	b.Helper()
	b.ReportAllocs()
	runtime.GC() // the compiler's garbage is not what is measured
	i := 0
	before := cpuTime()
	for b.Loop() {
		if _, err := r.Evaluate(&txs[i&1023]); err != nil {
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
		if _, err := r.Reward(&txs[i&1023]); err != nil {
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
