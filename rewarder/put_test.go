package rewarder

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
)

// fussy is a store of rows that refuses some of them, each call in the way that f says.
type fussy struct {
	Store
	refuses []int64 // offsets
	err     func(refused []*RowError) error
	stored  map[int64]bool
	outage  int // so many calls fail first
}

func (s *fussy) PutRewards(_ context.Context, rows []loyalty.Row) error {
	if s.outage > 0 {
		s.outage--
		return errors.New("no route to host")
	}
	var refused []*RowError
	for _, r := range rows {
		if slices.Contains(s.refuses, r.Position.Offset) {
			refused = append(refused, &RowError{Position: r.Position, Reason: "too large"})
		} else {
			s.stored[r.Position.Offset] = true
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return s.err(refused)
}

func TestPutSetsRowsAsideThatCannotBeStored(t *testing.T) {
	tests := []struct {
		name string
		err  func([]*RowError) error
	}{
		{"the store names the first", func(e []*RowError) error { return e[0] }},
		{"the store names all", func(e []*RowError) error {
			all := joined{}
			for _, one := range e {
				all = append(all, one)
			}
			return all
		}},
		{"the store names none", func([]*RowError) error { return ErrRow }},
		{"the store names another's", func([]*RowError) error { return &RowError{Position: loyalty.Position{Offset: 999}} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &fussy{refuses: []int64{3, 5}, err: tt.err, stored: map[int64]bool{}, outage: 3}
			cfg := Config{}
			cfg.setDefaults()
			cfg.RetryMin, cfg.RetryMax = time.Nanosecond, time.Nanosecond
			c := &claim{r: &rewarder{cfg: cfg, store: s}, state: &partition{}, over: t.Context(), work: t.Context(), log: slog.New(slog.DiscardHandler)}
			rows := make([]loyalty.Row, 8)
			for i := range rows {
				rows[i].Position.Offset = int64(i)
			}
			refused, err := c.put(rows)
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, e := range refused {
				got = append(got, e.Position.Offset)
			}
			if slices.Sort(got); !slices.Equal(got, s.refuses) {
				t.Errorf("refused %v, want %v", got, s.refuses)
			}
			if len(s.stored) != 6 {
				t.Errorf("%d rows are stored, want the 6 others", len(s.stored))
			}
			if c.state.paused != 0 || c.r.count.pauses.Load() != 1 {
				t.Errorf("%d writers still pause, %d pauses, want 0 and 1", c.state.paused, c.r.count.pauses.Load())
			}
		})
	}
}

func TestTryEndsWithTheClaim(t *testing.T) {
	cfg := Config{RetryMin: time.Hour, RetryMax: time.Hour}
	cfg.setDefaults()
	over, cancel := context.WithCancel(t.Context())
	c := &claim{r: &rewarder{cfg: cfg}, state: &partition{}, over: over, work: t.Context(), log: slog.New(slog.DiscardHandler)}
	calls := 0
	err := c.try("testing", func(context.Context) error {
		calls++
		cancel()
		return errors.New("unavailable")
	})
	if !errors.Is(err, errOver) || calls != 1 || c.state.paused != 0 {
		t.Errorf("try ended with %v after %d calls", err, calls)
	}
}

func TestConfig(t *testing.T) {
	good := Config{Brokers: []string{"b"}, Group: "g", Name: "n", Home: loyalty.MustCurrency("SGD")}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	tests := []struct {
		name   string
		change func(*Config)
	}{
		{"no broker", func(c *Config) { c.Brokers = nil }},
		{"no group", func(c *Config) { c.Group = "" }},
		{"no name", func(c *Config) { c.Name = "" }},
		{"no currency", func(c *Config) { c.Home = 0 }},
		{"rows below 0", func(c *Config) { c.BatchRows = -1 }},
		{"too many writes", func(c *Config) { c.BatchesInFlight = 1000 }},
		{"pauses that shrink", func(c *Config) { c.RetryMin = time.Hour }},
		{"a drain longer than the group waits", func(c *Config) { c.DrainTimeout = time.Minute }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			if c.Validate() == nil {
				t.Error("is valid")
			}
		})
	}
}
