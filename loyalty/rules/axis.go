package rules

import "slices"

// axis divides the whole numbers at its cuts: interval 0 is below the first cut, interval i runs
// from cut i-1 up to the next.
type axis struct {
	cuts []int32 // in order, each once

	// Where the cuts are many, jump[b] is how many cuts lie below first + b<<shift, for the cuts
	// from near up to far. The first and the last may lie so far from the others (those of what
	// is always live) that they are not among these. Where shift is 0, jump has the answers
	// themselves.
	first     int32
	jump      []uint32
	shift     uint8
	near, far int
}

// fewCuts are looked through one by one.
const fewCuts = 8

// wideAxis is how long the table of an axis may be of which a programme has one: the days of 11
// years.
const wideAxis = 4096

// newAxis takes the cuts in any order. Its table has at most wide entries, or 32 for each cut.
func newAxis(cuts []int32, wide uint32) axis {
	slices.Sort(cuts)
	a := axis{cuts: slices.Clip(slices.Compact(cuts))}
	cuts = a.cuts
	n := len(cuts)
	if n <= fewCuts {
		return a
	}
	a.far = n
	if rest := int64(cuts[n-2]) - int64(cuts[1]); int64(cuts[1])-int64(cuts[0]) > rest {
		a.near = 1
	}
	if rest := int64(cuts[n-2]) - int64(cuts[1]); int64(cuts[n-1])-int64(cuts[n-2]) > rest {
		a.far = n - 1
	}
	a.first = cuts[a.near]
	span := uint32(cuts[a.far-1] - a.first)
	if wide = max(wide, 32*uint32(n)); span > wide {
		for span>>a.shift > 4*uint32(n) {
			a.shift++
		}
	}
	a.jump = make([]uint32, span>>a.shift+2)
	b := 0
	for i := a.near; i < a.far; i++ {
		for end := int(uint32(cuts[i]-a.first) >> a.shift); b <= end; b++ {
			a.jump[b] = uint32(i)
		}
	}
	for ; b < len(a.jump); b++ {
		a.jump[b] = uint32(a.far)
	}
	return a
}

// intervals is how many there are.
func (a *axis) intervals() int { return len(a.cuts) + 1 }

// find is the interval of v: how many cuts are not above it.
func (a *axis) find(v int32) int {
	if b := int64(v) - int64(a.first) + 1; a.shift == 0 && uint64(b) < uint64(len(a.jump)) {
		return int(a.jump[b])
	}
	return a.search(v)
}

func (a *axis) search(v int32) int {
	cuts := a.cuts
	lo, hi := 0, len(cuts)
	switch {
	case a.jump == nil:
	case v < a.first:
		hi = a.near
	case v >= cuts[a.far-1]:
		lo = a.far
	default:
		b := uint32(v-a.first) >> a.shift
		lo, hi = int(a.jump[b]), int(a.jump[b+1])
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if cuts[mid] <= v {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}
