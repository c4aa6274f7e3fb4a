package rules

import "slices"

// axis divides the whole numbers at its cuts: interval 0 is below the first cut, interval i runs
// from cut i-1 up to the next.
type axis struct {
	cuts []int32 // in order, each once
	// Where the cuts are many, jump[b] is how many of them lie below cuts[0] + b<<shift. Where
	// they are dense besides, shift is 0, and jump has the answers themselves.
	jump  []uint32
	shift uint8
}

// fewCuts are looked through one by one.
const fewCuts = 8

// newAxis takes the cuts in any order.
func newAxis(cuts []int32) axis {
	slices.Sort(cuts)
	a := axis{cuts: slices.Clip(slices.Compact(cuts))}
	n := len(a.cuts)
	if n <= fewCuts {
		return a
	}
	span := uint32(a.cuts[n-1] - a.cuts[0])
	if span > 32*uint32(n) {
		for span>>a.shift > 4*uint32(n) {
			a.shift++
		}
	}
	a.jump = make([]uint32, span>>a.shift+2)
	for i, b := 0, uint32(0); b < uint32(len(a.jump)); b++ {
		for i < n && uint32(a.cuts[i]-a.cuts[0])>>a.shift < b {
			i++
		}
		a.jump[b] = uint32(i)
	}
	return a
}

// intervals is how many there are.
func (a *axis) intervals() int { return len(a.cuts) + 1 }

// find is the interval of v: how many cuts are not above it.
func (a *axis) find(v int32) int {
	cuts := a.cuts
	if a.jump == nil {
		n := 0
		for n < len(cuts) && cuts[n] <= v {
			n++
		}
		return n
	}
	switch {
	case v < cuts[0]:
		return 0
	case v >= cuts[len(cuts)-1]:
		return len(cuts)
	}
	b := uint32(v-cuts[0]) >> a.shift
	if a.shift == 0 {
		return int(a.jump[b+1])
	}
	lo, hi := int(a.jump[b]), int(a.jump[b+1])
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
