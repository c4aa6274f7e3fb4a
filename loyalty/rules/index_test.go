package rules

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
)

// randomItems are items in the order of rank. The more of mins there are, the more items matter:
// nested makes better ones need more spend, so that none makes another useless.
func randomItems(rnd *rand.Rand, n, codes, days, mins int, nested bool) []item {
	items := make([]item, n)
	for i := range items {
		lo := 1 + rnd.IntN(codes)
		start := rnd.IntN(days)
		items[i] = item{dated: dated{
			min: uint64(rnd.IntN(mins)), rank: uint32(i), start: int32(start), end: int32(start + rnd.IntN(days)), foreign: rnd.IntN(5) == 0,
		}, lo: uint16(lo), hi: uint16(lo + rnd.IntN(codes))}
		if rnd.IntN(8) == 0 { // any
			items[i].lo, items[i].hi = 0, math.MaxUint16
		}
		if rnd.IntN(16) == 0 { // up to the last category
			items[i].hi = max(items[i].hi, maxMCC)
		}
		if nested {
			items[i].min = uint64((n - i) * mins / n)
		}
		if rnd.IntN(6) == 0 && items[i].lo > 0 {
			items[i].mcc = loyalty.MCCSet{{From: loyalty.MCC(lo), To: loyalty.MCC(lo)}, {From: loyalty.MCC(items[i].hi), To: loyalty.MCC(items[i].hi)}}
			if items[i].lo+1 >= items[i].hi {
				items[i].mcc = nil
			}
		}
	}
	return items
}

// slowFind is what every form of the index must find.
func slowFind(items []item, q *query) uint32 {
	for i := range items {
		it := &items[i]
		if it.lo <= q.mcc && q.mcc <= it.hi && it.fits(q) && (it.mcc == nil || it.mcc.Contains(loyalty.MCC(q.mcc))) {
			return it.rank
		}
	}
	return none
}

// TestEveryFormOfTheIndexFindsTheSame also counts the forms: each must have been taken.
func TestEveryFormOfTheIndexFindsTheSame(t *testing.T) {
	forms := map[string]int{}
	for seed := range uint64(120) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		n := []int{1, 5, 9, 40, 300, 1200}[seed%6]
		codes, days := 1+rnd.IntN([]int{400, 4999}[rnd.IntN(2)]), []int{1, 20, 3000, 20000}[seed%4]
		nested := seed%3 == 0
		base := randomItems(rnd, n, codes, days, 1000, nested)
		promo := randomItems(rnd, rnd.IntN(n), codes, days, 1000, nested)
		baseIndex, promoIndex := newIndex(base), newIndex(promo)
		g := newGrid(base, promo)
		form(forms, &baseIndex, base)
		if g == nil {
			forms["no grid"]++
		} else {
			forms["grid"]++
		}
		for range 300 {
			q := query{day: int32(rnd.IntN(2*days+2) - 1), mcc: uint16(rnd.IntN(2*codes + 2)), foreign: rnd.IntN(2) == 0, amount: uint64(rnd.IntN(1100))}
			if rnd.IntN(10) == 0 { // beyond what a campaign for some categories has
				q.mcc = []uint16{0, maxMCC, maxMCC + 1, math.MaxUint16}[rnd.IntN(4)]
			}
			want := pair{slowFind(base, &q), slowFind(promo, &q)}
			if got := (pair{baseIndex.find(&q, none), promoIndex.find(&q, none)}); got != want {
				t.Fatalf("seed %d, %+v: index %v, want %v", seed, q, got, want)
			}
			if g != nil {
				if got := g.find(&q); got != want {
					t.Fatalf("seed %d, %+v: grid %v, want %v", seed, q, got, want)
				}
			}
			// With something found already, only what is better counts.
			best := uint32(rnd.IntN(n))
			if got := baseIndex.find(&q, best); got != min(best, want.base) {
				t.Fatalf("seed %d, %+v: index %d below %d, want %d", seed, q, got, best, want.base)
			}
		}
	}
	for _, f := range []string{"few items", "a group a set", "a group a node", "few items of a group", "direct lists", "tree of lists", "grid", "no grid"} {
		if forms[f] == 0 {
			t.Errorf("no index had the form %q: %v", f, forms)
		}
	}
}

func form(forms map[string]int, ix *index, items []item) {
	if ix.many == nil {
		forms["few items"]++
		return
	}
	if sets := len(bySet(items)); sets < len(ix.many.groups) {
		forms["a group a node"]++
	} else {
		forms["a group a set"]++
	}
	for _, g := range ix.many.groups {
		switch {
		case g.items != nil:
			forms["few items of a group"]++
		case g.lists[0].size > 0 || g.lists[1].size > 0:
			forms["tree of lists"]++
		default:
			forms["direct lists"]++
		}
	}
}
