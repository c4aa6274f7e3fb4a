package stack

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/emailer"
	"github.com/angelowl-loyalties/app/loyalty"
)

// fakeEmailer is the lambda of a test: it answers in turn, and notes for which days.
type fakeEmailer struct {
	mu      sync.Mutex
	answers []emailer.Result
	failed  error // at the first invocation
	days    []loyalty.Date
	at      chan struct{} // told of each invocation
}

func (f *fakeEmailer) handle(_ context.Context, e emailer.Event) (emailer.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.at <- struct{}{} }()
	f.days = append(f.days, *e.Day)
	if err := f.failed; err != nil {
		f.failed = nil
		return emailer.Result{State: emailer.Unfinished}, err
	}
	r := f.answers[0]
	f.answers = f.answers[1:]
	return r, nil
}

// Each night the day that has ended is told of, at each tick until that is done and then no more; a day
// ends when it ends for the bank.
func TestTheScheduleRunsUntilTheDayIsDone(t *testing.T) {
	defer goleak.VerifyNone(t)
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Fatal(err)
	}
	result := func(states ...string) (out []emailer.Result) {
		for _, s := range states {
			out = append(out, emailer.Result{State: s})
		}
		return out
	}
	f := &fakeEmailer{
		answers: result(emailer.Waiting, emailer.Unfinished, emailer.Done, emailer.Done),
		failed:  errors.New("profiler is away"), at: make(chan struct{}, 10),
	}
	var now atomic.Pointer[time.Time]
	at := func(hour, minute int) { // in UTC, on 25 November
		then := time.Date(2026, 11, 25, hour, minute, 0, 0, time.UTC)
		now.Store(&then)
	}
	at(12, 0)
	n := newNightly(t.Context(), nightly{
		invoke: f.handle, zone: zone, clock: func() time.Time { return *now.Load() }, ready: func() error { return nil }, log: slog.New(slog.DiscardHandler),
	})
	ticks, ended := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(ended)
		n.keep(t.Context(), ticks)
	}()
	for i := range 4 { // it fails, waits, has no time, is done
		if i > 0 {
			ticks <- time.Time{}
		}
		<-f.at
	}
	for range 3 {
		ticks <- time.Time{} // nothing is left to do
	}
	at(29, 1) // 00:01 of 26 November in Toronto
	ticks <- time.Time{}
	<-f.at
	ticks <- time.Time{}
	n.close()
	<-ended
	d := loyalty.DateOf(2026, 11, 24)
	if want := []loyalty.Date{d, d, d, d, d + 1}; !slices.Equal(f.days, want) {
		t.Errorf("it was invoked for %v, want %v", f.days, want)
	}
}

// One invocation runs at a time; who stops the system waits for it, and ends it.
func TestOneNightlyRunAtATime(t *testing.T) {
	defer goleak.VerifyNone(t)
	var running, most, runs atomic.Int32
	begun, goOn := make(chan struct{}, 10), make(chan struct{})
	full := error(nil)
	n := newNightly(t.Context(), nightly{
		invoke: func(ctx context.Context, _ emailer.Event) (emailer.Result, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			runs.Add(1)
			if end, ok := ctx.Deadline(); !ok || time.Until(end) > nightlyTimeout {
				t.Error("it may run without an end")
			}
			begun <- struct{}{}
			select {
			case <-goOn:
				return emailer.Result{State: emailer.Done}, nil
			case <-ctx.Done():
				return emailer.Result{}, ctx.Err()
			}
		},
		ready: func() error { return full }, clock: time.Now, zone: time.UTC, log: slog.New(slog.DiscardHandler),
	})
	var asked sync.WaitGroup
	ask := func(ctx context.Context, want error) {
		asked.Go(func() {
			if r, err := n.run(ctx, emailer.Event{}); !errors.Is(err, want) || err == nil && r.State != emailer.Done {
				t.Errorf("%+v %v, want %v", r, err, want)
			}
		})
	}
	ask(t.Context(), nil)
	<-begun
	ask(t.Context(), nil)
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := n.run(gone, emailer.Event{}); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait any more: %v", err)
	}
	goOn <- struct{}{}
	<-begun
	goOn <- struct{}{}
	asked.Wait()
	full = errors.New("the disk is full")
	if _, err := n.run(t.Context(), emailer.Event{}); !errors.Is(err, full) {
		t.Error(err)
	}
	full = nil
	ask(t.Context(), context.Canceled)
	<-begun
	n.close()
	asked.Wait()
	if _, err := n.run(t.Context(), emailer.Event{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
	if most.Load() != 1 || runs.Load() != 3 {
		t.Errorf("%d ran at once, %d in all", most.Load(), runs.Load())
	}
}
