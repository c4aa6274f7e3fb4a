package rules

import (
	"bytes"
	"cmp"
	"maps"
	"math"
	"math/bits"
	"slices"

	"github.com/angelowl-loyalties/app/loyalty"
)

// The index. The campaigns that compete with one another (one programme, base or promo) stand in
// the order of their rank: the higher rate first, then the lower id. Matching is the search for
// the lowest rank that fits, so whatever cannot be lower than what was found already is skipped.
//
//	table    one programme: a grid of the campaigns for any merchant, and for each era a matcher
//	         that finds all merchants' texts in a name at once, with an index for each
//	index    by merchant category: each class of categories that no campaign tells apart has a
//	         list of groups
//	group    by day and amount: for each time between two days on which a campaign begins or ends,
//	         the campaigns that are live, without those that a better one with no higher least
//	         spend makes useless. Ranks rise along such a list and least spends fall.
//	grid     an index in which each class and time has its list at once
//
// A grid that would need memory beyond proportion is an index; the groups of an index's class,
// and the lists of a group's days, are in such a case those of a segment tree. So n campaigns take
// at most n log² n entries, however their categories and days overlap.

// none is the rank of no campaign.
const none = math.MaxUint32

// few campaigns are looked through one by one.
const few = 8

// table has the campaigns of a programme. nil has none.
type table struct {
	base, promo []*loyalty.Campaign // by rank

	// The campaigns for any merchant: a grid, or where that is nil an index for each kind.
	grid                  *grid
	baseIndex, promoIndex index

	names eras // the campaigns for a merchant
}

// newTable takes the campaigns of a programme.
func newTable(base, promo []*loyalty.Campaign, homeDigits int) *table {
	slices.SortFunc(base, byRank)
	slices.SortFunc(promo, byRank)
	t := &table{base: base, promo: promo}
	type kinds struct{ base, promo []item }
	byText := make(map[string]*kinds) // "" for any merchant
	of := func(c *loyalty.Campaign) *kinds {
		text := fold(c.Merchant)
		k := byText[text]
		if k == nil {
			k = &kinds{}
			byText[text] = k
		}
		return k
	}
	for rank, c := range base {
		k := of(c)
		k.base = append(k.base, newItem(uint32(rank), c, homeDigits))
	}
	for rank, c := range promo {
		k := of(c)
		k.promo = append(k.promo, newItem(uint32(rank), c, homeDigits))
	}
	t.baseIndex, t.promoIndex = newIndex(nil), newIndex(nil)
	if general := byText[""]; general != nil {
		if t.grid = newGrid(general.base, general.promo); t.grid == nil {
			t.baseIndex, t.promoIndex = newIndex(general.base), newIndex(general.promo)
		}
		delete(byText, "")
	}
	var names named
	for _, text := range slices.Sorted(maps.Keys(byText)) {
		k := byText[text]
		names.items = append(names.items, k.base...)
		promos := uint32(len(names.items))
		names.items = append(names.items, k.promo...)
		names.texts = append(names.texts, namedText{text, promos, uint32(len(names.items))})
	}
	t.names = newEras(names)
	return t
}

func atRank(ranked []*loyalty.Campaign, rank uint32) *loyalty.Campaign {
	if rank == none {
		return nil
	}
	return ranked[rank]
}

// byRank orders by what is better: the higher rate, then the lower id.
func byRank(a, b *loyalty.Campaign) int {
	if c := cmp.Compare(b.Rate, a.Rate); c != 0 {
		return c
	}
	return bytes.Compare(a.ID[:], b.ID[:])
}

func (t *table) empty() bool { return t == nil }

// find is the best base and the best promo campaign that fit, or nil.
func (t *table) find(q *query, merchant string) (base, promo *loyalty.Campaign) {
	if t == nil {
		return nil, nil
	}
	var best pair
	if t.grid != nil {
		best = t.grid.find(q)
	} else {
		best = pair{t.baseIndex.find(q, none), t.promoIndex.find(q, none)}
	}
	if m := t.names.matchers[t.names.days.find(q.day)]; m != nil && m.best.anyBelow(best) {
		best = m.find(q, merchant, best)
	}
	return atRank(t.base, best.base), atRank(t.promo, best.promo)
}

// item is what an index knows of a campaign.
type item struct {
	dated
	lo, hi uint16         // the lowest and the highest category
	mcc    loyalty.MCCSet // nil where that says all
}

// dated is an item without its merchant categories.
type dated struct {
	min        uint64 // least spend in minor units of the home currency
	rank       uint32
	start, end int32
	foreign    bool
}

func newItem(rank uint32, c *loyalty.Campaign, homeDigits int) item {
	it := item{dated: dated{
		min: minMinor(c.MinSpend, homeDigits), rank: rank,
		start: int32(c.Start), end: int32(c.End), foreign: c.Foreign,
	}}
	set := normalSet(c.MCC)
	it.lo, it.hi = uint16(set[0].From), uint16(set[len(set)-1].To)
	if len(set) > 1 {
		it.mcc = set
	}
	return it
}

// minMinor is the least amount in minor units that is not below d.
func minMinor(d loyalty.Decimal, digits int) uint64 {
	unit := uint64(1)
	for range loyalty.DecimalDigits - digits {
		unit *= 10
	}
	q, r := bits.Div64(0, uint64(d), unit)
	if r > 0 {
		q++
	}
	return q
}

// normalSet is a set as ranges in order that do not touch; any is all that fits the type.
func normalSet(s loyalty.MCCSet) loyalty.MCCSet {
	switch {
	case s == nil:
		return loyalty.MCCSet{{From: 0, To: math.MaxUint16}}
	case len(s) == 1:
		return s
	}
	s = slices.Clone(s)
	slices.SortFunc(s, func(a, b loyalty.MCCRange) int { return cmp.Compare(a.From, b.From) })
	out := s[:1]
	for _, r := range s[1:] {
		if last := &out[len(out)-1]; r.From <= last.To+1 {
			last.To = max(last.To, r.To)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// ranges are the item's categories.
func (it *item) ranges() loyalty.MCCSet {
	if it.mcc != nil {
		return it.mcc
	}
	return loyalty.MCCSet{{From: loyalty.MCC(it.lo), To: loyalty.MCC(it.hi)}}
}

func (d *dated) fits(q *query) bool {
	return d.start <= q.day && q.day <= d.end && d.min <= q.amount && (!d.foreign || q.foreign)
}

// index finds the lowest rank among the campaigns of one merchant, or of no merchant.
type index struct {
	best  uint32
	items []item // few, in the order of rank; else:
	many  *classes
}

// classes are the merchant categories, divided so that no campaign tells two of a class apart.
type classes struct {
	codes  axis
	first  []uint32 // of a class's groups in refs; the next class's is its end
	refs   []ref    // a class's best group first
	groups []group
}

type ref struct {
	best  uint32 // the group's
	group uint32
}

// maxRefs is how many groups a class may have before categories are put into a segment tree.
const maxRefs = 12

// newIndex takes items in the order of rank and keeps them.
func newIndex(items []item) index {
	if len(items) == 0 {
		return index{best: none}
	}
	ix := index{best: items[0].rank}
	if len(items) <= few {
		ix.items = items
		return ix
	}
	sets := bySet(items)
	c := &classes{codes: codesOf(sets)}
	ix.many = c
	n := c.codes.intervals()
	change := make([]int, n+1)
	for i := range sets {
		sets[i].classes(&c.codes, func(from, to int) { change[from]++; change[to]-- })
	}
	most, depth := 0, 0
	for _, d := range change {
		depth += d
		most = max(most, depth)
	}
	c.first = make([]uint32, n+1)
	byBest := func(a, b ref) int { return cmp.Compare(a.best, b.best) }
	if most <= maxRefs {
		// A group a set.
		of := make([][]ref, n)
		for i := range sets {
			g := newGroup(sets[i].items)
			c.groups = append(c.groups, g)
			sets[i].classes(&c.codes, func(from, to int) {
				for k := from; k < to; k++ {
					of[k] = append(of[k], ref{g.best, uint32(i)})
				}
			})
		}
		for k, refs := range of {
			slices.SortFunc(refs, byBest)
			c.refs = append(c.refs, refs...)
			c.first[k+1] = uint32(len(c.refs))
		}
		return ix
	}
	// A group a node of a segment tree over the classes.
	leaves := 1 << bits.Len(uint(n-1))
	nodes := make([][]int32, 2*leaves) // the sets that cover all of a node
	for i := range sets {
		sets[i].classes(&c.codes, func(from, to int) {
			if sets[i].ranges[0].From == 0 { // any: the root alone
				from, to = 0, leaves
			}
			eachNode(leaves, from, to, func(node int) { nodes[node] = append(nodes[node], int32(i)) })
		})
	}
	groupOf := make([]uint32, len(nodes))
	for node, in := range nodes {
		if len(in) == 0 {
			continue
		}
		all := sets[in[0]].items
		if len(in) > 1 {
			all = nil
			for _, i := range in {
				all = append(all, sets[i].items...)
			}
			slices.SortFunc(all, func(a, b dated) int { return cmp.Compare(a.rank, b.rank) })
		}
		c.groups = append(c.groups, newGroup(all))
		groupOf[node] = uint32(len(c.groups))
	}
	for k := range n {
		for node := leaves + k; node >= 1; node >>= 1 {
			if g := groupOf[node]; g != 0 {
				c.refs = append(c.refs, ref{c.groups[g-1].best, g - 1})
			}
		}
		slices.SortFunc(c.refs[c.first[k]:], byBest)
		c.first[k+1] = uint32(len(c.refs))
	}
	return ix
}

// eachNode calls f with the nodes of a segment tree that together cover leaves from up to to. The
// root is node 1, the children of node i are 2i and 2i+1.
func eachNode(leaves, from, to int, f func(node int)) {
	for l, r := from+leaves, to+leaves; l < r; l, r = l>>1, r>>1 {
		if l&1 == 1 {
			f(l)
			l++
		}
		if r&1 == 1 {
			r--
			f(r)
		}
	}
}

// findFew looks through items in the order of rank.
func findFew(items []item, q *query, best uint32) uint32 {
	for i := range items {
		it := &items[i]
		if it.rank >= best {
			break
		}
		if it.lo <= q.mcc && q.mcc <= it.hi && it.fits(q) && (it.mcc == nil || it.mcc.Contains(loyalty.MCC(q.mcc))) {
			return it.rank
		}
	}
	return best
}

// find is the lowest rank below best that fits, or best.
func (ix *index) find(q *query, best uint32) uint32 {
	if ix.many == nil {
		return findFew(ix.items, q, best)
	}
	c := ix.many
	class := c.codes.find(int32(q.mcc))
	for _, r := range c.refs[c.first[class]:c.first[class+1]] {
		if r.best >= best {
			break
		}
		best = c.groups[r.group].find(q, best)
	}
	return best
}

// group finds the lowest rank by day, amount and currency.
type group struct {
	best  uint32
	items []dated // few, in the order of rank; else:
	days  axis
	lists [2]*lists // for spend in the home currency and for foreign spend
}

// newGroup takes items in the order of rank and keeps them.
func newGroup(items []dated) group {
	g := group{best: items[0].rank}
	if len(items) <= few {
		g.items = items
		return g
	}
	cuts := make([]int32, 0, 2*len(items))
	for i := range items {
		cuts = append(cuts, items[i].start, items[i].end+1)
	}
	g.days = newAxis(cuts, 0)
	live := make([]liveItem, 0, len(items))
	foreign := 0
	for i := range items {
		// Time i is interval i+1: nothing is live before the first cut or after the last.
		it := &items[i]
		live = append(live, liveItem{step{it.min, it.rank}, g.days.find(it.start) - 1, g.days.find(it.end+1) - 1})
		if it.foreign {
			foreign++
		}
	}
	times := g.days.intervals() - 2
	g.lists[1] = newLists(live, times)
	g.lists[0] = g.lists[1]
	if foreign > 0 {
		home := live[:0]
		for i := range items {
			if !items[i].foreign {
				home = append(home, live[i])
			}
		}
		g.lists[0] = newLists(home, times)
	}
	return g
}

// find is the lowest rank below best that fits, whatever the category, or best.
func (g *group) find(q *query, best uint32) uint32 {
	if g.items != nil {
		for i := range g.items {
			it := &g.items[i]
			if it.rank >= best {
				break
			}
			if it.fits(q) {
				return it.rank
			}
		}
		return best
	}
	time := g.days.find(q.day) - 1
	l := g.lists[0]
	if q.foreign {
		l = g.lists[1]
	}
	if uint(time) >= uint(l.times) {
		return best
	}
	return l.find(time, q.amount, best)
}

// lists are for each time the campaigns that may be the best, depending on the amount: ranks
// rise along a list and least spends fall.
type lists struct {
	times int
	// size is the number of leaves of a segment tree over the times, list i being that of its
	// node i; 0: list i is that of time i.
	size  int
	cells []cell // a list each, and one more
	steps []step
}

// cell is the first step of a list, with none for its rank if there is none, and where the others
// begin in steps; they end where the next cell's begin.
type cell struct {
	step
	others uint32
}

type step struct {
	min  uint64
	rank uint32
}

// liveItem is a step that counts for the times from from up to to.
type liveItem struct {
	step
	from, to int
}

// newLists takes items in the order of rank.
func newLists(items []liveItem, times int) *lists {
	b := newListBuilder(times)
	if b.direct(items) {
		return b.finish(times, 0)
	}
	size := 1 << bits.Len(uint(times-1))
	b = newListBuilder(2 * size)
	for _, it := range items {
		eachNode(size, it.from, it.to, func(node int) { b.add(node, it.step) })
	}
	return b.finish(times, size)
}

func (l *lists) find(time int, amount uint64, best uint32) uint32 {
	if l.size == 0 {
		return l.findIn(time, amount, best)
	}
	for node := l.size + time; node >= 1; node >>= 1 {
		best = l.findIn(node, amount, best)
	}
	return best
}

// findIn is the first rank of a list whose least spend is not above the amount, or best.
func (l *lists) findIn(i int, amount uint64, best uint32) uint32 {
	c := &l.cells[i]
	if c.rank >= best {
		return best
	}
	if c.min <= amount {
		return c.rank
	}
	lo, hi := c.others, l.cells[i+1].others
	end := hi
	for lo < hi {
		mid := (lo + hi) / 2
		if l.steps[mid].min <= amount {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	if lo < end {
		return min(best, l.steps[lo].rank)
	}
	return best
}

// listBuilder collects lists that grow side by side: links in one slice.
type listBuilder struct {
	tails []int32 // the last link of each list, or -1
	links []link

	open  []int32  // for direct; kept for the next use
	least []uint64 // likewise
}

type link struct {
	step
	before int32 // the link before it in its list, or -1
}

func newListBuilder(n int) *listBuilder {
	b := &listBuilder{tails: make([]int32, n)}
	b.reset()
	return b
}

// reset makes all lists empty.
func (b *listBuilder) reset() {
	b.links = b.links[:0]
	for i := range b.tails {
		b.tails[i] = -1
	}
}

// add appends a step to a list, unless a better one in it needs no more spend.
func (b *listBuilder) add(i int, s step) {
	tail := b.tails[i]
	if tail >= 0 && b.links[tail].min <= s.min {
		return
	}
	b.tails[i] = int32(len(b.links))
	b.links = append(b.links, link{s, tail})
}

// direct adds each item to the list of each time in which it is live. A list to which no later
// item can be added is closed and passed over from then on. It gives up, false, when that takes
// much more time or memory than there are items.
func (b *listBuilder) direct(items []liveItem) bool {
	b.least = slices.Grow(b.least[:0], len(items)+1)[:len(items)+1]
	least := b.least // the least spend of an item and those after it
	least[len(items)] = math.MaxUint64
	for i := len(items) - 1; i >= 0; i-- {
		least[i] = min(least[i+1], items[i].min)
	}
	n := len(b.tails)
	b.open = slices.Grow(b.open[:0], n+1)[:n+1]
	open := b.open // leads to the next list that is not closed
	for i := range open {
		open[i] = int32(i)
	}
	next := func(i int) int {
		for int(open[i]) != i {
			open[i] = open[open[i]]
			i = int(open[i])
		}
		return i
	}
	visits, most := 64*len(items)+16*n+1024, 12*len(items)+4*n+256
	for k, it := range items {
		for i := next(it.from); i < it.to; i = next(i + 1) {
			if visits--; visits < 0 || len(b.links) > most {
				return false
			}
			b.add(i, it.step)
			if b.links[b.tails[i]].min <= least[k+1] {
				open[i] = int32(i + 1)
			}
		}
	}
	return true
}

// finish lays the lists out one after another.
func (b *listBuilder) finish(times, size int) *lists {
	n := len(b.tails)
	l := &lists{times: times, size: size, cells: make([]cell, n+1)}
	others := 0
	for i, at := range b.tails {
		l.cells[i] = cell{step{rank: none}, uint32(others)}
		for ; at >= 0; at = b.links[at].before {
			if b.links[at].before < 0 {
				l.cells[i].step = b.links[at].step
			} else {
				others++
			}
		}
	}
	l.cells[n] = cell{step{rank: none}, uint32(others)}
	l.steps = make([]step, others)
	for i, at := range b.tails {
		for end := l.cells[i+1].others; at >= 0 && b.links[at].before >= 0; at = b.links[at].before {
			end--
			l.steps[end] = b.links[at].step
		}
	}
	return l
}
