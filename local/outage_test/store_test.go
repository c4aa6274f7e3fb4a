package outage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/local/pebble"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules"
	"github.com/angelowl-loyalties/app/rewarder"
)

var errRefused = errors.New("the reward store does not answer")

// fault is what is wrong with a call of the store while it is out.
type fault struct {
	name string
	// strike is a call of the store, do, that began during the outage.
	strike func(ctx context.Context, do func(context.Context) error) error
	reason string // what the rewarder's health says of it, in part
}

var faults = []fault{
	{
		"refuses every call at once",
		func(context.Context, func(context.Context) error) error { return errRefused },
		errRefused.Error(),
	},
	{
		"hangs until the caller gives up",
		func(ctx context.Context, _ func(context.Context) error) error { <-ctx.Done(); return ctx.Err() },
		context.DeadlineExceeded.Error(),
	},
	{
		// The caller cannot know that it is written.
		"writes and does not answer",
		func(ctx context.Context, do func(context.Context) error) error {
			_ = do(context.WithoutCancel(ctx))
			<-ctx.Done()
			return ctx.Err()
		},
		context.DeadlineExceeded.Error(),
	},
}

// store is the real one behind a line that can be out.
type store struct {
	real  *pebble.Store
	fault fault

	mu     sync.Mutex
	out    bool
	struck atomic.Int64 // writes of rewards that failed
	other  atomic.Int64 // other calls that failed
	during atomic.Int64 // calls that began during an outage and succeeded
}

func (s *store) set(out bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = out
}

func (s *store) call(ctx context.Context, count *atomic.Int64, do func(context.Context) error) error {
	s.mu.Lock()
	out := s.out
	s.mu.Unlock()
	if !out {
		return do(ctx)
	}
	err := s.fault.strike(ctx, do)
	if err == nil {
		s.during.Add(1)
	} else {
		count.Add(1)
	}
	return err
}

func (s *store) OpenTopic(ctx context.Context, name, id string, partitions int32) (n int64, err error) {
	err = s.call(ctx, &s.other, func(ctx context.Context) (err error) {
		n, err = s.real.OpenTopic(ctx, name, id, partitions)
		return err
	})
	return n, err
}

func (s *store) PutParts(ctx context.Context, parts []rules.Part) error {
	return s.call(ctx, &s.other, func(ctx context.Context) error { return s.real.PutParts(ctx, parts) })
}

func (s *store) Part(ctx context.Context, hash loyalty.Hash) (b []byte, err error) {
	err = s.call(ctx, &s.other, func(ctx context.Context) (err error) {
		b, err = s.real.Part(ctx, hash)
		return err
	})
	return b, err
}

func (s *store) FixFirst(ctx context.Context, incarnation int64, partition int32, m record.Marker) (is record.Marker, err error) {
	err = s.call(ctx, &s.other, func(ctx context.Context) (err error) {
		is, err = s.real.FixFirst(ctx, incarnation, partition, m)
		return err
	})
	return is, err
}

func (s *store) PutMarker(ctx context.Context, at loyalty.Position, m record.Marker) error {
	return s.call(ctx, &s.other, func(ctx context.Context) error { return s.real.PutMarker(ctx, at, m) })
}

func (s *store) MarkerBefore(ctx context.Context, at loyalty.Position) (m record.Marker, offset int64, err error) {
	err = s.call(ctx, &s.other, func(ctx context.Context) (err error) {
		m, offset, err = s.real.MarkerBefore(ctx, at)
		return err
	})
	return m, offset, err
}

func (s *store) PutRewards(ctx context.Context, rows []loyalty.Row) error {
	return s.call(ctx, &s.struck, func(ctx context.Context) error { return s.real.PutRewards(ctx, rows) })
}

// enough is how many rows have to arrive during an outage at least.
const enough = 1000

// Three rewarders share six partitions of a log that rows come into all the time. The store goes for
// 0.1, 1 and 10 s (and 60 s), in each of the ways in which a store goes, and the rules change while
// it is away. Nobody helps: the work stops, says so, and goes on.
func TestTheRewardStoreGoesAndComesBack(t *testing.T) {
	outages := []time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second}
	switch {
	case testing.Short():
		outages = outages[:1]
	case os.Getenv("ANGELOWL_LONG") != "":
		outages = append(outages, time.Minute)
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, f)
			var crew []*member
			for _, name := range []string{"a", "b", "c"} {
				crew = append(crew, w.start(name))
			}
			w.produce(1500)
			w.eventually("the work is shared out, and under way", func() bool {
				for _, m := range crew {
					if s := m.status(); s.State != "consuming" || len(s.Partitions) != partitions/len(crew) {
						return false
					}
				}
				return w.rows() > 0
			})
			stop := w.load()
			for i, d := range outages {
				w.outage(crew, d, i == len(outages)-1)
			}
			w.eventually("the edited rules are in force", func() bool {
				for _, m := range crew {
					for _, p := range m.status().Partitions {
						if p.InForce == nil || p.InForce.Revision < w.edits[len(w.edits)-1].revision {
							return false
						}
					}
				}
				return true
			})
			w.produce(enough)
			stop()
			w.eventually("all of it is rewarded", func() bool { return w.lag() == 0 })
			for _, m := range crew {
				m.stop()
			}
			w.judge(len(outages))
		})
	}
}

// outage takes the store away for d, or for longer if what has to be seen has not been seen by then.
func (w *world) outage(crew []*member, d time.Duration, edit bool) {
	w.t.Helper()
	w.eventually("what came before is done", func() bool { return w.lag() < enough/2 })
	errorsBefore, pausesBefore := sum(crew, "errors_total"), sum(crew, "pauses_total")
	struck, sent, lagBefore := w.store.struck.Load(), w.sent.Load(), w.lag()
	w.store.set(true)
	began := time.Now()
	if edit {
		w.edit()
	}
	w.produce(enough)
	w.eventually("no partition goes on, and health and metrics say so", func() bool {
		for _, m := range crew {
			s, text := m.status(), m.metrics()
			if s.State != "paused" || !strings.Contains(s.Reason, "storing rewards: "+w.store.fault.reason) {
				return false
			}
			for _, p := range s.Partitions {
				if p.State != "paused" || p.Reason == "" || text[fmt.Sprintf("paused{partition=\"%d\"}", p.Partition)] != 1 ||
					text[fmt.Sprintf("lag{partition=\"%d\"}", p.Partition)] == 0 {
					return false
				}
			}
		}
		return true
	})
	// The rest of the outage is real time: it is what the outage is.
	select {
	case <-time.After(time.Until(began.Add(d))):
	case <-w.t.Context().Done():
	}
	arrived, lag := w.sent.Load()-sent, w.lag()
	w.store.set(false)
	failed := w.store.struck.Load() - struck
	w.t.Logf("out for %v: %d writes failed, %d rows arrived, the lag rose from %d to %d", time.Since(began).Round(time.Millisecond), failed, arrived, lagBefore, lag)
	if failed == 0 || arrived < enough || lag < lagBefore+enough/2 || lag < enough {
		w.t.Error("the outage has not bitten")
	}
	w.eventually("it goes on by itself", func() bool {
		for _, m := range crew {
			s, text := m.status(), m.metrics()
			if s.State != "consuming" || s.Reason != "" {
				return false
			}
			for _, p := range s.Partitions {
				if text[fmt.Sprintf("paused{partition=\"%d\"}", p.Partition)] != 0 {
					return false
				}
			}
		}
		return w.lag() < lag
	})
	if e, p := sum(crew, "errors_total")-errorsBefore, sum(crew, "pauses_total")-pausesBefore; e < failed || p < partitions {
		w.t.Errorf("the metrics have %d errors and %d pauses for %d writes that failed in %d partitions", e, p, failed, partitions)
	}
}

func sum(crew []*member, name string) (n int64) {
	for _, m := range crew {
		n += int64(m.metrics()[name])
	}
	return n
}

var _ rewarder.Store = (*store)(nil)
