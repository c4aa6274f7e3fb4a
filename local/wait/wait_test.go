package wait_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/angelowl-loyalties/app/local/wait"
)

// failing is a test whose failure is looked at.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	panic(f)
}

func TestUntil(t *testing.T) {
	for _, tc := range []struct {
		name  string
		after time.Duration // f says true
		took  time.Duration
		said  string
	}{
		{"at once", 0, 0, ""},
		{"at the next time it is asked", 101 * time.Millisecond, 110 * time.Millisecond, ""},
		{"never", time.Hour, time.Second, "waited in vain: tea"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, f := time.Now(), &failing{TB: t}
				func() {
					defer func() {
						if r := recover(); r != nil && r != any(f) {
							panic(r)
						}
					}()
					wait.Until(f, 10*time.Millisecond, time.Second, "tea", func() bool { return time.Since(began) >= tc.after })
				}()
				if took := time.Since(began); took != tc.took || f.said != tc.said {
					t.Errorf("after %s it said %q", took, f.said)
				}
			})
		})
	}
}
