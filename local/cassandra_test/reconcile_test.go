//go:build unix

package cassandra_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/angelowl-loyalties/app/ingestor/cassandra"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	rewardertest "github.com/angelowl-loyalties/app/rewarder/storetest"
)

// reconciled reads what the rewarder wrote as the reconciler of uploads does, row by row and many at once.
func reconciled(t *testing.T, cfg rewarddb.Config, s store) {
	r, err := cassandra.Open(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	is := func(k loyalty.Key, want *loyalty.Row) {
		t.Helper()
		got, found, err := r.Reward(t.Context(), k)
		if err != nil || found != (want != nil) || found && !reflect.DeepEqual(got, *want) {
			t.Errorf("found %t, %v:\n%+v\nwant\n%+v", found, err, got, want)
		}
	}

	// A card with many rows, and another.
	card, second := uuid.New(), uuid.New()
	var rows []loyalty.Row
	for i := range 600 {
		row := rewardertest.Row(card, i, loyalty.Position{Incarnation: 3, Partition: 2, Offset: int64(i)})
		switch i % 3 {
		case 1:
			row.Trace = loyalty.Trace{RuleSet: row.Trace.RuleSet, Outcome: loyalty.Excluded, Programme: "p", Exclusion: &loyalty.AppliedExclusion{Reason: loyalty.UnknownMCC}}
			row.MCC = 0
		case 2:
			row.Trace = loyalty.Trace{RuleSet: row.Trace.RuleSet, Outcome: loyalty.NoCampaign, Programme: "p"}
		}
		rows = append(rows, row)
	}
	lone := rewardertest.Row(second, 1, loyalty.Position{Incarnation: 3, Partition: 1, Offset: 9})
	if err := s.PutRewards(t.Context(), append(rows[:len(rows):len(rows)], lone)); err != nil {
		t.Fatal(err)
	}
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(32)
	for i := range rows {
		g.Go(func() error {
			got, found, err := r.Reward(ctx, rows[i].Key())
			if err == nil && (!found || !reflect.DeepEqual(got, rows[i])) {
				t.Errorf("row %d: found %t\n%+v\nwant\n%+v", i, found, got, rows[i])
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	is(lone.Key(), &lone)

	// What is not there: each part of the key counts.
	for name, change := range map[string]func(*loyalty.Key){
		"another card": func(k *loyalty.Key) { k.CardID = card },
		"another day":  func(k *loyalty.Key) { k.Date++ },
		"another id":   func(k *loyalty.Key) { k.ID = uuid.New() },
	} {
		t.Run(name, func(t *testing.T) {
			k := lone.Key()
			change(&k)
			is(k, nil)
		})
	}

	// Of two arrivals the first is there, whichever was written last; so a duplicate and a conflict are told
	// from the row itself by its position.
	later := lone
	later.Position.Offset, later.Amount, later.Merchant = 10, lone.Amount+1, "Another"
	if err := s.PutRewards(t.Context(), []loyalty.Row{later}); err != nil {
		t.Fatal(err)
	}
	is(lone.Key(), &lone)
	earlier := lone
	earlier.Position.Offset, earlier.Amount = 8, lone.Amount+2
	if err := s.PutRewards(t.Context(), []loyalty.Row{earlier}); err != nil {
		t.Fatal(err)
	}
	is(lone.Key(), &earlier)

	// A row that cannot be read is an error, and not one that is missing.
	raw := session(t, cfg)
	do(t, raw, "UPDATE rewards SET merchant = null WHERE card_id = ? AND transaction_date = ? AND id = ?", rewarddb.UUID(second), rewarddb.Date(lone.Date), rewarddb.ID(lone.ID))
	if _, found, err := r.Reward(t.Context(), lone.Key()); err == nil || found {
		t.Errorf("a damaged row: found %t, %v", found, err)
	}
	if err := s.Erase(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	is(lone.Key(), nil)

	// Without a schema, in an outage and when it is closed it is an error, too.
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, found, err := r.Reward(ended, rows[0].Key()); !errors.Is(err, context.Canceled) || found {
		t.Errorf("when the time is over: found %t, %v", found, err)
	}
	if closed, err := cassandra.Open(t.Context(), config(t), nil); err == nil {
		closed.Close()
		t.Error("it opens a keyspace without tables")
	}
	w := &wire{}
	broken := cfg
	broken.Dial, broken.Timeout = w.dial, 5*time.Second
	away, err := cassandra.Open(t.Context(), broken, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	w.cut.Store(true)
	if _, found, err := away.Reward(t.Context(), rows[0].Key()); err == nil || found {
		t.Errorf("in an outage: found %t, %v", found, err)
	}
	r.Close()
	if _, found, err := r.Reward(t.Context(), rows[0].Key()); !errors.Is(err, gocql.ErrSessionClosed) || found {
		t.Errorf("closed: found %t, %v", found, err)
	}
}
