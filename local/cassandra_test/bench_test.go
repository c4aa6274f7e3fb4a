//go:build unix

package cassandra_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	informertest "github.com/angelowl-loyalties/app/informer/storetest"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	rewardertest "github.com/angelowl-loyalties/app/rewarder/storetest"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// What a busy rewarder does: calls at once, rows of each, and writes under way in all.
const (
	benchCalls  = 6
	benchRows   = 500
	benchFlight = 64
)

// cost is what one of two sides took.
type cost struct {
	rows      int
	wall, cpu time.Duration
}

func (c *cost) measure(b *testing.B, rows int, f func() error) {
	b.Helper()
	cpu, begin := cpuTime(b), time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	c.rows += rows
	c.wall += time.Since(begin)
	c.cpu += cpuTime(b) - cpu
}

func (c *cost) perSecond() float64 { return float64(c.rows) / c.wall.Seconds() }

// cpuTime is what this process has had, the driver's own goroutines and the garbage collector too.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPutRewards has the store and a bare loader write rows of one kind in turns. The loader
// has all cells and batches made before its time begins, and the same number of writes under way.
func BenchmarkPutRewards(b *testing.B) {
	cfg := config(b)
	s := open(b, cfg, nil)
	raw := session(b, cfg)
	for _, cards := range []int{benchRows, benchRows / 20} {
		b.Run(fmt.Sprintf("%d cards in %d rows", cards, benchRows), func(b *testing.B) {
			offset := int64(0)
			rounds := func() (calls [][]loyalty.Row) {
				for range benchCalls {
					ids := make([]uuid.UUID, cards)
					for i := range ids {
						ids[i] = uuid.New()
					}
					rows := make([]loyalty.Row, benchRows)
					for i := range rows {
						offset++
						rows[i] = rewardertest.Row(ids[i%cards], i, loyalty.Position{Incarnation: 1, Offset: offset})
					}
					calls = append(calls, rows)
				}
				return calls
			}
			var store, bare cost
			for b.Loop() {
				calls := rounds()
				store.measure(b, benchCalls*benchRows, func() error {
					var g errgroup.Group
					for _, rows := range calls {
						g.Go(func() error { return s.PutRewards(context.Background(), rows) })
					}
					return g.Wait()
				})
				load := prebuilt(b, raw, rounds())
				bare.measure(b, benchCalls*benchRows, func() error {
					var g errgroup.Group
					g.SetLimit(benchFlight)
					for _, send := range load {
						g.Go(send)
					}
					return g.Wait()
				})
			}
			b.ReportMetric(store.perSecond(), "rows/s")
			b.ReportMetric(bare.perSecond(), "bare-rows/s")
			b.ReportMetric(store.perSecond()/bare.perSecond(), "rows/bare")
			b.ReportMetric(float64(store.cpu.Nanoseconds())/float64(store.rows), "cpu-ns/row")
			b.ReportMetric(store.cpu.Seconds()/bare.cpu.Seconds(), "cpu/bare")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// prebuilt are the writes of a loader that knows all beforehand: rows of one card together, entries
// of one bucket together.
func prebuilt(b *testing.B, s *gocql.Session, calls [][]loyalty.Row) (load []func() error) {
	insert := func(table string, columns []string) string {
		return "INSERT INTO " + table + " (" + strings.Join(columns, ",") + ") VALUES (?" + strings.Repeat(",?", len(columns)-1) + ") USING TIMESTAMP ?"
	}
	into, index := insert("rewards", rewarddb.Columns[:]), insert("rewards_by_day", rewarddb.EntryColumns[:])
	type bound struct {
		row        loyalty.Row
		day        loyalty.Date
		row1, day1 []any
	}
	add := func(statement string, all []bound, most int, same func(a, b *bound) bool, args func(*bound) []any) {
		for len(all) > 0 {
			n := 1
			for n < len(all) && n < most && same(&all[0], &all[n]) {
				n++
			}
			if n == 1 {
				q := s.Query(statement, args(&all[0])...)
				load = append(load, func() error { return rewarddb.Retry(context.Background(), q.Exec) })
			} else {
				batch := s.Batch(gocql.UnloggedBatch)
				for i := range all[:n] {
					batch.Entries = append(batch.Entries, gocql.BatchEntry{Stmt: statement, Args: args(&all[i]), Idempotent: true})
				}
				load = append(load, func() error { return rewarddb.Retry(context.Background(), batch.Exec) })
			}
			all = all[n:]
		}
	}
	for _, rows := range calls {
		all := make([]bound, len(rows))
		for i := range rows {
			r := &all[i]
			r.row, r.day = rows[i], loyalty.DateOf(rows[i].CreatedAt.Date())
			var v rewarddb.Values
			if err := v.Set(&r.row); err != nil {
				b.Fatal(err)
			}
			var e rewarddb.EntryValues
			e.Set(r.day, &r.row)
			r.row1 = append(v.Pointers(), r.row.Position.WriteTime())
			r.day1 = append(e.Pointers(), r.row.Position.WriteTime())
		}
		slices.SortFunc(all, func(a, b bound) int { return bytes.Compare(a.row.CardID[:], b.row.CardID[:]) })
		add(into, all, 32, func(a, b *bound) bool { return a.row.CardID == b.row.CardID }, func(r *bound) []any { return r.row1 })
		slices.SortFunc(all, func(a, b bound) int {
			return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(rewarddb.Bucket(a.row.CardID), rewarddb.Bucket(b.row.CardID)))
		})
		add(index, all, 64, func(a, b *bound) bool {
			return a.day == b.day && rewarddb.Bucket(a.row.CardID) == rewarddb.Bucket(b.row.CardID)
		}, func(r *bound) []any { return r.day1 })
	}
	return load
}

// BenchmarkPage reads a page of 20 rows by cursor, of a card with 100 rows and of one with 100,000
// in turns.
func BenchmarkPage(b *testing.B) {
	s := open(b, config(b), nil)
	type card struct {
		next  func() error
		times []time.Duration
	}
	fill := func(rows, behind int) *card {
		id := uuid.New()
		informertest.Fill(b, s, id, rows)
		q := informer.Query{Card: id}
		for ; behind > 0; behind -= q.Limit {
			q.Limit = min(behind, 1000)
			page, err := s.Rewards(b.Context(), q)
			if err != nil {
				b.Fatal(err)
			}
			q.After = page.Next
		}
		q.Limit = 20
		return &card{next: func() error {
			page, err := s.Rewards(context.Background(), q)
			if err == nil && len(page.Rows) != q.Limit {
				err = fmt.Errorf("a page of %d rows", len(page.Rows))
			}
			return err
		}}
	}
	small, large := fill(100, 40), fill(100_000, 40_000)
	for range 500 { // both warm
		for _, c := range []*card{small, large} {
			if err := c.next(); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		for _, c := range []*card{small, large} {
			begin := time.Now()
			if err := c.next(); err != nil {
				b.Fatal(err)
			}
			c.times = append(c.times, time.Since(begin))
		}
	}
	median := func(c *card) float64 {
		slices.Sort(c.times)
		return float64(c.times[len(c.times)/2].Nanoseconds())
	}
	b.ReportMetric(median(small)/1000, "small-µs")
	b.ReportMetric(median(large)/1000, "large-µs")
	b.ReportMetric(median(large)/median(small), "large/small")
	b.ReportMetric(0, "ns/op")
}
