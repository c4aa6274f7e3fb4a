// Package cassandra is the reward store as the reconciler of uploads reads it, in Apache Cassandra.
package cassandra

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
)

var _ ingestor.RewardStore = (*Store)(nil)

// Store is the reward store. It is safe for concurrent use.
type Store struct {
	session *gocql.Session
	one     string
}

// Open connects to the store.
func Open(ctx context.Context, cfg rewarddb.Config, log *slog.Logger) (*Store, error) {
	session, err := rewarddb.Open(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	if _, err := rewarddb.Check(ctx, session); err != nil {
		session.Close()
		return nil, err
	}
	return &Store{session, "SELECT " + strings.Join(rewarddb.Columns[:], ", ") + " FROM " + cfg.Rewards() +
		" WHERE card_id = ? AND transaction_date = ? AND id = ?"}, nil
}

// Close ends the connections.
func (s *Store) Close() { s.session.Close() }

// Reward implements ingestor.RewardStore.
func (s *Store) Reward(ctx context.Context, k loyalty.Key) (row loyalty.Row, found bool, err error) {
	err = rewarddb.Retry(ctx, func() error {
		var cells rewarddb.Values
		err := s.session.Query(s.one, rewarddb.UUID(k.CardID), rewarddb.Date(k.Date), rewarddb.ID(k.ID)).ScanContext(ctx, cells.Pointers()...)
		if errors.Is(err, gocql.ErrNotFound) {
			found = false
			return nil
		}
		if err != nil {
			return err
		}
		row, err = cells.Row()
		found = err == nil
		return err
	})
	return row, found, rewarddb.Wrap("reading the reward store", err)
}
