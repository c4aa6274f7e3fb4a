package cassandra

import (
	"context"
	"errors"
	"fmt"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"golang.org/x/sync/errgroup"
)

const (
	// lookups is how many rewards are read at once for a day's page.
	lookups = 32

	// spare is how many entries a bucket is asked for beyond its share of a page.
	spare = 8
)

// bucket is a day's entries of one partition, in the order of their keys, read as they are needed.
type bucket struct {
	number  int16
	after   *loyalty.Key // the last one read
	entries []rewarddb.Entry
	whole   bool // there are no more behind entries
}

// day merges the buckets.
type day struct {
	store   *Store
	date    loyalty.Date
	buckets [rewarddb.Buckets]bucket
}

// Day implements informer.Store.
func (s *Store) Day(ctx context.Context, q informer.DayQuery) (informer.Page, error) {
	if err := ctx.Err(); err != nil {
		return informer.Page{}, err
	}
	if q.Limit < 1 {
		return informer.Page{}, fmt.Errorf("a page of %d rows", q.Limit)
	}
	d := day{store: s, date: q.Day}
	for i := range d.buckets {
		d.buckets[i].number = int16(i)
	}
	if q.After != "" {
		k, err := informer.ParseDayCursor(q)
		if err != nil {
			return informer.Page{}, err
		}
		for i := range d.buckets {
			d.buckets[i].after = &k
		}
	}
	page, err := d.page(ctx, q)
	return page, rewarddb.Wrap("reading the reward store", err)
}

func (d *day) page(ctx context.Context, q informer.DayQuery) (page informer.Page, err error) {
	var (
		last loyalty.Key
		read = 0 // entries that do not count
	)
	for {
		want := min(q.Limit-len(page.Rows), informer.MaxScan-read)
		if want == 0 {
			more, err := d.next(ctx, 1)
			if len(more) > 0 {
				page.Next = informer.FormatDayCursor(q, last)
			}
			return page, err
		}
		entries, err := d.next(ctx, want)
		if err != nil || len(entries) == 0 {
			return page, err
		}
		rows, err := d.store.rows(ctx, entries)
		if err != nil {
			return informer.Page{}, err
		}
		for _, row := range rows {
			if row != nil {
				page.Rows = append(page.Rows, *row)
			} else {
				read++
			}
		}
		last = entries[len(entries)-1].Key
	}
}

// next takes the next entries off the buckets, as many as are wanted if there are.
func (d *day) next(ctx context.Context, want int) (out []rewarddb.Entry, err error) {
	for len(out) < want {
		if err := d.fill(ctx, (want-len(out))/len(d.buckets)+spare); err != nil {
			return nil, err
		}
		var first *bucket
		for i := range d.buckets {
			if b := &d.buckets[i]; len(b.entries) > 0 && (first == nil || before(b.entries[0].Key, first.entries[0].Key)) {
				first = b
			}
		}
		if first == nil {
			return out, nil
		}
		out = append(out, first.entries[0])
		first.entries = first.entries[1:]
	}
	return out, nil
}

// before says whether a stands before b in the index.
func before(a, b loyalty.Key) bool {
	if a.CardID != b.CardID {
		return string(a.CardID[:]) < string(b.CardID[:])
	}
	if a.Date != b.Date {
		return a.Date < b.Date
	}
	return string(a.ID[:]) < string(b.ID[:])
}

// fill reads on in the buckets that have come to their end but are not whole.
func (d *day) fill(ctx context.Context, n int) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range d.buckets {
		if b := &d.buckets[i]; len(b.entries) == 0 && !b.whole {
			g.Go(func() error {
				return rewarddb.Retry(ctx, func() error { return d.read(ctx, b, n) })
			})
		}
	}
	return g.Wait()
}

func (d *day) read(ctx context.Context, b *bucket, n int) error {
	statement, args := d.store.entries, []any{rewarddb.Date(d.date), b.number}
	if b.after != nil {
		statement += " AND (card_id, transaction_date, id) > (?, ?, ?)"
		args = append(args, rewarddb.ID(b.after.CardID), rewarddb.Date(b.after.Date), rewarddb.ID(b.after.ID))
	}
	rows := d.store.session.Query(statement+" LIMIT ?", append(args, n)...).PageSize(n + 1).IterContext(ctx)
	var (
		entries []rewarddb.Entry
		cells   rewarddb.EntryValues
		dest    = cells.Pointers()
	)
	for rows.Scan(dest...) {
		e, err := cells.Entry()
		if err != nil {
			_ = rows.Close() // what is wrong is known
			return err
		}
		entries = append(entries, e)
	}
	if err := rows.Close(); err != nil {
		return err
	}
	d.store.rowsRead.Add(int64(len(entries)))
	b.entries, b.whole = entries, len(entries) < n
	if !b.whole {
		b.after = &entries[len(entries)-1].Key
	}
	return nil
}

// rows reads the rewards that entries point to, nil for those that do not count.
func (s *Store) rows(ctx context.Context, entries []rewarddb.Entry) ([]*loyalty.Row, error) {
	out := make([]*loyalty.Row, len(entries))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for i, e := range entries {
		g.Go(func() error {
			row, err := s.row(ctx, e.Key)
			if err == nil && row != nil && row.Position == e.Position {
				out[i] = row
			}
			return err
		})
	}
	return out, g.Wait()
}

// row returns the reward of a key, nil where there is none.
func (s *Store) row(ctx context.Context, k loyalty.Key) (row *loyalty.Row, err error) {
	err = rewarddb.Retry(ctx, func() error {
		var cells rewarddb.Values
		err := s.session.Query(s.card+" AND transaction_date = ? AND id = ?", rewarddb.UUID(k.CardID), rewarddb.Date(k.Date), rewarddb.ID(k.ID)).
			ScanContext(ctx, cells.Pointers()...)
		if errors.Is(err, gocql.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		r, err := cells.Row()
		row = &r
		return err
	})
	return row, err
}
