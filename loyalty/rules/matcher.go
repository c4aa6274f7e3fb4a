package rules

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/angelowl-loyalties/app/loyalty"
)

// matcher finds all merchants' texts that a name contains, in one pass over it and in time that
// is linear in its length. It is the automaton of Aho and Corasick ("Efficient string matching",
// CACM 18:6, 1975) over the bytes of the folded name, without its first levels: as long as no
// text has begun, four bytes at a time are looked up among the texts' beginnings (heads), which a
// bitmap answers mostly with no. From a head on the states of the automaton follow. Texts shorter
// than four bytes are heads of their own.
type matcher struct {
	best   pair
	filter []uint64 // a bit for each head
	mask   uint32   // of the indexes of filter
	short  uint8    // bit n: there are texts of n bytes, n below four
	heads  []head   // a hash table with open addresses
	nodes  []node   // the states, breadth first; and one more, the end of the last's children
	labels []byte   // the byte that leads to a state
	texts  []textIndex
}

// pair has something for base and something for promo campaigns.
type pair struct{ base, promo uint32 }

func (p pair) anyBelow(o pair) bool { return p.base < o.base || p.promo < o.promo }

func (p pair) min(o pair) pair { return pair{min(p.base, o.base), min(p.promo, o.promo)} }

// textIndex has the campaigns of a merchant's text.
type textIndex struct {
	base, promo index
}

// head is the beginning of texts or a short text; key 0 is none.
type head struct {
	key   uint32 // its bytes, the first the lowest; texts have no NUL
	value uint32 // the state, or the number of the short text
}

type node struct {
	first uint32 // child; the next node's is the end of them
	fail  uint32 // the longest proper suffix that is a state, or nowhere
	text  uint32 // the text that is the whole state, or nowhere
	out   uint32 // the longest proper suffix that is a text's state, or nowhere
	best  pair   // the best ranks of the texts that end here
}

// nowhere is no state and no text.
const nowhere = 1<<32 - 1

const headLen = 4

// named are the campaigns of one folded text in the order of rank.
type named struct {
	text        string
	base, promo []item
}

// newMatcher takes texts in order, each with campaigns.
func newMatcher(all []named) *matcher {
	m := &matcher{best: pair{none, none}, texts: make([]textIndex, len(all))}
	texts := make([]string, len(all))
	for i := range all {
		n := &all[i]
		ix := textIndex{newIndex(n.base), newIndex(n.promo)}
		texts[i], m.texts[i] = n.text, ix
		m.best = m.best.min(pair{ix.base.best, ix.promo.best})
	}
	m.grow(texts)
	return m
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

// newEras takes texts in order.
func newEras(all []named) eras {
	var windows []item
	for i := range all {
		windows = append(append(windows, all[i].base...), all[i].promo...)
	}
	e := eras{days: erasOf(windows)}
	for era := range e.days.intervals() {
		from, to := int32(math.MinInt32), int32(math.MaxInt32) // both included
		if era > 0 {
			from = e.days.cuts[era-1]
		}
		if era < len(e.days.cuts) {
			to = e.days.cuts[era] - 1
		}
		within := func(items []item) (in []item) {
			for i := range items {
				if items[i].start <= to && items[i].end >= from {
					in = append(in, items[i])
				}
			}
			return in
		}
		var live []named
		for i := range all {
			n := named{all[i].text, within(all[i].base), within(all[i].promo)}
			if n.base != nil || n.promo != nil {
				live = append(live, n)
			}
		}
		var m *matcher
		if live != nil {
			m = newMatcher(live)
		}
		e.matchers = append(e.matchers, m)
	}
	return e
}

// erasOf divides the days where the campaigns begin, into so many eras that a campaign is in no
// more than three on average.
func erasOf(windows []item) axis {
	starts := make([]int32, len(windows))
	for i := range windows {
		starts[i] = windows[i].start
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
		a := newAxis(cuts)
		total := 0
		for i := range windows {
			total += a.find(windows[i].end) - a.find(windows[i].start) + 1
		}
		if total <= 3*len(windows) {
			return a
		}
	}
	return newAxis(nil)
}

// grow makes the heads and the states of the texts, which are in order.
func (m *matcher) grow(texts []string) {
	size := 16
	for size < 2*len(texts) {
		size *= 2
	}
	m.heads = make([]head, size)
	m.filter = make([]uint64, max(16, size/2)) // 64 bits for a text
	m.mask = uint32(len(m.filter) - 1)

	// A span is the texts that begin with a state.
	type span struct {
		from, to, depth int
		window          uint32 // the state's last four bytes
		suffix          uint32 // where the search for fail begins: the parent's fail
	}
	var spans []span
	for i := 0; i < len(texts); {
		text := texts[i]
		n := min(len(text), headLen)
		key := uint32(0)
		for k := range n {
			key |= uint32(text[k]) << (8 * k)
		}
		if n < headLen {
			m.short |= 1 << n
			m.addHead(key, uint32(i))
			i++
			continue
		}
		to := i + 1
		for to < len(texts) && len(texts[to]) >= headLen && texts[to][:headLen] == text[:headLen] {
			to++
		}
		m.addHead(key, uint32(len(spans)))
		spans = append(spans, span{i, to, headLen, key, nowhere})
		m.labels = append(m.labels, text[headLen-1])
		i = to
	}
	for s := 0; s < len(spans); s++ {
		at := spans[s]
		n := node{first: uint32(len(spans)), text: nowhere, out: nowhere, best: pair{none, none}}
		n.fail = m.fail(at.suffix, at.window, at.depth, m.labels[s])
		if n.fail != nowhere {
			suffix := &m.nodes[n.fail]
			n.best = suffix.best
			if n.out = suffix.out; suffix.text != nowhere {
				n.out = n.fail
			}
		}
		if len(texts[at.from]) == at.depth {
			n.text = uint32(at.from)
			ix := &m.texts[at.from]
			n.best = n.best.min(pair{ix.base.best, ix.promo.best})
			at.from++
		}
		m.nodes = append(m.nodes, n)
		for at.from < at.to {
			b := texts[at.from][at.depth]
			to := at.from + 1
			for to < at.to && texts[to][at.depth] == b {
				to++
			}
			spans = append(spans, span{at.from, to, at.depth + 1, at.window>>8 | uint32(b)<<24, n.fail})
			m.labels = append(m.labels, b)
			at.from = to
		}
	}
	m.nodes = append(m.nodes, node{first: uint32(len(spans))})
}

// fail is the longest proper suffix of a state that is a state.
func (m *matcher) fail(suffix, window uint32, depth int, label byte) uint32 {
	if depth == headLen {
		return nowhere
	}
	if s := m.next(suffix, label); s != nowhere {
		return s
	}
	return m.head(window)
}

// next is the state after s and a byte, unless no more than a head of it is left.
func (m *matcher) next(s uint32, b byte) uint32 {
	for s != nowhere {
		n := &m.nodes[s]
		for child, end := n.first, m.nodes[s+1].first; child < end; child++ {
			if m.labels[child] == b {
				return child
			}
		}
		s = n.fail
	}
	return nowhere
}

// hash mixes a key: bits 32 and up choose the word of the filter and the slot of heads, the six
// highest the bit of the word.
func hash(key uint32) uint64 { return uint64(key) * 0x9E3779B97F4A7C15 }

func (m *matcher) addHead(key, value uint32) {
	h := hash(key)
	m.filter[uint32(h>>32)&m.mask] |= 1 << (h >> 58)
	i := uint32(h>>32) & uint32(len(m.heads)-1)
	for m.heads[i].key != 0 {
		i = (i + 1) & uint32(len(m.heads)-1)
	}
	m.heads[i] = head{key, value}
}

// mayHave has its lowest bit set for the heads' keys, and for few others. The other bits mean
// nothing.
func (m *matcher) mayHave(key uint32) uint64 {
	h := hash(key)
	return m.filter[uint32(h>>32)&m.mask] >> (h >> 58)
}

// head is what a key stands for, or nowhere.
func (m *matcher) head(key uint32) uint32 {
	for i := uint32(hash(key)>>32) & uint32(len(m.heads)-1); m.heads[i].key != 0; i = (i + 1) & uint32(len(m.heads)-1) {
		if m.heads[i].key == key {
			return m.heads[i].value
		}
	}
	return nowhere
}

// pad is how many zeros stand behind a folded name, so that a look beyond its end finds no text.
const pad = 16

// shortName is the buffer for names of up to 64 bytes.
type shortName [64 + pad]byte

// find is for each kind the lowest rank below best among the campaigns whose merchant's text the
// name contains and that fit, or best.
func (m *matcher) find(q *query, name string, best pair) pair {
	var buf shortName
	if len(name) > len(buf)-pad || !buf.foldASCII(name) {
		return m.findFolded(q, name, best)
	}
	return m.scan(q, buf[:], len(name), best)
}

// findFolded is find for names that are long or not ASCII. It allocates nothing for the names of
// valid transactions, which have up to loyalty.MaxFieldRunes runes.
func (m *matcher) findFolded(q *query, name string, best pair) pair {
	var buf [loyalty.MaxFieldRunes*maxFolded + pad]byte
	folded := appendFold(buf[:0], name)
	n := len(folded)
	folded = append(folded, make([]byte, pad)...)
	return m.scan(q, folded, n, best)
}

// foldASCII folds a name into the buffer, unless it is not ASCII. It writes whole words, as scan
// reads them: reading a word that was written in pieces makes the processor wait.
func (buf *shortName) foldASCII(name string) bool {
	const ones = 0x0101010101010101
	high, i := uint64(0), 0
	for ; i < len(name); i += 8 {
		var x uint64
		switch rest := name[i:]; {
		case len(rest) >= 8:
			x = word(rest)
		case len(name) >= 8: // the last bytes of the word that ends with the name
			x = word(name[len(name)-8:]) >> (8 * (8 - len(rest)) & 63)
		default:
			for k := range len(rest) {
				x |= uint64(rest[k]) << (8 * k)
			}
		}
		high |= x
		// The high bits of those from A on, without those beyond Z.
		upper := (x&^(ones<<7) + (0x80-'A')*ones) &^ (x&^(ones<<7) + (0x80-'Z'-1)*ones) & (ones << 7)
		binary.LittleEndian.PutUint64(buf[i&56:], x|upper>>2)
	}
	return high&(ones<<7) == 0
}

// word is the first eight bytes, the first the lowest.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// scan looks for texts in the first n bytes of a folded name, which zeros follow.
func (m *matcher) scan(q *query, name []byte, n int, best pair) pair {
	if m.short != 0 {
		best = m.scanShort(q, name, n, best)
	}
	from := 0 // no text that begins before has to be looked for
	for i := 0; i+headLen <= n; i += 8 {
		// Eight beginnings at once.
		lo, hi := binary.LittleEndian.Uint64(name[i:]), binary.LittleEndian.Uint64(name[i+8:])
		may := m.mayHave(uint32(lo)) | m.mayHave(uint32(lo>>8)) | m.mayHave(uint32(lo>>16)) | m.mayHave(uint32(lo>>24)) |
			m.mayHave(uint32(lo>>32)) | m.mayHave(uint32(lo>>40|hi<<24)) | m.mayHave(uint32(lo>>48|hi<<16)) | m.mayHave(uint32(lo>>56|hi<<8))
		if may&1 == 0 {
			continue
		}
		for at := max(i, from); at < i+8 && at+headLen <= n; at++ {
			k := 8 * (at - i)
			key := uint32(lo>>(k&63) | hi<<1<<(63-k&63))
			if m.mayHave(key)&1 == 0 {
				continue
			}
			if s := m.head(key); s != nowhere {
				from, best = m.walk(q, name[:n], at+headLen, s, best)
				at = from - 1
			}
		}
	}
	return best
}

// walk goes on from a state that the bytes before i led to. It returns from where on no text has
// begun that was not seen.
func (m *matcher) walk(q *query, name []byte, i int, s uint32, best pair) (int, pair) {
	for {
		for at := s; at != nowhere && m.nodes[at].best.anyBelow(best); at = m.nodes[at].out {
			if text := m.nodes[at].text; text != nowhere {
				best = m.findIn(text, q, best)
			}
		}
		if i == len(name) {
			return i, best
		}
		if s = m.next(s, name[i]); s == nowhere {
			return i - headLen + 1, best
		}
		i++
	}
}

// scanShort looks for texts shorter than a head.
func (m *matcher) scanShort(q *query, name []byte, n int, best pair) pair {
	for i := range n {
		x := binary.LittleEndian.Uint32(name[i:])
		for k := range headLen - 1 {
			if m.short>>(k+1)&1 == 0 {
				continue
			}
			if key := x & (1<<(8*(k+1)) - 1); m.mayHave(key)&1 != 0 {
				// Beyond the end a key would have a zero, and so be that of a shorter text.
				if text := m.head(key); text != nowhere && key>>(8*k) != 0 {
					best = m.findIn(text, q, best)
				}
			}
		}
	}
	return best
}

// findIn looks through the campaigns of a text.
func (m *matcher) findIn(text uint32, q *query, best pair) pair {
	ix := &m.texts[text]
	return pair{ix.base.find(q, best.base), ix.promo.find(q, best.promo)}
}
