package rewarder

import (
	"slices"

	"github.com/angelowl-loyalties/app/loyalty/record"
)

// The steps on which it hangs that every evaluation of an offset uses one rule set. The model
// (model_test.go) explores these very functions.

// take reads a marker from the log: it returns what is in force after it, and whether the marker
// took over. What is not after the one in force, a duplicate or the late marker of a stale owner,
// changes nothing.
func take(inForce, m record.Marker) (record.Marker, bool) {
	if !m.After(inForce) {
		return inForce, false
	}
	return m, true
}

// due says whether the live rules call for a marker, given the newest one that is in force or on
// its way.
func due(live, newest record.Marker) bool {
	return live.After(newest) && live.Hash != newest.Hash
}

// tracker finds the offset up to which everything is durable. Work is added in the order of the
// log and finished in any order.
type tracker struct {
	base  int64  // everything below is durable
	first uint64 // number of works[0]
	works []work
}

type work struct {
	next    int64 // the offset after the work's last record
	durable bool
}

// add notes work under way, up to the record before next, and returns its number.
func (t *tracker) add(next int64) uint64 {
	t.works = append(t.works, work{next: next})
	return t.first + uint64(len(t.works)) - 1
}

// finish notes that a work is durable, and says whether base moved.
func (t *tracker) finish(number uint64) bool {
	t.works[number-t.first].durable = true
	n := slices.IndexFunc(t.works, func(w work) bool { return !w.durable })
	if n < 0 {
		n = len(t.works)
	}
	if n == 0 {
		return false
	}
	t.base = t.works[n-1].next
	t.first += uint64(n)
	t.works = slices.Delete(t.works, 0, n)
	return true
}
