//go:build unix

package cassandra_test

import (
	"context"
	"errors"
	"net"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	"github.com/angelowl-loyalties/app/loyalty/rules"
	"github.com/angelowl-loyalties/app/rewarder"
	rewardertest "github.com/angelowl-loyalties/app/rewarder/storetest"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/google/uuid"
)

// wire is the way to Cassandra, on which answers are lost: a request has gone out and was carried
// out, and its answer came as far as here.
type wire struct {
	lose atomic.Int64 // so many answers
	lost atomic.Int64
	hang bool        // a lost answer leaves the connection silent, else it is cut
	cut  atomic.Bool // nothing passes, and nobody connects
}

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if w.cut.Load() {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &wired{Conn: c, w: w}, nil
}

type wired struct {
	net.Conn
	w     *wire
	asked atomic.Bool // since answers are to be lost
}

func (c *wired) Write(b []byte) (int, error) {
	if c.w.cut.Load() {
		return 0, errors.Join(net.ErrClosed, c.Close())
	}
	if c.w.lose.Load() > 0 {
		c.asked.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *wired) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.asked.Load() || c.w.lose.Add(-1) < 0 {
			return n, err
		}
		c.asked.Store(false)
		c.w.lost.Add(1)
		if !c.w.hang {
			return 0, errors.Join(net.ErrClosed, c.Close())
		}
	}
}

// lostAnswers does what did succeed again, as who does not know that.
func lostAnswers(t *testing.T, cfg rewarddb.Config, zone *time.Location) {
	for i, name := range []string{"the connection is cut", "nobody answers"} {
		t.Run(name, func(t *testing.T) {
			w := &wire{hang: i == 1}
			cfg := cfg
			cfg.Dial, cfg.Timeout = w.dial, 500*time.Millisecond
			s := open(t, cfg, zone)
			incarnation := int64(100 + i)
			day := time.Date(2031, 1, 1+i, 12, 0, 0, 0, time.UTC)
			part := rules.Part{Hash: loyalty.HashOf([]byte("part")), Data: []byte("part")}
			first := record.Marker{Hash: part.Hash, Epoch: 1, Revision: 1}
			at := loyalty.Position{Incarnation: incarnation, Partition: 2, Offset: 3}
			after := loyalty.Position{Incarnation: incarnation, Partition: 2, Offset: 4}
			rows := []loyalty.Row{rewardertest.Row(uuid.New(), 1, at), rewardertest.Row(uuid.New(), 2, after)}
			rows[0].CreatedAt, rows[1].CreatedAt = day, day
			call := func(name string, f func() error) {
				t.Helper()
				w.lost.Store(0)
				w.lose.Store(1)
				err := f()
				for rewarddb.Passing(err) { // the caller tries again
					err = f()
				}
				w.lose.Store(0)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if w.lost.Load() == 0 {
					t.Errorf("%s: no answer was lost", name)
				}
			}
			before, err := s.OpenTopic(t.Context(), "before: "+name, "id", 1)
			if err != nil {
				t.Fatal(err)
			}
			call("OpenTopic", func() error {
				n, err := s.OpenTopic(t.Context(), "after: "+name, "id", 1)
				if err == nil && n != before+1 {
					t.Errorf("the topic after incarnation %d has %d", before, n)
				}
				return err
			})
			call("FixFirst", func() error {
				m, err := s.FixFirst(t.Context(), incarnation, 2, first)
				if err == nil && m != first {
					t.Errorf("the first marker became %+v", m)
				}
				return err
			})
			call("PutParts", func() error { return s.PutParts(t.Context(), []rules.Part{part}) })
			call("PutMarker", func() error { return s.PutMarker(t.Context(), at, first) })
			call("MarkerBefore", func() error {
				m, offset, err := s.MarkerBefore(t.Context(), after)
				if err == nil && (m != first || offset != 3) {
					t.Errorf("the marker is %+v at %d", m, offset)
				}
				return err
			})
			call("PutRewards", func() error { return s.PutRewards(t.Context(), rows) })
			call("Rewards", func() error {
				page, err := s.Rewards(t.Context(), informer.Query{Card: rows[0].CardID, Limit: 10})
				if err == nil && !reflect.DeepEqual(page.Rows, rows[:1]) {
					t.Errorf("the card has %+v", page.Rows)
				}
				return err
			})
			call("Day", func() error {
				page, err := s.Day(t.Context(), informer.DayQuery{Day: loyalty.DateOf(day.Date()), Limit: 10})
				if err == nil && len(page.Rows) != 2 {
					t.Errorf("the day has %d rows", len(page.Rows))
				}
				return err
			})
			call("Erase", func() error { return s.Erase(t.Context(), rows[0].CardID) })
			if left, err := s.Rows(t.Context(), rows[0].CardID); err != nil || len(left) > 0 {
				t.Errorf("the erased card has %d rows, %v", len(left), err)
			}
		})
	}
}

// outage cuts all connections: an error of the system, and all is well when they are back.
func outage(t *testing.T, cfg rewarddb.Config, zone *time.Location) {
	w := &wire{}
	cfg.Dial, cfg.Timeout = w.dial, 5*time.Second
	s := open(t, cfg, zone)
	row := rewardertest.Row(uuid.New(), 1, loyalty.Position{Incarnation: 1, Offset: 1})
	w.cut.Store(true)
	if err := s.PutRewards(t.Context(), []loyalty.Row{row}); err == nil || errors.Is(err, rewarder.ErrRow) {
		t.Errorf("PutRewards in an outage: %v", err)
	}
	if _, err := s.Part(t.Context(), loyalty.HashOf(nil)); err == nil || errors.Is(err, rewarder.ErrNotFound) {
		t.Errorf("Part in an outage: %v", err)
	}
	if _, err := s.Rewards(t.Context(), informer.Query{Card: row.CardID, Limit: 1}); err == nil {
		t.Error("Rewards answered in an outage")
	}
	w.cut.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	for s.PutRewards(ctx, []loyalty.Row{row}) != nil {
		select {
		case <-ctx.Done():
			t.Fatal("it does not find back to the store")
		case <-every.C:
		}
	}
	for {
		rows, err := s.Rows(ctx, row.CardID)
		if err == nil {
			if !reflect.DeepEqual(rows, []loyalty.Row{row}) {
				t.Errorf("the card has %+v", rows)
			}
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("it does not find back to the store")
		case <-every.C:
		}
	}
}

// closed calls a store that is.
func closed(t *testing.T, cfg rewarddb.Config, zone *time.Location) {
	s := open(t, cfg, zone)
	s.Close()
	s.reader.Close()
	row := rewardertest.Row(uuid.New(), 1, loyalty.Position{Incarnation: 1})
	if err := s.PutRewards(t.Context(), []loyalty.Row{row}); !errors.Is(err, gocql.ErrSessionClosed) {
		t.Errorf("PutRewards: %v", err)
	}
	if _, err := s.Rows(t.Context(), row.CardID); !errors.Is(err, gocql.ErrSessionClosed) {
		t.Errorf("Rewards: %v", err)
	}
}
