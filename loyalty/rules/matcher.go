package rules

import (
	"encoding/binary"
	"maps"
	"math/bits"
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
	filter []uint64 // the bits of the heads' hashes
	shift  uint8    // of a hash, to have as many bits as the filter
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

// namedItems are the campaigns of one folded text in the order of rank.
type namedItems struct {
	base, promo []item
}

func newMatcher(named map[string]*namedItems) *matcher {
	m := &matcher{best: pair{none, none}}
	texts := slices.Sorted(maps.Keys(named))
	m.texts = make([]textIndex, len(texts))
	for i, text := range texts {
		ix := textIndex{newIndex(named[text].base, nil), newIndex(named[text].promo, nil)}
		m.texts[i] = ix
		m.best = m.best.min(pair{ix.base.best, ix.promo.best})
	}
	m.grow(texts)
	return m
}

// grow makes the heads and the states of the texts, which are in order.
func (m *matcher) grow(texts []string) {
	size := 16
	for size < 2*len(texts) {
		size *= 2
	}
	m.heads = make([]head, size)
	m.filter = make([]uint64, max(16, size/8)) // at least 32 bits for a text
	m.shift = uint8(32 - bits.Len(uint(len(m.filter)*64-1)))

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

func (m *matcher) hash(key uint32) uint32 { return key * 0x9E3779B1 >> m.shift }

func (m *matcher) addHead(key, value uint32) {
	h := m.hash(key)
	m.filter[h/64] |= 1 << (h % 64)
	i := h & uint32(len(m.heads)-1)
	for m.heads[i].key != 0 {
		i = (i + 1) & uint32(len(m.heads)-1)
	}
	m.heads[i] = head{key, value}
}

// mayHave is 1 for the heads' keys and 0 for most others.
func (m *matcher) mayHave(key uint32) uint64 {
	h := m.hash(key)
	return m.filter[h/64] >> (h % 64) & 1
}

// head is what a key stands for, or nowhere.
func (m *matcher) head(key uint32) uint32 {
	for i := m.hash(key) & uint32(len(m.heads)-1); m.heads[i].key != 0; i = (i + 1) & uint32(len(m.heads)-1) {
		if m.heads[i].key == key {
			return m.heads[i].value
		}
	}
	return nowhere
}

// find is for each kind the lowest rank below best among the campaigns whose merchant's text the
// name contains and that fit, or best.
func (m *matcher) find(q *query, name string, best pair) pair {
	// Behind the folded name are zeros, so that a look beyond its end finds no text.
	var buf [64]byte
	if len(name) > len(buf)-8 || !foldASCII(&buf, name) {
		return m.findFolded(q, name, best)
	}
	return m.scan(q, buf[:], len(name), best)
}

// findFolded is find for names that are long or not ASCII. It allocates nothing for the names of
// valid transactions, which have up to loyalty.MaxFieldRunes runes.
func (m *matcher) findFolded(q *query, name string, best pair) pair {
	var buf [loyalty.MaxFieldRunes*maxFolded + 8]byte
	folded := appendFold(buf[:0], name)
	n := len(folded)
	folded = append(folded, 0, 0, 0, 0, 0, 0, 0, 0)
	return m.scan(q, folded, n, best)
}

// foldASCII folds a name that is shorter than buf by 8 bytes or more, unless it is not ASCII.
func foldASCII(buf *[64]byte, name string) bool {
	const ones = 0x0101010101010101
	high := uint64(0)
	i := 0
	for ; i+8 <= len(name); i += 8 {
		x := uint64(name[i]) | uint64(name[i+1])<<8 | uint64(name[i+2])<<16 | uint64(name[i+3])<<24 |
			uint64(name[i+4])<<32 | uint64(name[i+5])<<40 | uint64(name[i+6])<<48 | uint64(name[i+7])<<56
		high |= x
		// Eight bytes at once: the high bits of those from A on, without those beyond Z.
		upper := (x&^(ones<<7) + (0x80-'A')*ones) &^ (x&^(ones<<7) + (0x80-'Z'-1)*ones) & (ones << 7)
		binary.LittleEndian.PutUint64(buf[i&56:], x|upper>>2)
	}
	for ; i < len(name); i++ {
		b := name[i]
		high |= uint64(b)
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		buf[i&63] = b
	}
	return high&(ones<<7) == 0
}

// scan looks for texts in the first n bytes of a folded name, which eight zeros follow.
func (m *matcher) scan(q *query, name []byte, n int, best pair) pair {
	if m.short != 0 {
		best = m.scanShort(q, name, n, best)
	}
	for i := 0; i+headLen <= n; {
		// Four beginnings at once.
		x := binary.LittleEndian.Uint64(name[i:])
		may := m.mayHave(uint32(x)) | m.mayHave(uint32(x>>8))<<1 | m.mayHave(uint32(x>>16))<<2 | m.mayHave(uint32(x>>24))<<3
		next := i + 4
		for ; may != 0; may &= may - 1 {
			k := bits.TrailingZeros64(may)
			if i+k+headLen > n { // not a head: it would have a zero
				break
			}
			if s := m.head(uint32(x >> (8 * k))); s != nowhere {
				next, best = m.walk(q, name[:n], i+k+headLen, s, best)
				break
			}
		}
		i = next
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
			if key := x & (1<<(8*(k+1)) - 1); m.mayHave(key) != 0 {
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
