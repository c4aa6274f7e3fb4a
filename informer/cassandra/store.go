// Package cassandra is the reward store as informer reads it, in Apache Cassandra. The schema and
// what writes it are in the rewarder's package of this name.
package cassandra

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

var _ informer.Store = (*Store)(nil)

// Store is the reward store. It is safe for concurrent use.
type Store struct {
	session *gocql.Session
	card    string // the columns of rewards of a card; conditions follow
	entries string // of a bucket of a day

	rowsRead atomic.Int64
}

// Open connects to the store. Where the schema is not there, or is that of an earlier release, the
// error is rewarddb.ErrSchema: the rewarder makes it. log takes what the driver says; nil: nothing
// does.
func Open(ctx context.Context, cfg rewarddb.Config, log *slog.Logger) (*Store, error) {
	session, err := rewarddb.Open(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	if _, err := rewarddb.Check(ctx, session); err != nil {
		session.Close()
		return nil, err
	}
	return &Store{
		session: session,
		card:    "SELECT " + strings.Join(rewarddb.Columns[:], ", ") + " FROM " + cfg.Rewards() + " WHERE card_id = ?",
		entries: "SELECT " + strings.Join(rewarddb.EntryColumns[:], ", ") + " FROM " + cfg.ByDay() + " WHERE day = ? AND bucket = ?",
	}, nil
}

// Close ends the connections. Every later call is an error.
func (s *Store) Close() { s.session.Close() }

// RowsRead counts the rewards and the entries of the index that reads have had from Cassandra, for
// tests that hold a page's cost.
func (s *Store) RowsRead() int64 { return s.rowsRead.Load() }
