package rules

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomNamed are texts of few letters, so that they nest, overlap and repeat, some of them long,
// each with some campaigns; and the texts.
func randomNamed(rnd *rand.Rand, n int) (named, []string) {
	letters := [][]string{{"a", "b"}, {"a", "b", "c", " "}, {"a", "ss", "ß", "é", "ſ", "σ", "\u212a"}}[rnd.IntN(3)]
	seen := map[string]bool{}
	for range n {
		var b strings.Builder
		for range 1 + rnd.IntN(1+rnd.IntN(40)) {
			b.WriteString(letters[rnd.IntN(len(letters))])
		}
		seen[fold(b.String())] = true
	}
	var (
		all   named
		texts []string
		count [2]uint32
	)
	for text := range seen {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	ranks := [2][]int{rnd.Perm(40 * n), rnd.Perm(40 * n)} // the ranks of a kind, all different
	for _, text := range texts {
		var promos uint32
		for kind, many := range []int{rnd.IntN(3), 1 + rnd.IntN(2)} {
			if rnd.IntN(8) == 0 {
				many = 1 + rnd.IntN(30) // too many to look through
			}
			items := randomItems(rnd, many, 50, 400, 100, false)
			own := ranks[kind][count[kind]:][:many]
			slices.Sort(own)
			for i := range items {
				items[i].rank = uint32(own[i])
			}
			count[kind] += uint32(many)
			if kind == 1 {
				promos = uint32(len(all.items))
			}
			all.items = append(all.items, items...)
		}
		all.texts = append(all.texts, namedText{text, promos, uint32(len(all.items))})
	}
	return all, texts
}

// slowNamed is what eras must find.
func slowNamed(all named, q *query, name string) pair {
	best, from := pair{none, none}, uint32(0)
	for _, t := range all.texts {
		if strings.Contains(fold(name), t.text) {
			best = best.min(pair{slowFind(all.items[from:t.promos], q), slowFind(all.items[t.promos:t.next], q)})
		}
		from = t.next
	}
	return best
}

// TestTheMatcherFindsEveryTextThatANameContains also counts what was met: each form of a text and
// of a name must have been.
func TestTheMatcherFindsEveryTextThatANameContains(t *testing.T) {
	met := map[string]int{}
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 11))
		all, texts := randomNamed(rnd, []int{1, 4, 30, 120}[seed%4])
		e := newEras(all)
		forms(met, &e)
		for range 100 {
			var name strings.Builder // of texts and of pieces of them, some in capitals
			for range rnd.IntN(1 + rnd.IntN(12)) {
				text := []rune(texts[rnd.IntN(len(texts))])
				if rnd.IntN(3) == 0 {
					text = text[rnd.IntN(len(text)):]
				}
				if rnd.IntN(3) == 0 {
					text = text[:rnd.IntN(len(text)+1)]
				}
				if s := string(text); rnd.IntN(2) == 0 {
					name.WriteString(strings.ToUpper(s))
				} else {
					name.WriteString(s + strings.Repeat("#", rnd.IntN(3)))
				}
			}
			q := query{day: int32(rnd.IntN(900) - 10), mcc: uint16(rnd.IntN(110)), foreign: rnd.IntN(2) == 0, amount: uint64(rnd.IntN(110))}
			want := slowNamed(all, &q, name.String())
			got := pair{none, none}
			m := e.matchers[e.days.find(q.day)]
			if m != nil {
				got = m.find(&q, name.String(), got)
			}
			if got != want {
				t.Fatalf("seed %d, %q, %+v: %v, want %v", seed, name.String(), q, got, want)
			}
			if m == nil {
				continue
			}
			// With something found already, only what is better counts.
			best := pair{uint32(rnd.IntN(1000)), uint32(rnd.IntN(1000))}
			if got := m.find(&q, name.String(), best); got != best.min(want) {
				t.Fatalf("seed %d, %q, %+v: %v below %v, want %v", seed, name.String(), q, got, best, best.min(want))
			}
			nameForms(met, name.String(), want)
		}
	}
	for _, f := range []string{
		"a short text", "a text with few campaigns", "a text with many", "a text that others begin with", "an edge of eight bytes", "several eras",
		"a short name", "a name of one look", "a name of several", "a name that is not ASCII", "something found", "nothing found",
	} {
		if met[f] == 0 {
			t.Errorf("%s was not met: %v", f, met)
		}
	}
}

func forms(met map[string]int, e *eras) {
	if len(e.matchers) > 1 {
		met["several eras"]++
	}
	for _, m := range e.matchers {
		if m == nil {
			continue
		}
		if m.short != 0 {
			met["a short text"]++
		}
		for _, n := range m.nodes {
			whole := n.bases|n.promos != 0
			switch {
			case n.promos == isLarge:
				met["a text with many"]++
			case whole:
				met["a text with few campaigns"]++
			}
			if whole && n.children > 0 {
				met["a text that others begin with"]++
			}
			if n.length == 8 && n.children > 0 {
				met["an edge of eight bytes"]++
			}
		}
	}
}

func nameForms(met map[string]int, name string, found pair) {
	switch ascii := len([]rune(name)) == len(name); {
	case !ascii:
		met["a name that is not ASCII"]++
	case len(name) < 7:
		met["a short name"]++
	case len(name) <= 64:
		met["a name of one look"]++
	default:
		met["a name of several"]++
	}
	if found == (pair{none, none}) {
		met["nothing found"]++
	} else {
		met["something found"]++
	}
}

func TestAnAxisCountsTheCutsUpToANumber(t *testing.T) {
	met := map[string]int{}
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 12))
		var cuts []int32
		span := []int{20, 3000, 40_000, 1 << 20}[seed%4]
		for range rnd.IntN([]int{3, 30, 300}[seed%3]) {
			cuts = append(cuts, int32(rnd.IntN(span)))
		}
		if rnd.IntN(2) == 0 {
			cuts = append(cuts, -1<<31)
		}
		if rnd.IntN(2) == 0 {
			cuts = append(cuts, 1<<31-1)
		}
		a := newAxis(slices.Clone(cuts), []uint32{0, wideAxis}[rnd.IntN(2)])
		switch {
		case a.jump == nil:
			met["few"]++
		case a.shift == 0:
			met[fmt.Sprintf("at once, near %d", a.near)]++
			met[fmt.Sprintf("at once, far %d", len(a.cuts)-a.far)]++
		default:
			met["in steps"]++
		}
		slices.Sort(cuts)
		cuts = slices.Compact(cuts)
		check := func(v int32) {
			want := 0
			for want < len(cuts) && cuts[want] <= v {
				want++
			}
			if got := a.find(v); got != want {
				t.Fatalf("seed %d: %d is in interval %d, want %d of %v", seed, v, got, want, cuts)
			}
		}
		for _, c := range cuts {
			check(c)
			check(max(c, -1<<31+1) - 1)
			check(min(c, 1<<31-2) + 1)
		}
		for range 50 {
			check(int32(rnd.IntN(2*span) - span/2))
		}
	}
	for _, f := range []string{"few", "at once, near 0", "at once, near 1", "at once, far 0", "at once, far 1", "in steps"} {
		if met[f] == 0 {
			t.Errorf("no axis was %q: %v", f, met)
		}
	}
}
