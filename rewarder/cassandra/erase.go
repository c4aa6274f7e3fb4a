package cassandra

import (
	"context"
	"slices"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// erasePage is how many keys of a card are read at once.
const erasePage = 1000

// Erase erases the rows of a card that are there, for good: the log may bring them again in any
// order and they stay erased. A record of the card that has not been in the store before is
// stored as ever, so who is to be forgotten is erased again once the log has been read to its
// end. (Each row gets a tombstone: a plain DELETE of the whole card would hide what it earns
// later, until the day when that tombstone goes.)
func (s *Store) Erase(ctx context.Context, card uuid.UUID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var (
		on, id  rewarddb.Cell
		created time.Time
		rows    [][]any
		days    = map[loyalty.Date][][]any{}
	)
	err := rewarddb.Retry(ctx, func() error {
		rows = nil
		clear(days)
		iter := s.session.Query(s.keys, rewarddb.UUID(card)).PageSize(erasePage).IterContext(ctx)
		for iter.Scan(&on, &id, &created) {
			on, id := slices.Clone(on), slices.Clone(id)
			day := s.day(created)
			rows = append(rows, []any{rewarddb.UUID(card), &on, &id})
			days[day] = append(days[day], []any{rewarddb.Date(day), rewarddb.Bucket(card), rewarddb.ID(card), &on, &id})
		}
		return iter.Close()
	})
	if err != nil {
		return rewarddb.Wrap("reading the reward store", err)
	}
	// The index first: whoever has to begin again finds it by the rows.
	for _, entries := range days {
		if err := s.remove(ctx, s.deleteEntry, entries); err != nil {
			return rewarddb.Wrap("erasing from the reward store", err)
		}
	}
	return rewarddb.Wrap("erasing from the reward store", s.remove(ctx, s.deleteReward, rows))
}

// remove deletes rows of one partition.
func (s *Store) remove(ctx context.Context, statement string, keys [][]any) error {
	g, ctx := errgroup.WithContext(ctx)
	for part := range slices.Chunk(keys, maxBatchEntries) {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return g.Wait()
		}
		g.Go(func() error {
			defer func() { <-s.slots }()
			return rewarddb.Retry(ctx, func() error {
				b := s.session.Batch(gocql.UnloggedBatch)
				for _, args := range part {
					b.Entries = append(b.Entries, gocql.BatchEntry{Stmt: statement, Args: args, Idempotent: true})
				}
				return b.ExecContext(ctx)
			})
		})
	}
	return g.Wait()
}
