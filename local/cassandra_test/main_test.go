//go:build unix

// Package cassandra_test holds the reward store's adapters to their contracts on a real Cassandra.
package cassandra_test

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	reader "github.com/angelowl-loyalties/app/informer/cassandra"
	informertest "github.com/angelowl-loyalties/app/informer/storetest"
	"github.com/angelowl-loyalties/app/local/engines/enginestest"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	writer "github.com/angelowl-loyalties/app/rewarder/cassandra"
	rewardertest "github.com/angelowl-loyalties/app/rewarder/storetest"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/google/uuid"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(enginestest.Main(m)) }

// config is of a keyspace of the test's own, empty.
func config(t testing.TB) rewarddb.Config {
	t.Helper()
	addr, keyspace := enginestest.Keyspace(t)
	return configOf(t, addr, keyspace)
}

func configOf(t testing.TB, addr, keyspace string) rewarddb.Config {
	t.Helper()
	cfg := rewarddb.Config{Keyspace: keyspace, Timeout: 20 * time.Second} // the machine may be busy
	for host := range strings.SplitSeq(addr, ",") {
		name, port, err := net.SplitHostPort(host)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Hosts = append(cfg.Hosts, name)
		if cfg.Port, err = strconv.Atoi(port); err != nil { // nodes share their port
			t.Fatal(err)
		}
	}
	return cfg
}

// store is both services' on one keyspace.
type store struct {
	*writer.Store
	reader *reader.Store
}

func open(t testing.TB, cfg rewarddb.Config, zone *time.Location) store {
	t.Helper()
	w := openWriter(t, cfg, writer.Options{Zone: zone})
	r, err := reader.Open(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return store{w, r}
}

func openWriter(t testing.TB, cfg rewarddb.Config, o writer.Options) *writer.Store {
	t.Helper()
	w, err := writer.Open(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// session is for what the services do not do.
func session(t testing.TB, cfg rewarddb.Config) *gocql.Session {
	t.Helper()
	cfg.Timeout = time.Minute
	s, err := rewarddb.Open(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func do(t testing.TB, s *gocql.Session, statement string, args ...any) {
	t.Helper()
	if err := s.Query(statement, args...).Exec(); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func (s store) Rewards(ctx context.Context, q informer.Query) (informer.Page, error) {
	return s.reader.Rewards(ctx, q)
}

func (s store) Day(ctx context.Context, q informer.DayQuery) (informer.Page, error) {
	return s.reader.Day(ctx, q)
}

func (s store) RowsRead() int64 { return s.reader.RowsRead() }

// Rows shows every row of a card.
func (s store) Rows(ctx context.Context, card uuid.UUID) (rows []loyalty.Row, err error) {
	q := informer.Query{Card: card, Limit: 1000}
	for {
		page, err := s.Rewards(ctx, q)
		if err != nil {
			return nil, err
		}
		rows = append(rows, page.Rows...)
		if q.After = page.Next; page.Next == "" {
			return rows, nil
		}
	}
}

// TestStore runs what leaves a store as it was on one, since making the tables takes seconds.
func TestStore(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Singapore")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t)
	s := open(t, cfg, zone)
	t.Run("the rewarder's contract", func(t *testing.T) {
		rewardertest.Run(t, func(*testing.T) rewardertest.Store { return s })
	})
	t.Run("informer's contract", func(t *testing.T) {
		informertest.Run(t, func(_ *testing.T, asked *time.Location) informertest.Store {
			if asked.String() != zone.String() {
				t.Fatalf("the suite's bank is in %s", asked)
			}
			return s
		})
	})
	t.Run("as an analyst reads it", func(t *testing.T) { columns(t, cfg, s) })
	t.Run("as the reconciler of uploads reads it", func(t *testing.T) { reconciled(t, cfg, s) })
	t.Run("rows of other releases", func(t *testing.T) { formats(t, cfg, s) })
	t.Run("answers are lost", func(t *testing.T) { lostAnswers(t, cfg, zone) })
	t.Run("an outage", func(t *testing.T) { outage(t, cfg, zone) })
	t.Run("closed", func(t *testing.T) { closed(t, cfg, zone) })
}

// lines is a log that tests read.
type lines struct{ said chan string }

func newLines() lines { return lines{make(chan string, 1000)} }

func (l lines) Enabled(context.Context, slog.Level) bool { return true }
func (l lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l lines) WithGroup(string) slog.Handler            { return l }
func (l lines) Handle(_ context.Context, r slog.Record) error {
	select {
	case l.said <- r.Message:
	default:
	}
	return nil
}

// count is how often a message was said so far.
func (l lines) count(message string) (n int) {
	for {
		select {
		case m := <-l.said:
			if m == message {
				n++
			}
		default:
			return n
		}
	}
}
