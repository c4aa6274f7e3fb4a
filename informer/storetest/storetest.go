// Package storetest is the contract of informer.Store as tests, which every implementation
// passes.
package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"
)

// Store is a store under test, with what fills it.
type Store interface {
	informer.Store

	// PutRewards is rewarder.Store's.
	PutRewards(ctx context.Context, rows []loyalty.Row) error

	// Erase erases the rows that a card has, for good.
	Erase(ctx context.Context, card uuid.UUID) error
}

// reads is what a store has that can say how many rows it has read since it was opened; the cost
// of a page is held by that.
type reads interface{ RowsRead() int64 }

// Run runs the suite. Open returns an empty store whose bank is in a time zone, which it closes
// by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T, zone *time.Location) Store) {
	zone, err := time.LoadLocation("Asia/Singapore")
	if err != nil {
		t.Fatal(err)
	}
	// Every test has cards and days of its own.
	s := open(t, zone)
	t.Run("an unknown card has no rows", func(t *testing.T) { unknownCard(t, s) })
	t.Run("newest first, then by id", func(t *testing.T) { order(t, s) })
	t.Run("ids stand in the order of their bytes", func(t *testing.T) { ids(t, s, zone) })
	t.Run("dates", func(t *testing.T) { dates(t, s) })
	t.Run("filters", func(t *testing.T) { filters(t, s) })
	t.Run("pages are the whole", func(t *testing.T) { pages(t, s) })
	t.Run("pages while rows are written", func(t *testing.T) { pagesWhileWritten(t, s) })
	t.Run("a filter reads a bounded part", func(t *testing.T) { boundedFilter(t, s) })
	t.Run("a page of a large card costs what one of a small card does", func(t *testing.T) { largeCard(t, s) })
	t.Run("cursors that no page gave", func(t *testing.T) { badCursors(t, s) })
	t.Run("erased rows are gone", func(t *testing.T) { erased(t, s) })
	t.Run("a day", func(t *testing.T) { day(t, s, zone) })
	t.Run("a day's pages", func(t *testing.T) { dayPages(t, s, zone) })
	t.Run("what arrives again on another day is not of it", func(t *testing.T) { again(t, s, zone) })
	t.Run("pages of no rows", func(t *testing.T) { noLimit(t, s) })
	t.Run("a context that ended", func(t *testing.T) { ended(t, s) })
}

var usd = loyalty.MustCurrency("USD")

// row is a row of a card at an offset, which also tells its content from others'.
func row(card uuid.UUID, date loyalty.Date, offset int64) loyalty.Row {
	r := loyalty.Row{Position: loyalty.Position{Incarnation: 1, Partition: 1, Offset: offset}}
	r.Transaction = loyalty.Transaction{
		ID: uuid.NewSHA1(card, fmt.Append(nil, offset)), CardID: card, Merchant: "Kaligo", MCC: 4722,
		Currency: usd, Amount: offset, Date: date, CardPAN: "************1234", CardType: "scis_shopping",
	}
	r.CreatedAt = time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)
	r.Trace.Outcome = loyalty.Rewarded
	return r
}

func put(t testing.TB, s Store, rows ...loyalty.Row) {
	t.Helper()
	for part := range slices.Chunk(rows, 1000) {
		if err := s.PutRewards(context.Background(), part); err != nil {
			t.Fatal(err)
		}
	}
}

// read goes through all pages of a query and returns their rows' offsets.
func read(t testing.TB, s Store, q informer.Query) (offsets []int64, pages int) {
	t.Helper()
	for {
		page, err := s.Rewards(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Rows) > q.Limit {
			t.Fatalf("%d rows in a page of %d", len(page.Rows), q.Limit)
		}
		for _, r := range page.Rows {
			offsets = append(offsets, r.Position.Offset)
		}
		if pages++; page.Next == "" {
			return offsets, pages
		}
		if page.Next == q.After {
			t.Fatal("the cursor does not go on")
		}
		q.After = page.Next
	}
}

// newestFirst are the offsets of rows in the order of a history.
func newestFirst(rows []loyalty.Row) []int64 {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b loyalty.Row) int {
		return cmp.Or(cmp.Compare(b.Date, a.Date), strings.Compare(a.ID.String(), b.ID.String()))
	})
	var out []int64
	for _, r := range rows {
		out = append(out, r.Position.Offset)
	}
	return out
}

func unknownCard(t *testing.T, s Store) {
	page, err := s.Rewards(t.Context(), informer.Query{Card: uuid.New(), Limit: 10})
	if err != nil || len(page.Rows) > 0 || page.Next != "" {
		t.Errorf("%+v, %v", page, err)
	}
}

func order(t *testing.T, s Store) {
	card := uuid.New()
	base := loyalty.DateOf(2021, 12, 30)
	var rows []loyalty.Row
	for i := range int64(40) {
		rows = append(rows, row(card, base+loyalty.Date(i*7%5), i)) // over the turn of a year
	}
	rows = append(rows, row(card, loyalty.MinDate, 100), row(card, loyalty.MaxDate, 101))
	put(t, s, rows...)
	put(t, s, row(uuid.New(), base, 200)) // another card's
	if got, _ := read(t, s, informer.Query{Card: card, Limit: 1000}); !slices.Equal(got, newestFirst(rows)) {
		t.Errorf("%v\nnot %v", got, newestFirst(rows))
	}
}

// ids has UUIDs of all versions in one day: a store may not put those of one version before others.
func ids(t *testing.T, s Store, zone *time.Location) {
	var all []uuid.UUID
	for i := range byte(64) {
		id := uuid.NewSHA1(uuid.Nil, []byte{i})
		id[6] = id[6]&0x0f | (i%8+1)<<4 // version 1 to 8
		all = append(all, id)
	}
	all = append(all, uuid.Nil, uuid.Max)
	card := uuid.New()
	var ofCard, ofDay []loyalty.Row
	for i, id := range all {
		r := row(card, loyalty.DateOf(2021, 9, 1), int64(i))
		r.ID = id
		ofCard = append(ofCard, r)
		d := at(row(id, loyalty.DateOf(2021, 9, 1), int64(i)), zone, 2010, 3, 4, 12, 0)
		ofDay = append(ofDay, d)
	}
	put(t, s, ofCard...)
	put(t, s, ofDay...)
	if got, _ := read(t, s, informer.Query{Card: card, Limit: 9}); !slices.Equal(got, newestFirst(ofCard)) {
		t.Errorf("a card's rows: %v\nnot %v", got, newestFirst(ofCard))
	}
	slices.SortFunc(ofDay, func(a, b loyalty.Row) int { return strings.Compare(a.CardID.String(), b.CardID.String()) })
	if got := offsets(readDay(t, s, informer.DayQuery{Day: loyalty.DateOf(2010, 3, 4), Limit: 9})); !slices.Equal(got, offsets(ofDay)) {
		t.Errorf("a day's rows: %v\nnot %v", got, offsets(ofDay))
	}
}

func dates(t *testing.T, s Store) {
	card := uuid.New()
	first := loyalty.DateOf(2021, 9, 1)
	for i := range int64(10) {
		put(t, s, row(card, first+loyalty.Date(i), i))
	}
	for _, tt := range []struct {
		name     string
		from, to loyalty.Date
		want     []int64
	}{
		{"both ends are included", first + 3, first + 5, []int64{5, 4, 3}},
		{"one day", first + 3, first + 3, []int64{3}},
		{"from a day on", first + 7, 0, []int64{9, 8, 7}},
		{"up to a day", 0, first + 1, []int64{1, 0}},
		{"before the first", 0, first - 1, nil},
		{"after the last", first + 10, 0, nil},
		{"backwards is nothing", first + 5, first + 3, nil},
		{"the widest", loyalty.MinDate, loyalty.MaxDate, []int64{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, limit := range []int{1, 2, 1000} {
				if got, _ := read(t, s, informer.Query{Card: card, From: tt.from, To: tt.to, Limit: limit}); !slices.Equal(got, tt.want) {
					t.Errorf("by %d: %v, not %v", limit, got, tt.want)
				}
			}
		})
	}
}

func filters(t *testing.T, s Store) {
	card := uuid.New()
	first := loyalty.DateOf(2021, 9, 1)
	for i, r := range []struct {
		merchant string
		outcome  loyalty.Outcome
	}{{"KALIGO.COM", loyalty.Rewarded}, {"Straße 1", loyalty.Excluded}, {"kaligo", loyalty.NoCampaign}, {"", loyalty.Rewarded}} {
		x := row(card, first-loyalty.Date(i), int64(i))
		x.Merchant, x.Trace.Outcome = r.merchant, r.outcome
		put(t, s, x)
	}
	for _, tt := range []struct {
		name string
		q    informer.Query
		want []int64
	}{
		{"a part of the merchant, without case", informer.Query{Merchant: "aliGO"}, []int64{0, 2}},
		{"ß is ss", informer.Query{Merchant: "STRASSE"}, []int64{1}},
		{"ss is ß", informer.Query{Merchant: "straße"}, []int64{1}},
		{"no merchant has it", informer.Query{Merchant: "%"}, nil},
		{"an outcome", informer.Query{Outcome: loyalty.Rewarded}, []int64{0, 3}},
		{"both", informer.Query{Outcome: loyalty.NoCampaign, Merchant: "Kaligo"}, []int64{2}},
		{"both and a date", informer.Query{Outcome: loyalty.Rewarded, From: first}, []int64{0}},
		{"none", informer.Query{}, []int64{0, 1, 2, 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.q.Card = card
			for _, limit := range []int{1, 1000} {
				tt.q.Limit = limit
				if got, _ := read(t, s, tt.q); !slices.Equal(got, tt.want) {
					t.Errorf("by %d: %v, not %v", limit, got, tt.want)
				}
			}
		})
	}
}

func pages(t *testing.T, s Store) {
	rapid.Check(t, func(rt *rapid.T) {
		card := uuid.New()
		var rows []loyalty.Row
		for i := range rapid.Int64Range(0, 60).Draw(rt, "rows") {
			r := row(card, loyalty.DateOf(2021, 9, 1)+loyalty.Date(rapid.IntRange(0, 6).Draw(rt, "day")), i)
			if rapid.Bool().Draw(rt, "excluded") {
				r.Trace.Outcome = loyalty.Excluded
			}
			rows = append(rows, r)
		}
		put(t, s, rows...)
		q := informer.Query{Card: card, Limit: rapid.IntRange(1, 70).Draw(rt, "limit")}
		if rapid.Bool().Draw(rt, "ranged") {
			q.From = loyalty.DateOf(2021, 9, 1) + loyalty.Date(rapid.IntRange(0, 6).Draw(rt, "from"))
			q.To = q.From + loyalty.Date(rapid.IntRange(0, 6).Draw(rt, "length"))
		}
		if rapid.Bool().Draw(rt, "filtered") {
			q.Outcome = loyalty.Excluded
		}
		match := slices.DeleteFunc(slices.Clone(rows), func(r loyalty.Row) bool {
			return q.From != 0 && (r.Date < q.From || r.Date > q.To) || q.Outcome != "" && r.Trace.Outcome != q.Outcome
		})
		got, n := read(t, s, q)
		if !slices.Equal(got, newestFirst(match)) {
			rt.Fatalf("%v\nnot %v", got, newestFirst(match))
		}
		if most := max(1, (len(match)+q.Limit-1)/q.Limit); n > most+1 {
			rt.Fatalf("%d pages of %d for %d rows", n, q.Limit, len(match))
		}
	})
}

func pagesWhileWritten(t *testing.T, s Store) {
	card := uuid.New()
	first := loyalty.DateOf(2021, 9, 1)
	var rows []loyalty.Row
	for i := range int64(200) {
		rows = append(rows, row(card, first+loyalty.Date(i%50)*2, i))
	}
	put(t, s, rows...)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for i := int64(1000); err == nil; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
				// Newer than all, older than all, and between.
				err = s.PutRewards(context.Background(), []loyalty.Row{row(card, first+loyalty.Date(i%110)-5, i)})
			}
		}
		stopped <- err
	}()
	got, _ := read(t, s, informer.Query{Card: card, Limit: 7})
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	seen := map[int64]int{}
	for _, offset := range got {
		seen[offset]++
		if seen[offset] > 1 {
			t.Fatalf("the row of offset %d came twice", offset)
		}
	}
	got = slices.DeleteFunc(got, func(offset int64) bool { return offset >= 1000 })
	if !slices.Equal(got, newestFirst(rows)) {
		t.Errorf("%v\nnot %v", got, newestFirst(rows))
	}
}

func boundedFilter(t *testing.T, s Store) {
	card := uuid.New()
	first := loyalty.DateOf(2021, 9, 1)
	rows := make([]loyalty.Row, 2*informer.MaxScan+500)
	for i := range rows {
		rows[i] = row(card, first, int64(i))
	}
	rows[len(rows)-1].Date, rows[len(rows)-1].Trace.Outcome = first-1, loyalty.Excluded // the oldest
	put(t, s, rows...)
	q := informer.Query{Card: card, Outcome: loyalty.Excluded, Limit: 10}
	for n := 1; ; n++ {
		before := rowsRead(s)
		page, err := s.Rewards(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if cost := rowsRead(s) - before; cost > informer.MaxScan {
			t.Errorf("a page read %d rows, and %d is the most", cost, informer.MaxScan)
		}
		if n < 3 && (len(page.Rows) > 0 || page.Next == "") {
			t.Fatalf("page %d has %d rows and next %q", n, len(page.Rows), page.Next)
		}
		if page.Next == "" {
			if len(page.Rows) != 1 || n != 3 {
				t.Errorf("page %d, the last, has %d rows", n, len(page.Rows))
			}
			return
		}
		q.After = page.Next
	}
}

func rowsRead(s Store) int64 {
	if r, ok := s.(reads); ok {
		return r.RowsRead()
	}
	return 0
}

func largeCard(t *testing.T, s Store) {
	if _, ok := s.(reads); !ok {
		t.Skip("the store does not count what it reads")
	}
	fill := func(n int) uuid.UUID {
		card := uuid.New()
		Fill(t, s, card, n)
		return card
	}
	n := 100_000
	if testing.Short() {
		n = 5_000
	}
	small, large := fill(100), fill(n)
	// A page in the middle, where the cursor behind so many rows leads.
	cost := func(card uuid.UUID, skip int) int64 {
		q := informer.Query{Card: card}
		for ; skip > 0; skip -= q.Limit {
			q.Limit = min(skip, 1000)
			page, err := s.Rewards(t.Context(), q)
			if err != nil || page.Next == "" {
				t.Fatal(page.Next, err)
			}
			q.After = page.Next
		}
		q.Limit = 20
		before := rowsRead(s)
		if page, err := s.Rewards(t.Context(), q); err != nil || len(page.Rows) != 20 {
			t.Fatal(len(page.Rows), err)
		}
		return rowsRead(s) - before
	}
	for _, skip := range []int{0, 40} {
		if few, many := cost(small, skip), cost(large, skip); many > few {
			t.Errorf("the page behind %d rows of the large card reads %d rows, of the small card %d", skip, many, few)
		}
	}
	if deep := cost(large, n/2); deep > 21 {
		t.Errorf("the page behind %d rows reads %d", n/2, deep)
	}
	// Its totals, as informer makes them: over pages of the largest size.
	var rows, units, amount int64
	for q := (informer.Query{Card: large, Limit: 1000}); ; {
		page, err := s.Rewards(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Rows {
			rows++
			units += r.Units.Value
			amount += r.Amount
		}
		if q.After = page.Next; page.Next == "" {
			break
		}
	}
	if n := int64(n); rows != n || units != 3*n || amount != n*(n-1)/2 {
		t.Errorf("the large card has %d rows with %d units of %d spent; not %d, %d, %d", rows, units, amount, n, 3*n, n*(n-1)/2)
	}
}

// Fill gives a card n rows over ten years, as a busy rewarder would: several writes at once, each
// of many rows. A row has 3 units, and the amount of its offset, 0 to n-1.
func Fill(t testing.TB, s Store, card uuid.UUID, n int) {
	t.Helper()
	const call = 500
	var wg errgroup.Group
	wg.SetLimit(6)
	for first := 0; first < n; first += call {
		wg.Go(func() error {
			rows := make([]loyalty.Row, min(call, n-first))
			for i := range rows {
				rows[i] = row(card, loyalty.DateOf(2015, 1, 1)+loyalty.Date((first+i)*3650/n), int64(first+i))
				rows[i].Units.Value = 3
			}
			return s.PutRewards(context.Background(), rows)
		})
	}
	if err := wg.Wait(); err != nil {
		t.Fatal(err)
	}
}

func noLimit(t *testing.T, s Store) {
	for _, limit := range []int{0, -1} {
		if _, err := s.Rewards(t.Context(), informer.Query{Card: uuid.New(), Limit: limit}); err == nil || errors.Is(err, informer.ErrCursor) {
			t.Errorf("a page of %d rows: %v", limit, err)
		}
		if _, err := s.Day(t.Context(), informer.DayQuery{Day: 1, Limit: limit}); err == nil || errors.Is(err, informer.ErrCursor) {
			t.Errorf("a day's page of %d rows: %v", limit, err)
		}
	}
}

func badCursors(t *testing.T, s Store) {
	card := uuid.New()
	for i := range int64(5) {
		put(t, s, row(card, loyalty.DateOf(2021, 9, 1), i))
	}
	q := informer.Query{Card: card, Limit: 2}
	page, err := s.Rewards(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	good := page.Next
	edit := func(f func(*informer.Query)) informer.Query {
		q := informer.Query{Card: card, Limit: 2, After: good}
		f(&q)
		return q
	}
	bad := map[string]informer.Query{
		"nonsense":                   edit(func(q *informer.Query) { q.After = "nonsense" }),
		"not even text":              edit(func(q *informer.Query) { q.After = "\xff\x00/?" }),
		"cut short":                  edit(func(q *informer.Query) { q.After = good[:len(good)-1] }),
		"with more behind it":        edit(func(q *informer.Query) { q.After = good + "A" }),
		"twice":                      edit(func(q *informer.Query) { q.After = good + good }),
		"endless":                    edit(func(q *informer.Query) { q.After = strings.Repeat(good, 10000) }),
		"of another card":            edit(func(q *informer.Query) { q.Card = uuid.New() }),
		"of a query without a from":  edit(func(q *informer.Query) { q.From = 1 }),
		"of a query without a to":    edit(func(q *informer.Query) { q.To = 20000 }),
		"of a query without a shop":  edit(func(q *informer.Query) { q.Merchant = "x" }),
		"of a query of all outcomes": edit(func(q *informer.Query) { q.Outcome = loyalty.Rewarded }),
	}
	for i := range len(good) {
		c := byte('A')
		if good[i] == c {
			c = 'B'
		}
		bad[fmt.Sprintf("with another character at %d", i)] = edit(func(q *informer.Query) { q.After = good[:i] + string(c) + good[i+1:] })
	}
	for name, q := range bad {
		if page, err := s.Rewards(t.Context(), q); !errors.Is(err, informer.ErrCursor) {
			t.Errorf("a cursor %s: %d rows, %v", name, len(page.Rows), err)
		}
	}
	if page, err := s.Rewards(t.Context(), edit(func(q *informer.Query) { q.Limit = 1 })); err != nil || len(page.Rows) != 1 {
		t.Errorf("another limit: %d rows, %v", len(page.Rows), err)
	}
	if _, err := s.Day(t.Context(), informer.DayQuery{Day: 20000, After: good, Limit: 1}); !errors.Is(err, informer.ErrCursor) {
		t.Errorf("a card's cursor for a day: %v", err)
	}
}

func erased(t *testing.T, s Store) {
	card := uuid.New()
	created := time.Date(2011, 5, 5, 12, 0, 0, 0, time.UTC)
	var rows []loyalty.Row
	for i := range int64(10) {
		r := row(card, loyalty.DateOf(2021, 9, 1), i)
		r.CreatedAt = created
		rows = append(rows, r)
	}
	put(t, s, rows...)
	if err := s.Erase(t.Context(), card); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, _ := read(t, s, informer.Query{Card: card, Limit: 3}); len(got) > 0 {
			t.Errorf("the card has %v", got)
		}
		if got := readDay(t, s, informer.DayQuery{Day: loyalty.DateOf(2011, 5, 5), Limit: 3}); len(got) > 0 {
			t.Errorf("the day has %v", got)
		}
		put(t, s, rows...) // the log brings them again
	}
}

// readDay goes through all pages of a day.
func readDay(t testing.TB, s Store, q informer.DayQuery) (rows []loyalty.Row) {
	t.Helper()
	for {
		page, err := s.Day(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Rows) > q.Limit {
			t.Fatalf("%d rows in a page of %d", len(page.Rows), q.Limit)
		}
		rows = append(rows, page.Rows...)
		if page.Next == "" {
			return rows
		}
		if page.Next == q.After {
			t.Fatal("the cursor does not go on")
		}
		q.After = page.Next
	}
}

func offsets(rows []loyalty.Row) (out []int64) {
	for _, r := range rows {
		out = append(out, r.Position.Offset)
	}
	return out
}

// at is a row that arrived at a time of the bank's clock.
func at(r loyalty.Row, zone *time.Location, year int, month time.Month, day, hour, minute int) loyalty.Row {
	r.CreatedAt = time.Date(year, month, day, hour, minute, 0, 0, zone).UTC()
	return r
}

func day(t *testing.T, s Store, zone *time.Location) {
	card := uuid.New()
	d := loyalty.DateOf(2021, 9, 1)
	put(t, s,
		at(row(card, d, 1), zone, 2012, 3, 3, 23, 59),
		at(row(card, d, 2), zone, 2012, 3, 4, 0, 0), // still the 3rd in UTC
		at(row(card, d+1, 3), zone, 2012, 3, 4, 23, 59),
		at(row(card, d, 4), zone, 2012, 3, 5, 0, 0), // still the 4th in UTC
	)
	for date, want := range map[loyalty.Date][]int64{
		loyalty.DateOf(2012, 3, 2): nil,
		loyalty.DateOf(2012, 3, 3): {1},
		loyalty.DateOf(2012, 3, 4): {2, 3},
		loyalty.DateOf(2012, 3, 5): {4},
		loyalty.DateOf(2012, 3, 6): nil,
	} {
		if got := offsets(readDay(t, s, informer.DayQuery{Day: date, Limit: 10})); !slices.Equal(got, want) {
			t.Errorf("%s: %v, not %v", date, got, want)
		}
	}
}

func dayPages(t *testing.T, s Store, zone *time.Location) {
	var rows []loyalty.Row
	for i := range int64(60) {
		card := uuid.NewSHA1(uuid.Nil, []byte{byte(i % 7)})
		rows = append(rows, at(row(card, loyalty.DateOf(2021, 9, 1)+loyalty.Date(i%3), i), zone, 2013, 3, 4, 12, 0))
	}
	put(t, s, rows...)
	slices.SortFunc(rows, func(a, b loyalty.Row) int {
		return cmp.Or(strings.Compare(a.CardID.String(), b.CardID.String()), cmp.Compare(a.Date, b.Date), strings.Compare(a.ID.String(), b.ID.String()))
	})
	q := informer.DayQuery{Day: loyalty.DateOf(2013, 3, 4)}
	for q.Limit = 1; q.Limit <= 61; q.Limit += 4 {
		if got := offsets(readDay(t, s, q)); !slices.Equal(got, offsets(rows)) {
			t.Fatalf("by %d: %v\nnot %v", q.Limit, got, offsets(rows))
		}
	}
	q.Limit = 10
	page, err := s.Day(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]informer.DayQuery{
		"nonsense":       {Day: q.Day, Limit: 10, After: "x"},
		"of another day": {Day: q.Day + 1, Limit: 10, After: page.Next},
		"cut short":      {Day: q.Day, Limit: 10, After: page.Next[1:]},
	} {
		if _, err := s.Day(t.Context(), q); !errors.Is(err, informer.ErrCursor) {
			t.Errorf("a cursor %s: %v", name, err)
		}
	}
}

func again(t *testing.T, s Store, zone *time.Location) {
	card := uuid.New()
	key := row(card, loyalty.DateOf(2021, 9, 1), 0)
	arrive := func(offset int64, day int) loyalty.Row {
		r := at(key, zone, 2014, 6, day, 12, 0)
		r.Position.Offset, r.Amount = offset, offset
		return r
	}
	// In the log: 10 on the 1st, 20 on the 2nd, 30 on the 2nd, 40 on the 3rd. Each step stores one,
	// and says what each day has then.
	for _, step := range []struct {
		name string
		put  loyalty.Row
		days [3][]int64
	}{
		{"the last one alone counts", arrive(40, 3), [3][]int64{nil, nil, {40}}},
		{"an earlier one takes its place", arrive(30, 2), [3][]int64{nil, {30}, nil}},
		{"and an earlier one of that day", arrive(20, 2), [3][]int64{nil, {20}, nil}},
		{"and the first", arrive(10, 1), [3][]int64{{10}, nil, nil}},
		{"the same again", arrive(20, 2), [3][]int64{{10}, nil, nil}},
	} {
		put(t, s, step.put)
		for i, want := range step.days {
			if got := offsets(readDay(t, s, informer.DayQuery{Day: loyalty.DateOf(2014, 6, i+1), Limit: 1})); !slices.Equal(got, want) {
				t.Errorf("%s: the %dth has %v, not %v", step.name, i+1, got, want)
			}
		}
	}
}

func ended(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Rewards(ctx, informer.Query{Card: uuid.New(), Limit: 1}); err == nil || errors.Is(err, informer.ErrCursor) {
		t.Errorf("Rewards: %v", err)
	}
	if _, err := s.Day(ctx, informer.DayQuery{Limit: 1}); err == nil || errors.Is(err, informer.ErrCursor) {
		t.Errorf("Day: %v", err)
	}
}
