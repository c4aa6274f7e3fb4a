package informer

import (
	"strings"

	"github.com/angelowl-loyalties/app/loyalty"
	"golang.org/x/text/cases"
)

// Filtered says whether the query picks among the rows that it reads.
func (q Query) Filtered() bool { return q.Merchant != "" || q.Outcome != "" }

// Match returns what picks them, for the implementations of Store: the rows whose merchant has
// the query's in it, without case (full Unicode case folding, as campaigns match), and whose
// outcome is the query's. It is not safe for concurrent use.
func (q Query) Match() func(*loyalty.Row) bool {
	if !q.Filtered() {
		return func(*loyalty.Row) bool { return true }
	}
	fold := cases.Fold()
	merchant := fold.String(q.Merchant)
	return func(r *loyalty.Row) bool {
		if q.Outcome != "" && r.Trace.Outcome != q.Outcome {
			return false
		}
		return merchant == "" || strings.Contains(fold.String(r.Merchant), merchant)
	}
}
