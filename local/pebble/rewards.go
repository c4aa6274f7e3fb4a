package pebble

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/rewarder"
	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
)

// PutRewards implements rewarder.Store. Where several rows can never be stored the error joins a
// *RowError for each.
func (s *Store) PutRewards(ctx context.Context, rows []loyalty.Row) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	b := s.db.NewBatch()
	var (
		refused    []error
		key, value []byte
		stored     = make([]*loyalty.Row, 0, len(rows))
	)
	// In the order of the keys: the memtable then finds each place from the one before.
	order := make([]*loyalty.Row, len(rows))
	for i := range rows {
		order[i] = &rows[i]
	}
	slices.SortFunc(order, byKey)
	for _, r := range order {
		if !validPosition(r.Position) {
			refused = append(refused, &rewarder.RowError{Position: r.Position, Reason: "there is no such place in a log"})
			continue
		}
		value = appendRow(value[:0], r)
		if len(value) > MaxRow {
			refused = append(refused, &rewarder.RowError{Position: r.Position, Reason: fmt.Sprintf("it has %d bytes, and %d is the most", len(value), MaxRow)})
			continue
		}
		key = appendRewardKey(key[:0], r.Key())
		if err := b.Merge(key, value, nil); err != nil {
			return fmt.Errorf("writing to the reward store: %w", errors.Join(err, b.Close()))
		}
		stored = append(stored, r)
	}
	for _, r := range stored {
		key = appendDayKey(key[:0], s.day(r.CreatedAt), r.Key())
		value = appendHeader(value[:0], formatEntry, r.Position)
		value = binary.BigEndian.AppendUint32(value, uint32(r.Position.Partition))
		if err := b.Merge(key, value, nil); err != nil {
			return fmt.Errorf("writing to the reward store: %w", errors.Join(err, b.Close()))
		}
	}
	if err := s.commit(ctx, b); err != nil {
		return err
	}
	return errors.Join(refused...)
}

// byKey orders rows as their keys stand in the table of rewards.
func byKey(a, b *loyalty.Row) int {
	return cmp.Or(bytes.Compare(a.CardID[:], b.CardID[:]), cmp.Compare(b.Date, a.Date), bytes.Compare(a.ID[:], b.ID[:]))
}

// day is the bank's day of a time.
func (s *Store) day(t time.Time) loyalty.Date {
	return loyalty.DateOf(t.In(s.zone).Date())
}

// Rewards implements informer.Store.
func (s *Store) Rewards(ctx context.Context, q informer.Query) (informer.Page, error) {
	if err := s.enter(ctx); err != nil {
		return informer.Page{}, err
	}
	defer s.leave()
	if q.Limit < 1 {
		return informer.Page{}, fmt.Errorf("a page of %d rows", q.Limit)
	}
	lower, upper := appendCard(nil, q.Card), after(appendCard(nil, q.Card))
	if q.To != 0 {
		lower = appendCardDate(nil, q.Card, q.To)
	}
	if q.From != 0 {
		upper = after(appendCardDate(nil, q.Card, q.From))
	}
	if q.After != "" {
		k, err := informer.ParseCursor(q)
		if err != nil {
			return informer.Page{}, err
		}
		lower = append(appendRewardKey(nil, k), 0) // the first key behind it
	}
	var page informer.Page
	if string(lower) >= string(upper) {
		return page, nil
	}
	it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return page, fmt.Errorf("reading the reward store: %w", err)
	}
	defer it.Close()
	var (
		match = q.Match()
		last  loyalty.Key
		read  = 0 // rows that are not in the page
	)
	for ok := it.First(); ok; ok = it.Next() {
		if len(page.Rows) == q.Limit || read == informer.MaxScan {
			page.Next = informer.FormatCursor(q, last)
			break
		}
		s.rowsRead.Add(1)
		row, live, err := s.row(it)
		if err != nil {
			return informer.Page{}, err
		}
		last = row.Key()
		if live && match(&row) {
			page.Rows = append(page.Rows, row)
		}
		// A filter counts what it reads; without one only what was erased is passed over.
		if q.Filtered() || !live {
			read++
		}
	}
	if err := it.Error(); err != nil {
		return informer.Page{}, fmt.Errorf("reading the reward store: %w", err)
	}
	return page, nil
}

// row reads the reward at an iterator; of an erased one it is the key alone.
func (s *Store) row(it *pebble.Iterator) (row loyalty.Row, live bool, err error) {
	k, ok := parseRewardKey(it.Key())
	if !ok {
		return row, false, errDamaged
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return row, false, fmt.Errorf("reading the reward store: %w", err)
	}
	if len(value) == 1 && value[0] == formatErased {
		row.CardID, row.Date, row.ID = k.CardID, k.Date, k.ID
		return row, false, nil
	}
	row, err = decodeRow(k, value)
	return row, err == nil, err
}

// Day implements informer.Store.
func (s *Store) Day(ctx context.Context, q informer.DayQuery) (informer.Page, error) {
	if err := s.enter(ctx); err != nil {
		return informer.Page{}, err
	}
	defer s.leave()
	if q.Limit < 1 {
		return informer.Page{}, fmt.Errorf("a page of %d rows", q.Limit)
	}
	lower := appendDay(nil, q.Day)
	upper := after(lower)
	if q.After != "" {
		k, err := informer.ParseDayCursor(q)
		if err != nil {
			return informer.Page{}, err
		}
		lower = append(appendDayKey(nil, q.Day, k), 0)
	}
	var page informer.Page
	it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return page, fmt.Errorf("reading the reward store: %w", err)
	}
	defer it.Close()
	var (
		last loyalty.Key
		read = 0 // entries that do not count
		key  []byte
	)
	for ok := it.First(); ok; ok = it.Next() {
		if len(page.Rows) == q.Limit || read == informer.MaxScan {
			page.Next = informer.FormatDayCursor(q, last)
			break
		}
		s.rowsRead.Add(1)
		k, ok := parseDayKey(it.Key())
		if !ok {
			return informer.Page{}, errDamaged
		}
		last = k
		entry, err := it.ValueAndErr()
		if err != nil {
			return informer.Page{}, fmt.Errorf("reading the reward store: %w", err)
		}
		if entry[0] == formatErased {
			read++
			continue
		}
		if entry[0] != formatEntry {
			return informer.Page{}, unknown(entry[0])
		}
		if len(entry) != operandHeader+4 {
			return informer.Page{}, errDamaged
		}
		key = appendRewardKey(key[:0], k)
		value, err := s.get(key)
		if err != nil {
			if errors.Is(err, rewarder.ErrNotFound) {
				read++
				continue
			}
			return informer.Page{}, err
		}
		if value[0] == formatErased {
			read++
			continue
		}
		row, err := decodeRow(k, value)
		if err != nil {
			return informer.Page{}, err
		}
		if row.Position != position(entry, int32(binary.BigEndian.Uint32(entry[operandHeader:]))) {
			read++ // it arrived again
			continue
		}
		page.Rows = append(page.Rows, row)
	}
	if err := it.Error(); err != nil {
		return informer.Page{}, fmt.Errorf("reading the reward store: %w", err)
	}
	return page, nil
}

// eraseBatch is how many rows of a card are erased at once.
const eraseBatch = 1000

// Erase erases the rows of a card that are there, for good: the log may bring them again in any
// order and they stay erased, as after a plain DELETE in Cassandra. Their keys stay; what they
// said leaves the disk as the store compacts. A record of the card that has not been in the
// store before is stored as ever, so who is to be forgotten is erased again once the log has
// been read to its end.
func (s *Store) Erase(ctx context.Context, card uuid.UUID) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: appendCard(nil, card), UpperBound: after(appendCard(nil, card))})
	if err != nil {
		return fmt.Errorf("reading the reward store: %w", err)
	}
	defer it.Close()
	b := s.db.NewBatch()
	defer func() { _ = b.Close() }()
	var key []byte
	for ok := it.First(); ok; ok = it.Next() {
		row, live, err := s.row(it)
		if err != nil {
			return err
		}
		if !live {
			continue
		}
		if err := b.Merge(it.Key(), erased, nil); err != nil {
			return fmt.Errorf("writing to the reward store: %w", err)
		}
		key = appendDayKey(key[:0], s.day(row.CreatedAt), row.Key())
		if err := b.Merge(key, erased, nil); err != nil {
			return fmt.Errorf("writing to the reward store: %w", err)
		}
		if b.Count() >= 2*eraseBatch {
			full := b
			b = s.db.NewBatch()
			if err := s.commit(ctx, full); err != nil {
				return err
			}
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("reading the reward store: %w", err)
	}
	rest := b
	b = s.db.NewBatch()
	return s.commit(ctx, rest)
}

// Count is the number of rows.
func (s *Store) Count(ctx context.Context) (int64, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	return s.count(ctx, []byte{tableRewards})
}

// All calls f with every row as the store stood when All began, by card, date and id ascending,
// until f returns an error, which All returns. f may call the store. However many rows a card
// has, All holds one.
func (s *Store) All(ctx context.Context, f func(loyalty.Row) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: []byte{tableRewards}, UpperBound: []byte{tableRewards + 1}})
	if err != nil {
		return fmt.Errorf("reading the reward store: %w", err)
	}
	defer it.Close()
	// A card's keys stand newest first. So a card is read from its end, a date at a time, and
	// each date forward.
	for ok := it.First(); ok; {
		k, good := parseRewardKey(it.Key())
		if !good {
			return errDamaged
		}
		prefix := appendCard(nil, k.CardID)
		for at := it.SeekLT(after(prefix)); at && string(it.Key()[:len(prefix)]) == string(prefix); {
			if err := ctx.Err(); err != nil {
				return err
			}
			date := append([]byte(nil), it.Key()[:len(prefix)+4]...)
			for on := it.SeekGE(date); on && string(it.Key()[:len(date)]) == string(date); on = it.Next() {
				s.rowsRead.Add(1)
				row, live, err := s.row(it)
				if err != nil {
					return err
				}
				if !live {
					continue
				}
				if err := f(row); err != nil {
					return err
				}
			}
			at = it.SeekLT(date)
		}
		ok = it.SeekGE(after(prefix))
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("reading the reward store: %w", err)
	}
	return nil
}
