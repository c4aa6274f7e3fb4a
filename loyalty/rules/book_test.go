package rules_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// TestHashIsFixed holds the stored form: rule sets that are stored must be found under their
// names by every later version of the program.
func TestHashIsFixed(t *testing.T) {
	b := rules.NewBook(sgd)
	_, parts, err := b.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(parts[0].Data), `{"format":1,"home":"SGD","campaigns":{},"exclusions":{},"card_types":{},"quotes":{}}`; len(parts) != 1 || got != want {
		t.Errorf("an empty rule set is stored as %s, want %s", got, want)
	}
	s := set()
	s.exclusions = []loyalty.Exclusion{{ID: id(1), MCC: 6051, ValidFrom: sep(1)}}
	s.campaigns[0].Name = "A & B <é>"
	s.fill(b)
	r, parts, err := b.Compile()
	if err != nil {
		t.Fatal(err)
	}
	const want = "d10654cd16857bb6d9d9acb12fa307de2aa89abd5e45713edd3154f7f11330f3"
	if got := r.Hash().String(); got != want {
		for _, p := range parts {
			t.Logf("%s %s", p.Hash, p.Data)
		}
		t.Errorf("the hash is %s, want %s", got, want)
	}
	if last := parts[len(parts)-1]; last.Hash != r.Hash() {
		t.Error("the root is not the last part")
	}
}

func TestHomeCurrencyIsContent(t *testing.T) {
	a, b := compile(t, rules.NewBook(sgd)), compile(t, rules.NewBook(usd))
	if a.Hash() == b.Hash() {
		t.Error("two home currencies have one hash")
	}
}

func TestAnEditChangesOnlyItsBucketAndTheRoot(t *testing.T) {
	campaigns := benchCampaigns(3000)
	b := benchBook(campaigns)
	_, before, err := b.Compile()
	if err != nil {
		t.Fatal(err)
	}
	c := campaigns[1234]
	c.Name += "!"
	b.PutCampaign(c)
	_, after, err := b.Compile()
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	for i := range after {
		if after[i].Hash != before[i].Hash {
			changed++
		} else if len(after[i].Data) > 0 && &after[i].Data[0] != &before[i].Data[0] {
			t.Errorf("part %d was encoded again", i)
		}
	}
	if len(before) != len(after) || changed != 2 {
		t.Errorf("%d of %d parts changed, want 2", changed, len(after))
	}
}

func TestPartsStaySmall(t *testing.T) {
	b := rules.NewBook(sgd)
	// Names and lists of categories as long as they may be: about 60 KB a campaign.
	long := make(loyalty.MCCSet, 6000)
	for i := range long {
		long[i] = loyalty.MCCRange{From: loyalty.MCC(1 + i), To: loyalty.MCC(1 + i + i%3)}
	}
	for i := 0; i < 4000; i++ {
		c := promo(i, "1")
		if sha256.Sum256([]byte(c.ID.String()))[0] > 3 { // fill four buckets, with about 16 each
			continue
		}
		c.MCC = long
		c.Name = strings.Repeat("é", loyalty.MaxFieldRunes)
		b.PutCampaign(c)
	}
	// A year in which every currency is quoted every day.
	y := loyalty.YearQuotes{Year: 2021}
	for d := loyalty.DateOf(2021, 1, 1); d.Year() == 2021; d++ {
		q := loyalty.DayQuotes{Date: d, Base: eur, Quotes: map[loyalty.Currency]loyalty.Decimal{}}
		for c := loyalty.Currency(1); c < 170; c++ {
			if c != eur {
				q.Quotes[c] = loyalty.Decimal(1_234_567_891 + int(d) + int(c))
			}
		}
		y.Days = append(y.Days, q)
	}
	b.PutQuotes(y)
	r, parts, err := b.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if len(p.Data) > 1<<20 {
			t.Errorf("a part has %d bytes", len(p.Data))
		}
	}
	root := string(parts[len(parts)-1].Data)
	if !strings.Contains(root, `"2021-12":"`) || strings.Contains(root, `"2021":"`) {
		t.Error("the large year is not split by month")
	}
	if n := strings.Count(root, `":"`); n < 30+12 {
		t.Errorf("the root names %d parts; the large buckets are not split", n)
	}
	load(t, r.Hash(), parts)
}

func TestLoadRefusesWhatIsNotWhatWasStored(t *testing.T) {
	s := set()
	b := rules.NewBook(sgd)
	s.fill(b)
	r, parts, err := b.Compile()
	if err != nil {
		t.Fatal(err)
	}
	byHash := map[loyalty.Hash][]byte{}
	for _, p := range parts {
		byHash[p.Hash] = p.Data
	}
	get := func(m map[loyalty.Hash][]byte) func(loyalty.Hash) ([]byte, error) {
		return func(h loyalty.Hash) ([]byte, error) {
			if data, ok := m[h]; ok {
				return data, nil
			}
			return nil, errNotThere
		}
	}
	for i, p := range parts {
		damaged := maps.Clone(byHash)
		damaged[p.Hash] = append(bytes.Clone(p.Data), ' ')
		if _, err := rules.Load(r.Hash(), get(damaged)); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("part %d damaged: error %v", i, err)
		}
		delete(damaged, p.Hash)
		if _, err := rules.Load(r.Hash(), get(damaged)); !errors.Is(err, errNotThere) {
			t.Errorf("part %d missing: error %v", i, err)
		}
	}
	// Roots whose hash is right, but that this program would not have written.
	root := string(parts[len(parts)-1].Data)
	for name, other := range map[string]string{
		"a later format":   strings.Replace(root, `"format":1`, `"format":2`, 1),
		"not JSON":         root[1:],
		"a blank":          root + " ",
		"no home":          strings.Replace(root, `"home":"SGD"`, `"home":""`, 1),
		"another bucket":   strings.Replace(root, `"campaigns":{"`, `"campaigns":{"0`, 1),
		"another year":     strings.Replace(root, `"2021":`, `"2020":`, 1),
		"an extra field":   strings.Replace(root, `{`, `{"x":1,`, 1),
		"another hash":     strings.Replace(root, root[len(root)-10:len(root)-5], "00000", 1),
		"a list for a map": `[]`,
	} {
		with := maps.Clone(byHash)
		h := loyalty.HashOf([]byte(other))
		with[h] = []byte(other)
		if _, err := rules.Load(h, get(with)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

var errNotThere = errors.New("not there")

func TestCompileRefusesWhatCouldNotBeLoaded(t *testing.T) {
	campaign := func(f func(*loyalty.Campaign)) func(*rules.Book) {
		return func(b *rules.Book) {
			c := promo(1, "1")
			f(&c)
			b.PutCampaign(c)
		}
	}
	quotes := func(f func(*loyalty.YearQuotes)) func(*rules.Book) {
		return func(b *rules.Book) {
			y := set().quotes[0]
			f(&y)
			b.PutQuotes(y)
		}
	}
	for name, put := range map[string]func(*rules.Book){
		"campaign without id":        campaign(func(c *loyalty.Campaign) { c.ID = uuid.Nil }),
		"campaign without name":      campaign(func(c *loyalty.Campaign) { c.Name = "" }),
		"negative rate":              campaign(func(c *loyalty.Campaign) { c.Rate = -1 }),
		"negative least spend":       campaign(func(c *loyalty.Campaign) { c.MinSpend = -1 }),
		"end before start":           campaign(func(c *loyalty.Campaign) { c.End = c.Start - 1 }),
		"before 1990":                campaign(func(c *loyalty.Campaign) { c.Start = loyalty.MinDate - 1 }),
		"range backwards":            campaign(func(c *loyalty.Campaign) { c.MCC = loyalty.MCCSet{{From: 2, To: 1}} }),
		"category 10000":             campaign(func(c *loyalty.Campaign) { c.MCC = loyalty.MCCSet{{From: 1, To: 10000}} }),
		"no category":                campaign(func(c *loyalty.Campaign) { c.MCC = loyalty.MCCSet{} }),
		"blanks around the merchant": campaign(func(c *loyalty.Campaign) { c.Merchant = " Grab" }),
		"merchant not UTF-8":         campaign(func(c *loyalty.Campaign) { c.Merchant = "\xff" }),
		"NUL in the merchant":        campaign(func(c *loyalty.Campaign) { c.Merchant = "a\x00b" }),
		"programme not a key":        campaign(func(c *loyalty.Campaign) { c.Programme = "a b" }),
		"campaign over 1 MiB": campaign(func(c *loyalty.Campaign) {
			c.MCC = slices.Repeat(loyalty.MCCSet{{From: 1, To: 9999}}, 120_000)
		}),
		"exclusion of no category": func(b *rules.Book) { b.PutExclusion(loyalty.Exclusion{ID: id(1), ValidFrom: sep(1)}) },
		"exclusion before 1990":    func(b *rules.Book) { b.PutExclusion(loyalty.Exclusion{ID: id(1), MCC: 1}) },
		"exclusion of 10000":       func(b *rules.Book) { b.PutExclusion(loyalty.Exclusion{ID: id(1), MCC: 10000, ValidFrom: sep(1)}) },
		"five decimals": func(b *rules.Book) {
			b.PutCardType(loyalty.CardType{CardType: "a", Name: "a", Unit: "a", Programme: "a", Decimals: 5})
		},
		"card type without unit": func(b *rules.Book) { b.PutCardType(loyalty.CardType{CardType: "a", Name: "a", Programme: "a"}) },
		"card type not a key": func(b *rules.Book) {
			b.PutCardType(loyalty.CardType{CardType: "a/b", Name: "a", Unit: "a", Programme: "a"})
		},
		"quotes of another year": quotes(func(y *loyalty.YearQuotes) { y.Year = 2020 }),
		"a day twice":            quotes(func(y *loyalty.YearQuotes) { y.Days = append(y.Days, y.Days[0]) }),
		"no base":                quotes(func(y *loyalty.YearQuotes) { y.Days[0].Base = 0 }),
		"a quote of 0":           quotes(func(y *loyalty.YearQuotes) { y.Days[0].Quotes[usd] = 0 }),
		"the base quoted":        quotes(func(y *loyalty.YearQuotes) { y.Days[0].Quotes[eur] = 1e9 }),
		"a day without quotes":   quotes(func(y *loyalty.YearQuotes) { y.Days[0].Quotes = nil }),
	} {
		b := rules.NewBook(sgd)
		put(b)
		if _, _, err := b.Compile(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, _, err := rules.NewBook(0).Compile(); err == nil {
		t.Error("no home currency: no error")
	}
}

// TestACompileThatFailsIsMendedByTheNextEdit: a watch goes on after a bad value.
func TestACompileThatFailsIsMendedByTheNextEdit(t *testing.T) {
	s := set()
	b := rules.NewBook(sgd)
	s.fill(b)
	want := compile(t, b)
	bad := promo(7, "1")
	bad.Rate = -1
	b.PutCampaign(bad)
	y := set().quotes[0]
	y.Days[0].Base = 0
	b.PutQuotes(y)
	if _, _, err := b.Compile(); err == nil {
		t.Fatal("no error")
	}
	b.DeleteCampaign(bad.ID)
	if _, _, err := b.Compile(); err == nil {
		t.Fatal("no error")
	}
	b.PutQuotes(s.quotes[0])
	if got := compile(t, b); got.Hash() != want.Hash() {
		t.Error("another rule set than before")
	} else {
		agree(t, got, s.oracle(), spend())
	}
}

func TestRulesDoNotChangeWithTheBook(t *testing.T) {
	s := set()
	b := rules.NewBook(sgd)
	s.fill(b)
	r := compile(t, b)
	b.DeleteCampaign(id(1))
	b.DeleteCardType("cash")
	b.DeleteQuotes(2021)
	b.PutExclusion(loyalty.Exclusion{ID: id(1), MCC: 7011, ValidFrom: sep(1)})
	later := compile(t, b)
	agree(t, r, s.oracle(), spend())
	if res, err := later.Evaluate(spend()); err != nil || res.Outcome != loyalty.Excluded {
		t.Errorf("%v, %v after the edit", res.Outcome, err)
	}
	// Deleting what is not there is nothing.
	b.DeleteCampaign(id(77))
	b.DeleteExclusion(id(77))
	b.DeleteCardType("gold")
	b.DeleteQuotes(1999)
	if again := compile(t, b); again.Hash() != later.Hash() {
		t.Error("deleting nothing changed the hash")
	}
}

// TestNamesAreFoundLikeSubstrings compares with the oracle on texts that nest, overlap and repeat.
func TestNamesAreFoundLikeSubstrings(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		word := func(most int) string {
			b := make([]byte, 1+rnd.IntN(most))
			for i := range b {
				b[i] = byte('a' + rnd.IntN(2+int(seed%2)))
			}
			return string(b)
		}
		s := set()
		s.campaigns = nil
		for i := range 1 + rnd.IntN(40) {
			c := promo(i, fmt.Sprint(rnd.IntN(9)))
			c.Base = rnd.IntN(2) == 0
			c.Merchant = word(12)
			s.campaigns = append(s.campaigns, c)
		}
		b := rules.NewBook(sgd)
		s.fill(b)
		r, o := compile(t, b), s.oracle()
		for range 100 {
			tx := spend()
			tx.Merchant = word(90)
			agree(t, r, o, tx)
		}
	}
}
