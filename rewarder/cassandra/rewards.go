package cassandra

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	"github.com/angelowl-loyalties/app/rewarder"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"golang.org/x/sync/errgroup"
)

const (
	// MaxRow is the most bytes that a row may have as it is stored, well below what Cassandra
	// takes as it comes (max_mutation_size, 16 MiB).
	MaxRow = 1 << 20

	// A batch has rows of one partition, so it is one mutation of one set of replicas: no batch
	// log, no coordinator that waits for many, and batch_size_fail_threshold does not count it.
	maxBatchRows  = 32
	maxBatchBytes = 128 << 10

	// Entries of the index are a quarter of a row's size.
	maxBatchEntries = 64

	// maxOffset and maxIncarnation are what a write time holds.
	maxOffset      = 1<<48 - 2
	maxIncarnation = 1<<15 - 1
)

func validPosition(p loyalty.Position) bool {
	return p.Incarnation >= 1 && p.Incarnation <= maxIncarnation && p.Offset >= 0 && p.Offset <= maxOffset && p.Partition >= 0
}

// insert is the statement that writes all of a table's columns at a write time.
func insert(table string, columns []string) string {
	return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (" +
		strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ") + ") USING TIMESTAMP ?"
}

// stored is a row with what is sent of it.
type stored struct {
	row   *loyalty.Row
	day   loyalty.Date
	size  int
	cells rewarddb.Values
	entry rewarddb.EntryValues
	at    int64 // the write time
}

func (r *stored) rowArgs() []any   { return append(r.cells.Pointers(), &r.at) }
func (r *stored) entryArgs() []any { return append(r.entry.Pointers(), &r.at) }

// PutRewards implements rewarder.Store. Where several rows can never be stored the error joins a
// *RowError for each.
func (s *Store) PutRewards(ctx context.Context, rows []loyalty.Row) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	good, refused := s.prepare(rows)
	var mu sync.Mutex // guards refused
	g, ctx := errgroup.WithContext(ctx)
	send := func(statement string, batch []*stored, args func(*stored) []any) bool {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		g.Go(func() error {
			defer func() { <-s.slots }()
			bad, err := s.write(ctx, statement, batch, args)
			if len(bad) > 0 {
				mu.Lock()
				defer mu.Unlock()
				refused = append(refused, bad...)
			}
			return err
		})
		return true
	}

	// The index may have entries of rows that are not there; so both are written at once.
	slices.SortFunc(good, func(a, b *stored) int { return bytes.Compare(a.row.CardID[:], b.row.CardID[:]) })
	for batch := range batches(good, maxBatchRows, func(a, b *stored) bool { return a.row.CardID == b.row.CardID }) {
		if !send(s.insert, batch, (*stored).rowArgs) {
			break
		}
	}
	entries := slices.Clone(good)
	bucket := func(r *stored) int { return int(r.entry[1][1]) } // of a number of 2 bytes, the lower
	slices.SortFunc(entries, func(a, b *stored) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(bucket(a), bucket(b)))
	})
	for batch := range batches(entries, maxBatchEntries, func(a, b *stored) bool { return a.day == b.day && bucket(a) == bucket(b) }) {
		if !send(s.index, batch, (*stored).entryArgs) {
			break
		}
	}
	if err := g.Wait(); err != nil {
		return rewarddb.Wrap("writing to the reward store", err)
	}
	return errors.Join(refused...)
}

// prepare makes what is sent, and sets aside what can never be stored.
func (s *Store) prepare(rows []loyalty.Row) (good []*stored, refused []error) {
	all := make([]stored, len(rows))
	good = make([]*stored, 0, len(rows))
	for i := range rows {
		r, st := &rows[i], &all[i]
		refuse := func(format string, args ...any) {
			refused = append(refused, &rewarder.RowError{Position: r.Position, Reason: fmt.Sprintf(format, args...)})
		}
		if !validPosition(r.Position) {
			refuse("there is no such place in a log")
			continue
		}
		if err := st.cells.Set(r); err != nil {
			refuse("%s", err)
			continue
		}
		if st.size = st.cells.Size(); st.size > MaxRow {
			refuse("it has %d bytes, and %d is the most", st.size, MaxRow)
			continue
		}
		st.row, st.day, st.at = r, s.day(r.CreatedAt), r.Position.WriteTime()
		st.entry.Set(st.day, r)
		good = append(good, st)
	}
	return good, refused
}

// day is the bank's day of a time.
func (s *Store) day(t time.Time) loyalty.Date {
	return loyalty.DateOf(t.In(s.zone).Date())
}

// batches cuts rows into those of one partition that stand together, of so many rows and of
// maxBatchBytes at most.
func batches(rows []*stored, most int, together func(a, b *stored) bool) func(yield func([]*stored) bool) {
	return func(yield func([]*stored) bool) {
		for len(rows) > 0 {
			n, size := 1, rows[0].size
			for n < len(rows) && n < most && size+rows[n].size <= maxBatchBytes && together(rows[0], rows[n]) {
				size += rows[n].size
				n++
			}
			if !yield(rows[:n]) {
				return
			}
			rows = rows[n:]
		}
	}
}

// write sends rows of one partition. Those that Cassandra refuses for their size, where the bank
// has set its limits below ours, are found one by one.
func (s *Store) write(ctx context.Context, statement string, batch []*stored, args func(*stored) []any) (refused []error, err error) {
	err = rewarddb.Retry(ctx, func() error {
		if len(batch) == 1 {
			return s.session.Query(statement, args(batch[0])...).ExecContext(ctx)
		}
		b := s.session.Batch(gocql.UnloggedBatch)
		b.Entries = make([]gocql.BatchEntry, 0, len(batch))
		for _, r := range batch {
			b.Entries = append(b.Entries, gocql.BatchEntry{Stmt: statement, Args: args(r), Idempotent: true})
		}
		return b.ExecContext(ctx)
	})
	switch {
	case err == nil || !rewarddb.TooLarge(err):
		return nil, err
	case len(batch) == 1:
		return []error{&rewarder.RowError{Position: batch[0].row.Position, Reason: "Cassandra refuses its size: " + err.Error()}}, nil
	}
	for i := range batch {
		bad, err := s.write(ctx, statement, batch[i:i+1], args)
		if err != nil {
			return nil, err
		}
		refused = append(refused, bad...)
	}
	return refused, nil
}
