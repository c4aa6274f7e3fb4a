package cassandra

import (
	"context"
	"fmt"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
)

// fetchRows is how many rows come at once while a filter picks among them.
const fetchRows = 500

// span is a part of a card's rows: the conditions behind its card, and their values.
type span struct {
	where string
	args  []any
}

// spans are what a query reads, one behind the other. Dates stand downwards and ids upwards, so
// what is behind a row are the later ids of its date, and then the earlier dates.
func spans(q informer.Query) ([]span, error) {
	var (
		all  []span
		rest span
	)
	and := func(s *span, condition string, arg any) {
		s.where += " AND " + condition
		s.args = append(s.args, arg)
	}
	if q.From != 0 {
		and(&rest, "transaction_date >= ?", rewarddb.Date(q.From))
	}
	switch {
	case q.After != "":
		k, err := informer.ParseCursor(q)
		if err != nil {
			return nil, err
		}
		var date span
		and(&date, "transaction_date = ?", rewarddb.Date(k.Date))
		and(&date, "id > ?", rewarddb.ID(k.ID))
		all = append(all, date)
		and(&rest, "transaction_date < ?", rewarddb.Date(k.Date))
	case q.To != 0:
		and(&rest, "transaction_date <= ?", rewarddb.Date(q.To))
	}
	return append(all, rest), nil
}

// Rewards implements informer.Store.
func (s *Store) Rewards(ctx context.Context, q informer.Query) (informer.Page, error) {
	if err := ctx.Err(); err != nil {
		return informer.Page{}, err
	}
	if q.Limit < 1 {
		return informer.Page{}, fmt.Errorf("a page of %d rows", q.Limit)
	}
	parts, err := spans(q)
	if err != nil {
		return informer.Page{}, err
	}
	var page informer.Page
	err = rewarddb.Retry(ctx, func() (err error) {
		page, err = s.page(ctx, q, parts)
		return err
	})
	return page, rewarddb.Wrap("reading the reward store", err)
}

// page reads one row more than are asked for, to know whether there is a next page; with a filter
// it reads MaxScan and then leaves it to the next page to find out.
func (s *Store) page(ctx context.Context, q informer.Query, parts []span) (page informer.Page, err error) {
	left, fetch := q.Limit+1, q.Limit+1
	if q.Filtered() {
		left, fetch = informer.MaxScan, fetchRows
	}
	var (
		match = q.Match()
		last  loyalty.Key
	)
	for _, part := range parts {
		args := append([]any{rewarddb.UUID(q.Card)}, part.args...)
		rows := s.session.Query(s.card+part.where+" LIMIT ?", append(args, left)...).PageSize(fetch).IterContext(ctx)
		var (
			cells rewarddb.Values
			dest  = cells.Pointers()
		)
		for rows.Scan(dest...) {
			if len(page.Rows) == q.Limit {
				page.Next = informer.FormatCursor(q, last)
				return page, rows.Close()
			}
			s.rowsRead.Add(1)
			left--
			row, err := cells.Row()
			if err != nil {
				_ = rows.Close() // what is wrong is known
				return informer.Page{}, err
			}
			last = row.Key()
			if match(&row) {
				page.Rows = append(page.Rows, row)
			}
		}
		if err := rows.Close(); err != nil {
			return informer.Page{}, err
		}
		if left == 0 {
			page.Next = informer.FormatCursor(q, last)
			return page, nil
		}
	}
	return page, nil
}
