package rules

import (
	"encoding/binary"
	"slices"

	"github.com/angelowl-loyalties/app/loyalty"
)

// grid has the campaigns for any merchant of a programme ready: for each class of merchant
// categories that no campaign tells apart, and each time between two days on which one begins or
// ends, the list of the base and that of the promo campaigns. Classes in which the same campaigns
// count share a row. Campaigns with too many different categories and days have no grid, but an
// index for base and one for promo.
type grid struct {
	rows  [maxMCC + 2]uint16 // of a category; the last is that of all beyond
	days  axis
	times int
	cells []pair // numbers of lists, at (2 × row + 1 for foreign spend) × times + time
	lists lists
}

// catSet are campaigns with the same merchant categories.
type catSet struct {
	ranges loyalty.MCCSet
	items  []dated
}

// bySet groups items by their merchant categories.
func bySet(items []item) []catSet {
	var (
		sets   []catSet
		number = map[string]int{}
		key    []byte
	)
	for i := range items {
		it := &items[i]
		key = binary.BigEndian.AppendUint16(key[:0], it.lo)
		key = binary.BigEndian.AppendUint16(key, it.hi)
		for _, r := range it.mcc {
			key = binary.BigEndian.AppendUint16(key, uint16(r.From))
			key = binary.BigEndian.AppendUint16(key, uint16(r.To))
		}
		n, ok := number[string(key)]
		if !ok {
			n = len(sets)
			number[string(key)] = n
			sets = append(sets, catSet{ranges: it.ranges()})
		}
		sets[n].items = append(sets[n].items, it.dated)
	}
	return sets
}

// codesOf divides the merchant categories so that no set tells two of a class apart.
func codesOf(sets []catSet) axis {
	var cuts []int32
	for i := range sets {
		for _, r := range sets[i].ranges {
			cuts = append(cuts, int32(r.From), int32(r.To)+1)
		}
	}
	return newAxis(cuts, 0)
}

// classes calls f with each run of classes that the set has.
func (s *catSet) classes(codes *axis, f func(from, to int)) {
	for _, r := range s.ranges {
		f(codes.find(int32(r.From)), codes.find(int32(r.To)+1))
	}
}

// newGrid takes items in the order of rank. It returns nil where the grid would be much larger
// than the items are many.
func newGrid(base, promo []item) *grid {
	n := len(base) + len(promo)
	if n == 0 {
		return nil
	}
	sets := bySet(base)
	bases := len(sets)
	sets = append(sets, bySet(promo)...)
	cuts := make([]int32, 0, 2*n)
	for _, items := range [][]item{base, promo} {
		for i := range items {
			cuts = append(cuts, items[i].start, items[i].end+1)
		}
	}
	codes := codesOf(sets)
	g := &grid{days: newAxis(cuts, wideAxis)}
	g.times = g.days.intervals() - 2 // time i is interval i+1: before and after all nothing is live

	// Which sets count in which class.
	pairs := 0
	for i := range sets {
		sets[i].classes(&codes, func(from, to int) { pairs += to - from })
	}
	if pairs > 64*n+4096 {
		return nil
	}
	of := make([][]uint32, codes.intervals())
	for i := range sets {
		sets[i].classes(&codes, func(from, to int) {
			for k := from; k < to; k++ {
				of[k] = append(of[k], uint32(i))
			}
		})
	}
	// A row for each combination of sets.
	b := gridBuilder{grid: g, sets: make([][]timed, len(sets)), lb: newListBuilder(g.times)}
	for i := range sets {
		b.sets[i] = make([]timed, len(sets[i].items))
		for k, it := range sets[i].items {
			b.sets[i][k] = timed{liveItem{step{it.min, it.rank}, g.days.find(it.start) - 1, g.days.find(it.end+1) - 1}, it.foreign}
		}
	}
	b.empty()
	number := map[string]uint32{}
	var key []byte
	visits, cells := 128*n+16384, 128*n+8192
	next := 0 // the first category whose row is not set
	for class, in := range of {
		key = key[:0]
		for _, i := range in {
			key = binary.BigEndian.AppendUint32(key, i)
		}
		row, ok := number[string(key)]
		if !ok {
			row = uint32(len(number))
			number[string(key)] = row
			for _, i := range in {
				visits -= len(sets[i].items)
			}
			if cells -= 2 * g.times; visits < 0 || cells < 0 || !b.addRow(in, bases) {
				return nil
			}
		}
		end := len(g.rows)
		if class < len(codes.cuts) {
			end = min(end, int(codes.cuts[class]))
		}
		for ; next < end; next++ {
			g.rows[next] = uint16(row)
		}
	}
	b.empty() // the end of the last list
	return g
}

type gridBuilder struct {
	*grid
	sets [][]timed
	lb   *listBuilder

	items, merged []timed // of a row; kept for the next
	live          []liveItem
}

type timed struct {
	liveItem
	foreign bool
}

// empty appends a list of nothing.
func (b *gridBuilder) empty() {
	b.lists.cells = append(b.lists.cells, cell{step{rank: none}, uint32(len(b.lists.steps))})
}

// addRow appends the cells of a combination of sets, those below bases being of base campaigns.
func (b *gridBuilder) addRow(in []uint32, bases int) bool {
	at := len(b.cells)
	b.cells = append(b.cells, make([]pair, 2*b.times)...)
	home, abroad := b.cells[at:][:b.times], b.cells[at+b.times:]
	split, _ := slices.BinarySearch(in, uint32(bases))
	return b.addKind(in[:split], home, abroad, func(p *pair) *uint32 { return &p.base }) &&
		b.addKind(in[split:], home, abroad, func(p *pair) *uint32 { return &p.promo })
}

// addKind sets the base or the promo lists of a row's cells.
func (b *gridBuilder) addKind(in []uint32, home, abroad []pair, of func(*pair) *uint32) bool {
	b.items = b.items[:0]
	for _, i := range in {
		b.merge(b.sets[i])
	}
	foreign := slices.ContainsFunc(b.items, func(it timed) bool { return it.foreign })
	if !b.addLists(false, home, of) {
		return false
	}
	if foreign {
		return b.addLists(true, abroad, of)
	}
	for i := range home {
		*of(&abroad[i]) = *of(&home[i])
	}
	return true
}

// merge adds a set to the row's items; both are in the order of rank.
func (b *gridBuilder) merge(set []timed) {
	if len(b.items) == 0 {
		b.items = append(b.items, set...)
		return
	}
	b.merged = b.merged[:0]
	have := b.items
	for len(have) > 0 && len(set) > 0 {
		if have[0].rank < set[0].rank {
			b.merged = append(b.merged, have[0])
			have = have[1:]
		} else {
			b.merged = append(b.merged, set[0])
			set = set[1:]
		}
	}
	b.merged = append(append(b.merged, have...), set...)
	b.items, b.merged = b.merged, b.items
}

// addLists appends the lists of the row's items and sets the number of each time's.
func (b *gridBuilder) addLists(foreign bool, row []pair, of func(*pair) *uint32) bool {
	b.live = b.live[:0]
	for i := range b.items {
		if it := &b.items[i]; foreign || !it.foreign {
			b.live = append(b.live, it.liveItem)
		}
	}
	b.lb.reset()
	if !b.lb.direct(b.live) {
		return false
	}
	tails := b.lb.tails
	for i, tail := range tails {
		switch {
		case tail < 0: // list 0 is empty
		case i > 0 && b.lb.equal(tail, tails[i-1]):
			*of(&row[i]) = *of(&row[i-1])
		default:
			*of(&row[i]) = uint32(len(b.lists.cells))
			b.addList(b.lb, tail)
		}
	}
	return true
}

func (b *gridBuilder) addList(lb *listBuilder, tail int32) {
	others := len(b.lists.steps)
	for ; lb.links[tail].before >= 0; tail = lb.links[tail].before {
		b.lists.steps = append(b.lists.steps, lb.links[tail].step)
	}
	slices.Reverse(b.lists.steps[others:])
	b.lists.cells = append(b.lists.cells, cell{lb.links[tail].step, uint32(others)})
}

// equal says whether two lists have the same steps.
func (b *listBuilder) equal(i, j int32) bool {
	for i >= 0 && j >= 0 {
		if b.links[i].step != b.links[j].step {
			return false
		}
		i, j = b.links[i].before, b.links[j].before
	}
	return i == j
}

// find is the lowest rank that fits of each kind, or none.
func (g *grid) find(q *query) pair {
	time := g.days.find(q.day) - 1
	if uint(time) >= uint(g.times) {
		return pair{none, none}
	}
	row := 2 * int(g.rows[min(q.mcc, maxMCC+1)])
	if q.foreign {
		row++
	}
	c := g.cells[row*g.times+time]
	return pair{g.lists.findIn(int(c.base), q.amount, none), g.lists.findIn(int(c.promo), q.amount, none)}
}
