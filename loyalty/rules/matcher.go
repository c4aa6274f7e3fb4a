package rules

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/angelowl-loyalties/app/loyalty"
)

// matcher finds all merchants' texts that a folded name contains. At each place of the name four
// bytes are looked up among the texts' beginnings (heads), which a bitmap answers mostly with no.
// From a head on the texts stand in a tree whose edges have up to eight bytes, which are compared
// at once. Texts shorter than four bytes are heads of their own.
//
// Each step knows the best rank below it, and is not taken where that is no better than what was
// found already. So most names cost a look at the bitmap for each of their bytes. The worst, of
// texts that each begin with all shorter ones, cost for each byte as many steps as there are such.
type matcher struct {
	best   pair
	filter []uint64 // a bit for each head, by mayHave; a power of two of words, up to 2¹⁶
	short  uint8    // bit n: there are texts of n bytes, n below four
	heads  []head   // a hash table with open addresses; a power of two of slots
	nodes  []node   // breadth first
	labels []byte   // the first byte of each node's label
	items  []item   // a text's base campaigns, then its promos
	large  []textIndex
}

// pair has something for base and something for promo campaigns.
type pair struct{ base, promo uint32 }

func (p pair) anyBelow(o pair) bool { return p.base < o.base || p.promo < o.promo }

func (p pair) min(o pair) pair { return pair{min(p.base, o.base), min(p.promo, o.promo)} }

// textIndex has the campaigns of a text that has more than few.
type textIndex struct {
	base, promo index
}

// head is the beginning of texts or a short text; key 0 is none.
type head struct {
	key  uint32 // its bytes, the first the lowest; texts have no NUL
	node uint32
	best pair // the node's
}

// node is some texts' beginning, and its campaigns if it is a whole text.
type node struct {
	best        pair   // of the texts that begin so
	label, mask uint64 // the bytes since the parent, the first the lowest, and ones where it has some
	length      uint8  // of label
	bases       uint8  // how many items are base campaigns, and how many are promos;
	promos      uint8  // or isLarge
	children    uint16
	child       uint32 // the first
	item        uint32 // the first, or the number of the large text
}

// isLarge stands for a number of promos.
const isLarge = math.MaxUint8

const headLen = 4

// named are merchants' folded texts in order, each with its campaigns: base, then promo, both in
// the order of rank.
type named struct {
	texts []namedText
	items []item
}

type namedText struct {
	text         string
	promos, next uint32 // where in items its promos begin, and where the next text's items do
}

// newMatcher takes texts of which each has campaigns, and keeps the items.
func newMatcher(all named) *matcher {
	m := &matcher{items: all.items}
	size := 16
	for size < 2*len(all.texts) {
		size *= 2
	}
	m.heads = make([]head, size)
	m.filter = make([]uint64, min(size, 1<<16))

	// A span is the texts that begin with what leads to a node.
	type span struct{ from, to, depth int }
	texts := all.texts
	spans := make([]span, 0, 2*len(texts))
	for i := 0; i < len(texts); {
		text := texts[i].text
		n := min(len(text), headLen)
		to := i + 1
		if n < headLen {
			m.short |= 1 << n
		} else {
			for to < len(texts) && len(texts[to].text) >= headLen && texts[to].text[:headLen] == text[:headLen] {
				to++
			}
		}
		spans = append(spans, span{i, to, n})
		i = to
	}
	heads := len(spans)
	m.nodes = make([]node, 0, 2*len(texts))
	for s := 0; s < len(spans); s++ {
		at := spans[s]
		first, last := texts[at.from].text[at.depth:], texts[at.to-1].text[at.depth:]
		n := node{best: pair{none, none}}
		for int(n.length) < min(8, len(first)) && first[n.length] == last[n.length] {
			n.label |= uint64(first[n.length]) << (8 * n.length)
			n.mask |= 0xff << (8 * n.length)
			n.length++
		}
		at.depth += int(n.length)
		if len(first) == int(n.length) {
			m.addText(&n, all, at.from)
			at.from++
		}
		n.child = uint32(len(spans))
		for at.from < at.to {
			b := texts[at.from].text[at.depth]
			to := at.from + 1
			for to < at.to && texts[to].text[at.depth] == b {
				to++
			}
			spans = append(spans, span{at.from, to, at.depth})
			at.from = to
			n.children++
		}
		m.nodes = append(m.nodes, n)
		m.labels = append(m.labels, byte(n.label))
	}
	m.best = pair{none, none}
	for i := len(m.nodes) - 1; i >= 0; i-- {
		n := &m.nodes[i]
		for child := range n.children {
			n.best = n.best.min(m.nodes[n.child+uint32(child)].best)
		}
		m.best = m.best.min(n.best)
	}
	for i := range heads {
		text := texts[spans[i].from].text
		key := uint32(0)
		for k := range min(len(text), headLen) {
			key |= uint32(text[k]) << (8 * k)
		}
		m.addHead(head{key, uint32(i), m.nodes[i].best})
	}
	return m
}

// addText gives a node the campaigns of a text.
func (m *matcher) addText(n *node, all named, text int) {
	from := uint32(0)
	if text > 0 {
		from = all.texts[text-1].next
	}
	t := &all.texts[text]
	base, promo := all.items[from:t.promos], all.items[t.promos:t.next]
	if len(base) > 0 {
		n.best.base = base[0].rank
	}
	if len(promo) > 0 {
		n.best.promo = promo[0].rank
	}
	n.item, n.bases, n.promos = from, uint8(len(base)), uint8(len(promo))
	if len(base) > few || len(promo) > few {
		n.item, n.promos = uint32(len(m.large)), isLarge
		m.large = append(m.large, textIndex{newIndex(slices.Clip(base)), newIndex(slices.Clip(promo))})
	}
}

// eras are matchers for times that follow one another. A campaign for a merchant lives for a few
// months of the years that a rule set spans, and the names that have to be looked for on a day
// are few; a matcher of these alone stays in the processor's cache.
type eras struct {
	days     axis
	matchers []*matcher // nil where no campaign is live
}

// maxEras is how many eras there are at most.
const maxEras = 64

func newEras(all named) eras {
	e := eras{days: erasOf(all.items)}
	live := make([]named, e.days.intervals())
	i := uint32(0)
	for _, t := range all.texts {
		for ; i < t.next; i++ {
			it := &all.items[i]
			for era, last := e.days.find(it.start), e.days.find(it.end); era <= last; era++ {
				l := &live[era]
				if n := len(l.texts); n == 0 || l.texts[n-1].text != t.text {
					l.texts = append(l.texts, namedText{t.text, uint32(len(l.items)), 0})
				}
				l.items = append(l.items, *it)
				at := &l.texts[len(l.texts)-1]
				at.next = uint32(len(l.items))
				if i < t.promos {
					at.promos = at.next
				}
			}
		}
	}
	e.matchers = make([]*matcher, len(live))
	for era := range live {
		if live[era].texts != nil {
			e.matchers[era] = newMatcher(live[era])
		}
	}
	return e
}

// erasOf divides the days where the campaigns begin, into so many eras that a campaign is in no
// more than three on average.
func erasOf(items []item) axis {
	starts := make([]int32, len(items))
	for i := range items {
		starts[i] = items[i].start
	}
	slices.Sort(starts)
	for n := maxEras; n > 1; n /= 2 {
		if len(starts) < 16*n {
			continue
		}
		var cuts []int32
		for i := 1; i < n; i++ {
			cuts = append(cuts, starts[i*len(starts)/n])
		}
		a := newAxis(cuts, wideAxis)
		total := 0
		for i := range items {
			total += a.find(items[i].end) - a.find(items[i].start) + 1
		}
		if total <= 3*len(items) {
			return a
		}
	}
	return newAxis(nil, 0)
}

// hash mixes a key.
func hash(key uint32) uint64 { return uint64(key * 0x9E3779B1) } // 2³² ÷ the golden ratio (Knuth, TAOCP 3, 6.4)

// anyCase makes ASCII letters of either case, and a few other characters, the same.
const anyCase = 0x20202020

func (m *matcher) addHead(h head) {
	sum := hash(h.key | anyCase)
	m.filter[sum>>16&uint64(len(m.filter)-1)] |= 1 << (sum >> 26)
	i := m.slot(h.key)
	for m.heads[i].key != 0 {
		i = (i + 1) & uint32(len(m.heads)-1)
	}
	m.heads[i] = h
}

// slot is where the search for a key begins.
func (m *matcher) slot(key uint32) uint32 {
	return uint32(hash(key) * uint64(len(m.heads)) >> 32)
}

// mayHave is 1 for the heads' keys and for one in sixty of others, else 0.
func mayHave(filter []uint64, key uint32) uint64 {
	h := hash(key | anyCase)
	return filter[h>>16&uint64(len(filter)-1)] >> (h >> 26) & 1
}

// walkFrom looks for the texts that begin with the key, behind which the name goes on at at.
func (m *matcher) walkFrom(q *query, key uint32, name []byte, at int, best pair) pair {
	for i := m.slot(key); ; i = (i + 1) & uint32(len(m.heads)-1) {
		h := &m.heads[i]
		switch h.key {
		case 0:
			return best
		case key:
			if h.best.anyBelow(best) {
				best = m.walk(q, name, at, h.node, best)
			}
			return best
		}
	}
}

// walk goes down from a node. Behind the name's end stand zeros, which no text has.
func (m *matcher) walk(q *query, name []byte, at int, s uint32, best pair) pair {
	for {
		n := &m.nodes[s]
		if (binary.LittleEndian.Uint64(name[at:])^n.label)&n.mask != 0 || !n.best.anyBelow(best) {
			return best
		}
		at += int(n.length)
		if n.bases|n.promos != 0 {
			best = m.findIn(n, q, best)
		}
		s = n.child
		end := s + uint32(n.children)
		for s < end && m.labels[s] != name[at] {
			s++
		}
		if s == end {
			return best
		}
	}
}

// findIn looks through the campaigns of a node's text.
func (m *matcher) findIn(n *node, q *query, best pair) pair {
	if n.promos == isLarge {
		ix := &m.large[n.item]
		return pair{ix.base.find(q, best.base), ix.promo.find(q, best.promo)}
	}
	items := m.items[n.item:][:int(n.bases)+int(n.promos)]
	return pair{findFew(items[:n.bases], q, best.base), findFew(items[n.bases:], q, best.promo)}
}

// pad is how many zeros stand behind a folded name, so that a look beyond its end finds no text.
const pad = 16

// shortName is the buffer for names of up to 64 bytes.
type shortName [64 + pad]byte

// find is for each kind the lowest rank below best among the campaigns whose merchant's text the
// name contains and that fit, or best.
func (m *matcher) find(q *query, name string, best pair) pair {
	if len(name) > 64 {
		return m.findFolded(q, name, best)
	}
	may, ascii := look(m.filter, name)
	if !ascii {
		return m.findFolded(q, name, best)
	}
	if may == 0 && m.short == 0 {
		return best // most names
	}
	var buf shortName
	buf.fold(name)
	if m.short != 0 {
		best = m.findShort(q, buf[:], len(name), best)
	}
	return m.findAt(q, buf[:], may, best)
}

// findFolded is find for names that are long or not ASCII. It allocates nothing for the names of
// valid transactions, which have up to loyalty.MaxFieldRunes runes.
func (m *matcher) findFolded(q *query, name string, best pair) pair {
	var buf [loyalty.MaxFieldRunes*maxFolded + pad]byte
	folded := appendFold(buf[:0], name)
	n := len(folded)
	folded = append(folded, make([]byte, pad)...)
	if m.short != 0 {
		best = m.findShort(q, folded, n, best)
	}
	for at := 0; at < n; at += 64 {
		may, _ := look(m.filter, folded[at:min(n, at+64+headLen-1)])
		best = m.findAt(q, folded[at:], may, best)
	}
	return best
}

// findAt looks for texts at the places of a folded name of which may has a bit.
func (m *matcher) findAt(q *query, name []byte, may uint64, best pair) pair {
	for ; may != 0; may &= may - 1 {
		at := bits.TrailingZeros64(may)
		best = m.walkFrom(q, binary.LittleEndian.Uint32(name[at:]), name, at+headLen, best)
	}
	return best
}

// look has a bit for each place of a name at which a text of four bytes or more may begin. The
// name, of up to 67 bytes, is folded or ASCII, and it says whether it is the latter.
func look[T string | []byte](filter []uint64, name T) (may uint64, ascii bool) {
	if len(filter) == 0 {
		return 0, true
	}
	const high = 0x80808080
	var all uint32
	if len(name) < 7 {
		for i := range len(name) {
			all |= uint32(name[i])
			if s := name[i:]; len(s) >= headLen {
				may |= mayHave(filter, key(s)) << i
			}
		}
		return may, all&high == 0
	}
	for i := 0; ; i = min(i+4, len(name)-7) { // the last four places may be looked at again
		s := name[i : i+7]
		k0, k1, k2, k3 := key(s), key(s[1:]), key(s[2:]), key(s[3:])
		all |= k0 | k3
		may |= (mayHave(filter, k0) | mayHave(filter, k1)<<1 | mayHave(filter, k2)<<2 | mayHave(filter, k3)<<3) << (i & 63)
		if i == len(name)-7 {
			return may, all&high == 0
		}
	}
}

// key is the first four bytes, the first the lowest.
func key[T string | []byte](s T) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// fold folds an ASCII name into the buffer. It writes whole words, as they are read: reading a
// word that was written in pieces makes the processor wait.
func (buf *shortName) fold(name string) {
	last := uint64(0) // the bytes beyond the last whole word
	if len(name) >= 8 {
		last = word(name[len(name)-8:]) >> (64 - 8*(len(name)&7))
	} else {
		for i := range len(name) {
			last |= uint64(name[i]) << (8 * i)
		}
	}
	i := 0
	for ; len(name) >= 8; name = name[8:] {
		binary.LittleEndian.PutUint64(buf[i&56:], lower(word(name)))
		i += 8
	}
	binary.LittleEndian.PutUint64(buf[i:], lower(last))
}

// lower folds eight bytes of ASCII.
func lower(x uint64) uint64 {
	const ones = 0x0101010101010101
	// The high bits of those from A on, without those beyond Z.
	upper := (x&^(ones<<7) + (0x80-'A')*ones) &^ (x&^(ones<<7) + (0x80-'Z'-1)*ones) & (ones << 7)
	return x | upper>>2
}

// word is the first eight bytes, the first the lowest.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// findShort looks for texts shorter than a head.
func (m *matcher) findShort(q *query, name []byte, n int, best pair) pair {
	for i := range n {
		x := binary.LittleEndian.Uint32(name[i:])
		for k := range headLen - 1 {
			if m.short>>(k+1)&1 == 0 {
				continue
			}
			// Beyond the end a key has a zero, and is that of a shorter text, which is there.
			if key := x & (1<<(8*(k+1)) - 1); mayHave(m.filter, key) != 0 {
				best = m.walkFrom(q, key, name, i+k+1, best)
			}
		}
	}
	return best
}
