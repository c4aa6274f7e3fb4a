// Package storetest is the contract of rewarder.Store as tests, which every implementation
// passes.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules"
	"github.com/angelowl-loyalties/app/rewarder"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// Store is a store under test, with what shows its state.
type Store interface {
	rewarder.Store

	// Rows returns every row of a card, in any order.
	Rows(ctx context.Context, card uuid.UUID) ([]loyalty.Row, error)

	// Erase erases the rows that a card has, for good.
	Erase(ctx context.Context, card uuid.UUID) error
}

// Run runs the suite. Open returns an empty store, which it closes by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Store) {
	// The first test needs the store empty. The others never meet: each has topics, cards, partitions
	// and parts of its own.
	s := open(t)
	t.Run("topics", func(t *testing.T) { topics(t, s) })
	t.Run("topics at once", func(t *testing.T) { topicsAtOnce(t, s) })
	t.Run("what is not a topic", func(t *testing.T) { badTopics(t, s) })
	t.Run("parts", func(t *testing.T) { parts(t, s) })
	t.Run("markers", func(t *testing.T) { markers(t, s) })
	t.Run("one first marker for all", func(t *testing.T) { firstMarker(t, s) })
	t.Run("a row comes back as it was", func(t *testing.T) { roundTrip(t, s) })
	t.Run("the first arrival wins", func(t *testing.T) { firstArrivalWins(t, s) })
	t.Run("the first arrival wins at once", func(t *testing.T) { firstArrivalWinsAtOnce(t, s) })
	t.Run("two arrivals never mix", func(t *testing.T) { neverMixed(t, s) })
	t.Run("keys are card, date and id", func(t *testing.T) { keys(t, s) })
	t.Run("erased stays erased", func(t *testing.T) { erasure(t, s) })
	t.Run("many rows of many cards in one call", func(t *testing.T) { manyCards(t, s) })
	t.Run("what was done is done again", func(t *testing.T) { repeated(t, s) })
	t.Run("rows that cannot be stored", func(t *testing.T) { refusedRows(t, s) })
	t.Run("texts that are none", func(t *testing.T) { badText(t, s) })
	t.Run("a context that ended", func(t *testing.T) { ended(t, s) })
}

func topics(t *testing.T, s Store) {
	ctx := t.Context()
	for _, step := range []struct {
		name, topic, id string
		partitions      int32
		incarnation     int64
		changed         bool
	}{
		{"the first is number 1", "spend", "id-a", 4, 1, false},
		{"again is the same", "spend", "id-a", 4, 1, false},
		{"another id is another topic", "spend", "id-b", 4, 0, true},
		{"more partitions are another topic", "spend", "id-a", 5, 0, true},
		{"fewer are too", "spend", "id-a", 3, 0, true},
		{"it is still known", "spend", "id-a", 4, 1, false},
		{"another name has a number of its own", "refunds", "id-c", 1, 2, false},
	} {
		n, err := s.OpenTopic(ctx, step.topic, step.id, step.partitions)
		if step.changed != errors.Is(err, rewarder.ErrTopicChanged) || !step.changed && err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if n != step.incarnation && !step.changed {
			t.Errorf("%s: incarnation %d, not %d", step.name, n, step.incarnation)
		}
	}
}

func badTopics(t *testing.T, s Store) {
	for name, open := range map[string]func() (int64, error){
		"without a name":       func() (int64, error) { return s.OpenTopic(t.Context(), "", "id", 1) },
		"without an id":        func() (int64, error) { return s.OpenTopic(t.Context(), "nameless", "", 1) },
		"without partitions":   func() (int64, error) { return s.OpenTopic(t.Context(), "nameless", "id", 0) },
		"with fewer than none": func() (int64, error) { return s.OpenTopic(t.Context(), "nameless", "id", -1) },
	} {
		if n, err := open(); err == nil || errors.Is(err, rewarder.ErrTopicChanged) {
			t.Errorf("a topic %s: incarnation %d, %v", name, n, err)
		}
	}
}

// topicsAtOnce opens several topics at once, each under two ids by several callers.
func topicsAtOnce(t *testing.T, s Store) {
	const names = 4
	numbers := map[int64]string{}
	for round := range 5 {
		var mu sync.Mutex
		opened := map[string]map[string]int64{} // name, id, number
		together(16, func(i int) {
			name, id := fmt.Sprintf("at-once-%d-%d", round, i%names), fmt.Sprintf("id-%d", i/names%2)
			n, err := s.OpenTopic(t.Context(), name, id, 4)
			if err != nil {
				if !errors.Is(err, rewarder.ErrTopicChanged) {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if opened[name] == nil {
				opened[name] = map[string]int64{}
			}
			if is, ok := opened[name][id]; ok && is != n {
				t.Errorf("incarnation %d, and %d", is, n)
			}
			opened[name][id] = n
		})
		if len(opened) != names {
			t.Fatalf("%d of %d topics were opened", len(opened), names)
		}
		for name, ids := range opened {
			if len(ids) != 1 {
				t.Fatalf("%d ids were opened as one topic", len(ids))
			}
			for _, n := range ids {
				if other, ok := numbers[n]; ok || n < 1 {
					t.Errorf("%s has the incarnation %d of %s", name, n, other)
				}
				numbers[n] = name
			}
		}
	}
}

func parts(t *testing.T, s Store) {
	ctx := t.Context()
	part := func(data []byte) rules.Part { return rules.Part{Hash: loyalty.HashOf(data), Data: data} }
	small, large, late := part([]byte("small")), part(bytes.Repeat([]byte{7}, 1<<20)), part([]byte("late"))
	if _, err := s.Part(ctx, small.Hash); !errors.Is(err, rewarder.ErrNotFound) {
		t.Errorf("a part that nobody put: %v", err)
	}
	for _, put := range [][]rules.Part{nil, {small, large}, {small, late}} {
		if err := s.PutParts(ctx, put); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutParts(ctx, []rules.Part{{Hash: loyalty.HashOf([]byte("another")), Data: []byte("one")}}); err == nil {
		t.Error("a part was put under another's hash")
	}
	if _, err := s.Part(ctx, loyalty.HashOf([]byte("another"))); !errors.Is(err, rewarder.ErrNotFound) {
		t.Errorf("a part under another's hash: %v", err)
	}
	for _, p := range []rules.Part{small, large, late} {
		if got, err := s.Part(ctx, p.Hash); err != nil || !bytes.Equal(got, p.Data) {
			t.Errorf("part of %d bytes: %d bytes, %v", len(p.Data), len(got), err)
		}
	}
}

func marker(n int64) record.Marker {
	return record.Marker{Hash: loyalty.HashOf(fmt.Append(nil, n)), Epoch: 1700000000000, Revision: n}
}

func markers(t *testing.T, s Store) {
	ctx := t.Context()
	at := func(incarnation int64, partition int32, offset int64) loyalty.Position {
		return loyalty.Position{Incarnation: incarnation, Partition: partition, Offset: offset}
	}
	if _, _, err := s.MarkerBefore(ctx, at(1, 0, 1000)); !errors.Is(err, rewarder.ErrNotFound) {
		t.Errorf("a marker before there was any: %v", err)
	}
	for _, p := range []loyalty.Position{at(1, 0, 0), at(1, 0, 300), at(1, 0, 255), at(1, 0, 1<<40), at(1, 1, 10), at(2, 0, 20)} {
		for range 2 { // it is idempotent
			if err := s.PutMarker(ctx, p, marker(p.Offset+1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, err := s.FixFirst(ctx, 1, 0, marker(7)); err != nil || got != marker(7) {
		t.Fatalf("the first marker: %+v, %v", got, err)
	}
	for _, tt := range []struct {
		name   string
		at     loyalty.Position
		offset int64 // -2: none
		want   record.Marker
	}{
		{"the first is before offset 0", at(1, 0, 0), -1, marker(7)},
		{"the one at an offset is not before it", at(1, 0, 300), 255, marker(256)},
		{"the one just before is", at(1, 0, 301), 300, marker(301)},
		{"numbers are compared, not their texts", at(1, 0, 299), 255, marker(256)},
		{"offset 0 has one", at(1, 0, 1), 0, marker(1)},
		{"far behind the last", at(1, 0, math.MaxInt64), 1 << 40, marker(1<<40 + 1)},
		{"nothing is before the first", at(1, 0, -1), -2, record.Marker{}},
		{"another partition", at(1, 1, 1000), 10, marker(11)},
		{"another partition has no first", at(1, 1, 10), -2, record.Marker{}},
		{"another incarnation", at(2, 0, 1000), 20, marker(21)},
		{"another incarnation has no first", at(2, 0, 20), -2, record.Marker{}},
		{"a partition without any", at(1, 2, 1000), -2, record.Marker{}},
	} {
		m, offset, err := s.MarkerBefore(ctx, tt.at)
		if tt.offset == -2 {
			if !errors.Is(err, rewarder.ErrNotFound) {
				t.Errorf("%s: %+v at %d, %v", tt.name, m, offset, err)
			}
			continue
		}
		if err != nil || m != tt.want || offset != tt.offset {
			t.Errorf("%s: %+v at %d, %v", tt.name, m, offset, err)
		}
	}
	for _, p := range []loyalty.Position{at(0, 3, 1), at(1<<15, 3, 1), at(1, -1, 1), at(1, 3, -1), at(1, 3, 1<<48)} {
		if err := s.PutMarker(ctx, p, marker(1)); err == nil {
			t.Errorf("a marker at %+v was put", p)
		}
	}
}

func firstMarker(t *testing.T, s Store) {
	for partition := range int32(8) {
		var mu sync.Mutex
		var seen []record.Marker
		together(8, func(i int) {
			m, err := s.FixFirst(t.Context(), 9, partition, marker(int64(i+1)))
			if err != nil {
				t.Error(err)
			}
			before, offset, err := s.MarkerBefore(t.Context(), loyalty.Position{Incarnation: 9, Partition: partition})
			if err != nil || offset != -1 {
				t.Errorf("the first marker is not there for who fixed it: at %d, %v", offset, err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, m, before)
		})
		if len(slices.Compact(seen)) != 1 {
			t.Fatalf("several first markers: %+v", seen)
		}
		again, err := s.FixFirst(t.Context(), 9, partition, marker(99))
		if err != nil || again != seen[0] {
			t.Errorf("the first marker became %+v, %v", again, err)
		}
	}
}

// Row is a row of a card whose every field depends on n.
func Row(card uuid.UUID, n int, p loyalty.Position) loyalty.Row {
	number := func(s string) loyalty.Number {
		v, err := loyalty.ParseNumber(s)
		if err != nil {
			panic(err)
		}
		return v
	}
	sgd, usd := loyalty.MustCurrency("SGD"), loyalty.MustCurrency("USD")
	date := loyalty.DateOf(2021, 9, 1) + loyalty.Date(n%28)
	text := fmt.Sprintf("%d", n)
	row := loyalty.Row{Position: p}
	row.Transaction = loyalty.Transaction{
		ID: uuid.NewSHA1(card, fmt.Append(nil, n)), CardID: card, Merchant: "Merchant " + text, MCC: loyalty.MCC(n%9999 + 1),
		Currency: usd, Amount: int64(n) + 1, HomeAmount: number(text + ".25"), Reference: "ref " + text,
		Date: date, CardPAN: fmt.Sprintf("************%04d", n%10000), CardType: "type_" + text,
	}
	row.Units = loyalty.Units{Value: int64(n) * 3, Digits: uint8(n % 5)}
	row.Remarks = "remarks " + text
	row.CreatedAt = time.UnixMilli(1_700_000_000_000 + int64(n)).UTC()
	rateDate, from, to := date-1, loyalty.Decimal(n+1), loyalty.Decimal(n+2)
	row.Trace = loyalty.Trace{
		RuleSet: loyalty.HashOf([]byte(text)), Outcome: loyalty.Rewarded, Programme: "Programme " + text, Unit: "unit " + text, Decimals: uint8(n % 5),
		Base:      &loyalty.AppliedCampaign{ID: uuid.NewSHA1(card, []byte("base"+text)), Name: "base " + text, Rate: loyalty.Decimal(n), Units: number(text)},
		Converted: &loyalty.Conversion{Amount: number("-1." + text + "1"), Currency: sgd, Source: loyalty.QuoteRate, RateDate: &rateDate, Base: "EUR", FromQuote: &from, ToQuote: &to},
	}
	return row
}

func roundTrip(t *testing.T, s Store) {
	p := loyalty.Position{Incarnation: 1, Partition: 3, Offset: 7}
	edit := func(f func(*loyalty.Row)) loyalty.Row {
		r := Row(uuid.New(), 5, p)
		f(&r)
		return r
	}
	day := loyalty.DateOf(2021, 1, 1)
	id := uuid.New()
	for name, row := range map[string]loyalty.Row{
		"with everything":      Row(uuid.New(), 5, p),
		"with next to nothing": {Reward: loyalty.Reward{Transaction: loyalty.Transaction{ID: id, CardID: uuid.New(), Date: day}, CreatedAt: time.UnixMilli(0).UTC()}, Position: p},
		"the largest numbers":  edit(func(r *loyalty.Row) { r.Amount, r.Units.Value = math.MaxInt64, math.MaxInt64 }),
		"the smallest numbers": edit(func(r *loyalty.Row) { r.Amount, r.Units.Value = math.MinInt64, math.MinInt64 }),
		"the first date":       edit(func(r *loyalty.Row) { r.Date = loyalty.MinDate }),
		"the last date":        edit(func(r *loyalty.Row) { r.Date = loyalty.MaxDate }),
		"the largest position": edit(func(r *loyalty.Row) {
			r.Position = loyalty.Position{Incarnation: 1<<15 - 1, Partition: math.MaxInt32, Offset: 1<<48 - 2}
		}),
		"the smallest position": edit(func(r *loyalty.Row) { r.Position = loyalty.Position{Incarnation: 1} }),
		"a promo":               edit(func(r *loyalty.Row) { r.Trace.Promo, r.Trace.Base = r.Trace.Base, nil }),
		"excluded": edit(func(r *loyalty.Row) {
			r.Trace.Outcome, r.Trace.Converted, r.Trace.Base = loyalty.Excluded, nil, nil
			r.Trace.Exclusion = &loyalty.AppliedExclusion{Reason: loyalty.ExcludedMCC, ID: &id, ValidFrom: &day}
		}),
		"texts beyond ASCII": edit(func(r *loyalty.Row) { r.Merchant, r.Remarks = "Straße 東京 🦉", strings.Repeat("é", 5000) }),
		"a millisecond":      edit(func(r *loyalty.Row) { r.CreatedAt = time.UnixMilli(1_700_000_000_001).UTC() }),
	} {
		t.Run(name, func(t *testing.T) {
			put(t, s, row)
			want(t, s, row.CardID, row)
		})
	}
}

// arrivals are rows of a few keys from records at different places, each row's content its own.
func arrivals(t *rapid.T, card uuid.UUID) []loyalty.Row {
	places := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) loyalty.Position {
		return loyalty.Position{Incarnation: rapid.Int64Range(1, 3).Draw(t, "incarnation"), Partition: 2, Offset: rapid.Int64Range(0, 400).Draw(t, "offset")}
	}), 1, 30, rapid.ID).Draw(t, "places")
	rows := make([]loyalty.Row, len(places))
	for i, p := range places {
		rows[i] = Row(card, i, p)
		rows[i].Date = loyalty.DateOf(2021, 9, 1)
		rows[i].ID = uuid.NewSHA1(card, []byte{byte(rapid.IntRange(0, 3).Draw(t, "key"))})
	}
	return rows
}

// winners are what is to be there once all rows have been put.
func winners(rows []loyalty.Row) []loyalty.Row {
	first := map[loyalty.Key]loyalty.Row{}
	for _, r := range rows {
		if is, ok := first[r.Key()]; !ok || r.Position.WriteTime() > is.Position.WriteTime() {
			first[r.Key()] = r
		}
	}
	var out []loyalty.Row
	for _, r := range first {
		out = append(out, r)
	}
	return out
}

func firstArrivalWins(t *testing.T, s Store) {
	rapid.Check(t, func(rt *rapid.T) {
		card := uuid.New()
		rows := arrivals(rt, card)
		// Every order, in calls of every size, some rows again and again.
		order := append(rapid.Permutation(rows).Draw(rt, "order"), rapid.Permutation(rows).Draw(rt, "replay")[:len(rows)/2]...)
		for len(order) > 0 {
			n := rapid.IntRange(1, len(order)).Draw(rt, "call")
			put(rt, s, order[:n]...)
			order = order[n:]
		}
		want(rt, s, card, winners(rows)...)
	})
}

func firstArrivalWinsAtOnce(t *testing.T, s Store) {
	for range 10 {
		card := uuid.New()
		rows := make([]loyalty.Row, 64)
		for i := range rows {
			rows[i] = Row(card, i, loyalty.Position{Incarnation: 1, Partition: 2, Offset: int64((i * 29) % len(rows))})
			rows[i].Date, rows[i].ID = loyalty.DateOf(2021, 9, 1), uuid.NewSHA1(card, []byte{byte(i % 2)})
		}
		together(8, func(i int) { put(t, s, rows[i*8:i*8+8]...) })
		want(t, s, card, winners(rows)...)
	}
}

func neverMixed(t *testing.T, s Store) {
	card := uuid.New()
	full := Row(card, 3, loyalty.Position{Incarnation: 1, Partition: 2, Offset: 20})
	bare := loyalty.Row{Position: loyalty.Position{Incarnation: 1, Partition: 2, Offset: 10}}
	bare.ID, bare.CardID, bare.Date, bare.CreatedAt = full.ID, card, full.Date, full.CreatedAt
	put(t, s, bare)
	put(t, s, full)
	want(t, s, card, bare)
	put(t, s, bare)
	want(t, s, card, bare)
}

func keys(t *testing.T, s Store) {
	card, other := uuid.New(), uuid.New()
	a := Row(card, 1, loyalty.Position{Incarnation: 1, Partition: 2, Offset: 1})
	b, c, d := a, a, a
	b.Date, b.Position.Offset = a.Date+1, 2
	c.ID, c.Position.Offset = uuid.New(), 3
	d.CardID, d.Position.Offset = other, 4
	put(t, s, a, b, c, d)
	want(t, s, card, a, b, c)
	want(t, s, other, d)
}

func erasure(t *testing.T, s Store) {
	card, other := uuid.New(), uuid.New()
	var rows []loyalty.Row
	for i := range 50 {
		rows = append(rows, Row(card, i, loyalty.Position{Incarnation: 2, Partition: 2, Offset: int64(100 + i)}))
	}
	kept := Row(other, 1, loyalty.Position{Incarnation: 2, Partition: 2, Offset: 1})
	put(t, s, append(rows, kept)...)
	erase := func() {
		t.Helper()
		if err := s.Erase(t.Context(), card); err != nil {
			t.Fatal(err)
		}
		want(t, s, card)
	}
	erase()
	for i := range rows {
		earlier, later := rows[i], rows[i]
		earlier.Position.Offset -= 100
		later.Position.Offset += 100
		put(t, s, rows[i], earlier, later)
	}
	want(t, s, card)
	// A record that was not there is stored as ever: on another date, and beside the erased ones.
	fresh := Row(card, 50, loyalty.Position{Incarnation: 2, Partition: 2, Offset: 500})
	beside := fresh
	beside.ID, beside.Date, beside.Position.Offset = uuid.New(), rows[7].Date, 3
	put(t, s, fresh, beside)
	want(t, s, card, fresh, beside)
	erase()
	erase() // it is idempotent
	put(t, s, append(rows, fresh, beside)...)
	want(t, s, card)
	want(t, s, other, kept)
}

// manyCards puts rows of cards that have one row, of some that have many, and of many days.
func manyCards(t *testing.T, s Store) {
	if err := s.PutRewards(t.Context(), nil); err != nil {
		t.Errorf("no rows: %v", err)
	}
	of := map[uuid.UUID][]loyalty.Row{}
	var rows []loyalty.Row
	cards := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	for i := range 1500 {
		card := cards[i%len(cards)]
		if i%5 == 0 {
			card = uuid.New()
		}
		r := Row(card, i, loyalty.Position{Incarnation: 3, Partition: 1, Offset: int64(i)})
		r.CreatedAt = r.CreatedAt.AddDate(0, 0, i%40)
		if i%7 == 0 {
			r.Remarks = strings.Repeat("long ", 5000) // as much as a batch may have, in six rows
		}
		rows = append(rows, r)
		of[card] = append(of[card], r)
	}
	put(t, s, rows...)
	for card, rows := range of {
		want(t, s, card, rows...)
	}
}

// repeated does everything twice, as who did not hear that it was done.
func repeated(t *testing.T, s Store) {
	ctx := t.Context()
	card := uuid.New()
	part := []byte("a part that is put again")
	at := loyalty.Position{Incarnation: 4, Partition: 5, Offset: 6}
	rows := []loyalty.Row{Row(card, 1, at), Row(card, 2, loyalty.Position{Incarnation: 4, Partition: 5, Offset: 7})}
	var incarnations []int64
	for range 2 {
		n, err := s.OpenTopic(ctx, "opened twice", "id", 3)
		if err != nil {
			t.Fatal(err)
		}
		incarnations = append(incarnations, n)
		if err := s.PutParts(ctx, []rules.Part{{Hash: loyalty.HashOf(part), Data: part}}); err != nil {
			t.Fatal(err)
		}
		if m, err := s.FixFirst(ctx, at.Incarnation, at.Partition, marker(1)); err != nil || m != marker(1) {
			t.Fatalf("the first marker: %+v, %v", m, err)
		}
		if err := s.PutMarker(ctx, at, marker(2)); err != nil {
			t.Fatal(err)
		}
		put(t, s, rows...)
	}
	if incarnations[0] != incarnations[1] {
		t.Errorf("a topic that was opened twice has the incarnations %v", incarnations)
	}
	if got, err := s.Part(ctx, loyalty.HashOf(part)); err != nil || !bytes.Equal(got, part) {
		t.Errorf("the part: %q, %v", got, err)
	}
	if m, offset, err := s.MarkerBefore(ctx, loyalty.Position{Incarnation: 4, Partition: 5, Offset: 7}); err != nil || m != marker(2) || offset != 6 {
		t.Errorf("the marker: %+v at %d, %v", m, offset, err)
	}
	want(t, s, card, rows...)
}

// badText puts a text that is not valid UTF-8. No front door lets one in; a store may keep it as it
// is, or refuse the row, and must not take it for an error of its own.
func badText(t *testing.T, s Store) {
	card := uuid.New()
	p := loyalty.Position{Incarnation: 1, Partition: 2, Offset: 1}
	bad, good := Row(card, 1, p), Row(card, 2, loyalty.Position{Incarnation: 1, Partition: 2, Offset: 2})
	bad.Merchant = "caf\xe9"
	err := s.PutRewards(t.Context(), []loyalty.Row{bad, good})
	if err == nil {
		want(t, s, card, bad, good)
		return
	}
	var refused *rewarder.RowError
	if !errors.As(err, &refused) || refused.Position != p || refused.Reason == "" {
		t.Errorf("a text that is not valid UTF-8: %v", err)
	}
	want(t, s, card, good)
}

func refusedRows(t *testing.T, s Store) {
	card := uuid.New()
	row := func(n int) loyalty.Row {
		return Row(card, n, loyalty.Position{Incarnation: 1, Partition: 2, Offset: int64(n)})
	}
	large, larger := row(2), row(4)
	large.Remarks = strings.Repeat("x", 2<<20)
	larger.Remarks = strings.Repeat("x", 3<<20)
	left := []loyalty.Row{row(1), large, row(3), larger, row(5)}
	// Whoever takes out the row that is named and calls again comes to an end.
	var named []int64
	for range 3 {
		err := s.PutRewards(t.Context(), left)
		if err == nil {
			break
		}
		var refused *rewarder.RowError
		if !errors.Is(err, rewarder.ErrRow) || !errors.As(err, &refused) || refused.Reason == "" {
			t.Fatalf("a row that is too large: %v", err)
		}
		named = append(named, refused.Position.Offset)
		want(t, s, card, row(1), row(3), row(5))
		left = slices.DeleteFunc(left, func(r loyalty.Row) bool { return r.Position == refused.Position })
	}
	slices.Sort(named)
	if !slices.Equal(named, []int64{2, 4}) {
		t.Errorf("refused were the rows of offsets %v", named)
	}
	for _, p := range []loyalty.Position{{Offset: 1}, {Incarnation: 1 << 15}, {Incarnation: 1, Partition: -1}, {Incarnation: 1, Offset: -1}, {Incarnation: 1, Offset: 1 << 48}} {
		nowhere := Row(card, 6, p)
		var refused *rewarder.RowError
		if err := s.PutRewards(t.Context(), []loyalty.Row{row(7), nowhere}); !errors.As(err, &refused) || refused.Position != p {
			t.Errorf("a row of a record at %+v: %v", p, err)
		}
	}
	want(t, s, card, row(1), row(3), row(5), row(7))
}

func ended(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := loyalty.Position{Incarnation: 1, Partition: 2, Offset: 1}
	for name, call := range map[string]func() error{
		"OpenTopic": func() error { _, err := s.OpenTopic(ctx, "spend", "id", 1); return err },
		"PutParts": func() error {
			return s.PutParts(ctx, []rules.Part{{Hash: loyalty.HashOf([]byte("x")), Data: []byte("x")}})
		},
		"Part":         func() error { _, err := s.Part(ctx, loyalty.HashOf([]byte("x"))); return err },
		"FixFirst":     func() error { _, err := s.FixFirst(ctx, 1, 0, marker(1)); return err },
		"PutMarker":    func() error { return s.PutMarker(ctx, p, marker(1)) },
		"MarkerBefore": func() error { _, _, err := s.MarkerBefore(ctx, p); return err },
		"PutRewards":   func() error { return s.PutRewards(ctx, []loyalty.Row{Row(uuid.New(), 1, p)}) },
	} {
		if err := call(); err == nil || errors.Is(err, rewarder.ErrRow) || errors.Is(err, rewarder.ErrNotFound) || errors.Is(err, rewarder.ErrTopicChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fataler is what *testing.T and *rapid.T share.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

func put(t fataler, s Store, rows ...loyalty.Row) {
	t.Helper()
	if err := s.PutRewards(context.Background(), rows); err != nil {
		t.Errorf("PutRewards: %v", err)
	}
}

// want checks that a card has just these rows, whole.
func want(t fataler, s Store, card uuid.UUID, rows ...loyalty.Row) {
	t.Helper()
	got, err := s.Rows(context.Background(), card)
	if err != nil {
		t.Fatalf("Rows: %v", err)
	}
	have := map[loyalty.Key]loyalty.Row{}
	for _, r := range got {
		have[r.Key()] = r
	}
	if len(have) != len(got) || len(got) != len(rows) {
		t.Fatalf("the card has %d rows, %d keys; not %d", len(got), len(have), len(rows))
	}
	for _, w := range rows {
		if h := have[w.Key()]; !reflect.DeepEqual(h, w) {
			t.Fatalf("the row is\n%+v\nnot\n%+v", h, w)
		}
	}
}

// together calls f at once from n goroutines and waits for them.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}
