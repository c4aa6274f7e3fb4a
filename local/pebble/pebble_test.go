package pebble

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	informertest "github.com/angelowl-loyalties/app/informer/storetest"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules"
	"github.com/angelowl-loyalties/app/rewarder"
	rewardertest "github.com/angelowl-loyalties/app/rewarder/storetest"
	"github.com/google/uuid"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// shown is a store that shows its rows.
type shown struct{ *Store }

func (s shown) Rows(ctx context.Context, card uuid.UUID) (rows []loyalty.Row, err error) {
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

func TestRewarderStore(t *testing.T) {
	rewardertest.Run(t, func(t *testing.T) rewardertest.Store {
		return shown{open(t, t.TempDir(), Options{NoSync: true})}
	})
}

func TestInformerStore(t *testing.T) {
	informertest.Run(t, func(t *testing.T, zone *time.Location) informertest.Store {
		return open(t, t.TempDir(), Options{Zone: zone, NoSync: true})
	})
}

// compacting is a store that writes its memory out and compacts all the time, so that operands
// of one key meet in every way.
type compacting struct {
	shown
	n *atomic.Int64
}

func (s compacting) PutRewards(ctx context.Context, rows []loyalty.Row) error {
	err := s.Store.PutRewards(ctx, rows)
	switch s.n.Add(1) % 8 {
	case 0, 3, 5:
		err = errors.Join(err, s.db.Flush())
	case 7:
		err = errors.Join(err, s.db.Compact(ctx, []byte{0}, []byte{255}, false))
	}
	return err
}

func TestRewarderStoreThatCompacts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	rewardertest.Run(t, func(t *testing.T) rewardertest.Store {
		return compacting{shown{open(t, t.TempDir(), Options{NoSync: true})}, new(atomic.Int64)}
	})
}

func TestMergeIsCommutativeAssociativeAndIdempotent(t *testing.T) {
	operand := rapid.Custom(func(t *rapid.T) []byte {
		if rapid.IntRange(0, 9).Draw(t, "erased") == 0 {
			return erased
		}
		p := loyalty.Position{Incarnation: rapid.Int64Range(1, 2).Draw(t, "incarnation"), Offset: rapid.Int64Range(0, 3).Draw(t, "offset")}
		return append(appendHeader(nil, formatRow, p), byte(rapid.IntRange(0, 2).Draw(t, "content")))
	})
	merge := func(a, b []byte, newer bool) []byte {
		m, err := merger.Merge(nil, a)
		if err != nil {
			t.Fatal(err)
		}
		if newer {
			err = m.MergeNewer(b)
		} else {
			err = m.MergeOlder(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		v, _, err := m.Finish(true)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := operand.Draw(t, "a"), operand.Draw(t, "b"), operand.Draw(t, "c")
		if !bytes.Equal(merge(a, b, true), merge(b, a, true)) || !bytes.Equal(merge(a, b, true), merge(a, b, false)) {
			t.Error("not commutative")
		}
		if !bytes.Equal(merge(merge(a, b, true), c, true), merge(a, merge(b, c, true), true)) {
			t.Error("not associative")
		}
		if !bytes.Equal(merge(a, a, true), a) || !bytes.Equal(merge(merge(a, b, true), b, false), merge(a, b, true)) {
			t.Error("not idempotent")
		}
		if !bytes.Equal(merge(a, erased, true), erased) {
			t.Error("not erased")
		}
	})
}

func TestReopened(t *testing.T) {
	dir := t.TempDir()
	ctx := t.Context()
	row := rewardertest.Row(uuid.New(), 1, loyalty.Position{Incarnation: 1, Partition: 1, Offset: 5})
	gone := rewardertest.Row(uuid.New(), 2, loyalty.Position{Incarnation: 1, Partition: 1, Offset: 6})
	s := open(t, dir, Options{})
	if _, err := s.OpenTopic(ctx, "spend", "id", 4); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.PutRewards(ctx, []loyalty.Row{row, gone}), s.Erase(ctx, gone.CardID), s.Close()); err != nil {
		t.Fatal(err)
	}

	s = open(t, dir, Options{})
	if _, err := s.OpenTopic(ctx, "spend", "other", 4); !errors.Is(err, rewarder.ErrTopicChanged) {
		t.Errorf("the topic was forgotten: %v", err)
	}
	if err := s.PutRewards(ctx, []loyalty.Row{gone}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Count(ctx); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
	if rows, err := (shown{s}).Rows(ctx, row.CardID); err != nil || !reflect.DeepEqual(rows, []loyalty.Row{row}) {
		t.Errorf("%+v, %v", rows, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(dir, Options{Zone: time.FixedZone("elsewhere", 3600)}); err == nil {
		s.Close()
		t.Error("it opened in another time zone")
	}
}

func TestClosed(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	p := loyalty.Position{Incarnation: 1}
	for name, call := range map[string]func() error{
		"OpenTopic":    func() error { _, err := s.OpenTopic(ctx, "spend", "id", 1); return err },
		"PutParts":     func() error { return s.PutParts(ctx, []rules.Part{{}}) },
		"Part":         func() error { _, err := s.Part(ctx, loyalty.Hash{}); return err },
		"FixFirst":     func() error { _, err := s.FixFirst(ctx, 1, 0, record.Marker{}); return err },
		"PutMarker":    func() error { return s.PutMarker(ctx, p, record.Marker{}) },
		"MarkerBefore": func() error { _, _, err := s.MarkerBefore(ctx, p); return err },
		"PutRewards":   func() error { return s.PutRewards(ctx, []loyalty.Row{rewardertest.Row(uuid.New(), 1, p)}) },
		"Rewards":      func() error { _, err := s.Rewards(ctx, informer.Query{Limit: 1}); return err },
		"Day":          func() error { _, err := s.Day(ctx, informer.DayQuery{Limit: 1}); return err },
		"Erase":        func() error { return s.Erase(ctx, uuid.New()) },
		"Count":        func() error { _, err := s.Count(ctx); return err },
		"All":          func() error { return s.All(ctx, func(loyalty.Row) error { return nil }) },
	} {
		if err := call(); !errors.Is(err, ErrClosed) || errors.Is(err, rewarder.ErrRow) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestCloseWaitsForWhoIsAtWork(t *testing.T) {
	s := open(t, t.TempDir(), Options{NoSync: true})
	var rows []loyalty.Row
	for i := range 10 {
		rows = append(rows, rewardertest.Row(uuid.New(), i, loyalty.Position{Incarnation: 1, Offset: int64(i)}))
	}
	if err := s.PutRewards(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	n := 0
	closed := make(chan error, 1)
	err := s.All(t.Context(), func(loyalty.Row) error {
		if n++; n == 1 {
			go func() { closed <- s.Close() }()
			for s.enter(context.Background()) == nil {
				s.leave()
			}
		}
		return nil
	})
	if err != nil || n != 10 {
		t.Errorf("%d rows, %v", n, err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestAll(t *testing.T) {
	s := open(t, t.TempDir(), Options{NoSync: true})
	rapid.Check(t, func(rt *rapid.T) {
		var all []loyalty.Row
		if err := s.db.DeleteRange([]byte{tableRewards}, []byte{tableRewards + 1}, nil); err != nil {
			rt.Fatal(err)
		}
		cards := []uuid.UUID{{0xff, 0xff}, {}, uuid.Max, {1}, uuid.New()}
		for i := range rapid.IntRange(0, 40).Draw(rt, "rows") {
			r := rewardertest.Row(rapid.SampledFrom(cards).Draw(rt, "card"), i, loyalty.Position{Incarnation: 1, Offset: int64(i)})
			r.Date = rapid.SampledFrom([]loyalty.Date{loyalty.MinDate, -1, 0, 1, 18000, 18001, loyalty.MaxDate}).Draw(rt, "date")
			all = append(all, r)
		}
		if err := s.PutRewards(t.Context(), all); err != nil {
			rt.Fatal(err)
		}
		slices.SortFunc(all, func(a, b loyalty.Row) int {
			return cmp.Or(bytes.Compare(a.CardID[:], b.CardID[:]), cmp.Compare(a.Date, b.Date), bytes.Compare(a.ID[:], b.ID[:]))
		})
		i := 0
		if err := s.All(t.Context(), func(r loyalty.Row) error {
			if i >= len(all) || !reflect.DeepEqual(r, all[i]) {
				rt.Fatalf("row %d is %+v", i, r)
			}
			i++
			return nil
		}); err != nil || i != len(all) {
			rt.Fatalf("%d rows of %d, %v", i, len(all), err)
		}
		if n, err := s.Count(t.Context()); err != nil || n != int64(len(all)) {
			rt.Fatalf("counted %d of %d, %v", n, len(all), err)
		}
	})
	stop := errors.New("stop")
	if err := s.PutRewards(t.Context(), []loyalty.Row{rewardertest.Row(uuid.New(), 1, loyalty.Position{Incarnation: 1})}); err != nil {
		t.Fatal(err)
	}
	if err := s.All(t.Context(), func(loyalty.Row) error { return stop }); err != stop {
		t.Errorf("the caller's error became %v", err)
	}
}

// TestAllHoldsOneRow reads a card of 100,000 rows and looks at the heap on the way.
func TestAllHoldsOneRow(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	s := open(t, t.TempDir(), Options{NoSync: true})
	card := uuid.New()
	rows := make([]loyalty.Row, 1000)
	for n := 0; n < 100_000; n += len(rows) {
		for i := range rows {
			rows[i] = rewardertest.Row(card, n+i, loyalty.Position{Incarnation: 1, Offset: int64(n + i)})
			rows[i].Date = 18000 // all of them of one day
		}
		if err := s.PutRewards(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, n := heap(), 0
	if err := s.All(t.Context(), func(loyalty.Row) error {
		if n++; n%20_000 == 0 {
			if now := heap(); now > before+16<<20 {
				t.Errorf("the heap grew from %d to %d MB in %d rows", before>>20, now>>20, n)
			}
		}
		return nil
	}); err != nil || n != 100_000 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// TestSurvivesSIGKILL runs this test's own binary as a writer and kills it.
func TestSurvivesSIGKILL(t *testing.T) {
	card := uuid.UUID{7}
	if dir := os.Getenv("PEBBLE_WRITER"); dir != "" {
		s := open(t, dir, Options{})
		for i := 0; ; i++ {
			if err := s.PutRewards(t.Context(), []loyalty.Row{rewardertest.Row(card, i, loyalty.Position{Incarnation: 1, Offset: int64(i)})}); err != nil {
				t.Fatal(err)
			}
			fmt.Println("stored", i)
		}
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSurvivesSIGKILL$")
	cmd.Env = append(os.Environ(), "PEBBLE_WRITER="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := -1
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "stored %d", &last); err == nil && last == 50 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // killed
	if last < 50 {
		t.Fatalf("the writer came to %d", last)
	}
	s := open(t, dir, Options{})
	rows, err := shown{s}.Rows(t.Context(), card)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) < last+1 {
		t.Errorf("%d rows of %d that were acknowledged", len(rows), last+1)
	}
}

func BenchmarkPutRewards(b *testing.B) {
	for _, sync := range []bool{true, false} {
		for _, writers := range []int{1, 16} {
			for _, batch := range []int{1, 20, 200} {
				b.Run(fmt.Sprintf("sync=%t/writers=%d/batch=%d", sync, writers, batch), func(b *testing.B) {
					s := open(b, b.TempDir(), Options{NoSync: !sync})
					cards := make([]uuid.UUID, 1000)
					for i := range cards {
						cards[i] = uuid.New()
					}
					template := rewardertest.Row(uuid.New(), 1, loyalty.Position{Incarnation: 1})
					var next atomic.Int64
					b.ResetTimer()
					var wg errgroup.Group
					for range writers {
						wg.Go(func() error {
							rows := make([]loyalty.Row, batch)
							for {
								first := next.Add(int64(batch)) - int64(batch)
								if first >= int64(b.N) {
									return nil
								}
								for i := range rows {
									n := first + int64(i)
									rows[i] = template
									rows[i].CardID = cards[n%1000]
									binary.BigEndian.PutUint64(rows[i].ID[:], uint64(n)*0x9e3779b97f4a7c15)
									rows[i].Position.Offset = n
								}
								if err := s.PutRewards(context.Background(), rows); err != nil {
									return err
								}
							}
						})
					}
					if err := wg.Wait(); err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
				})
			}
		}
	}
}
