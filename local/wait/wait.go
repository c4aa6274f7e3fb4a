// Package wait is how tests wait for what another program does.
package wait

import (
	"testing"
	"time"
)

// Until asks f again and again until it says true, and fails the test when the limit is over.
func Until(t testing.TB, every, limit time.Duration, what string, f func() bool) {
	t.Helper()
	late := time.NewTimer(limit)
	defer late.Stop()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
