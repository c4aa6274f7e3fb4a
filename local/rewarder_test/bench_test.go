package rewarder_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/local/pebble"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/rewarder"
)

// BenchmarkRewarder rewards a backlog, from the log to the durable store, and compares the CPU
// time of it with that of the two things that no rewarder can do without: a consumer that decodes
// each record with the same codec, and a loader that writes the same rows, ready made, in the
// same batches and as many at once. ratio is rewarder ÷ (consumer + loader), of one run; broker
// and store are in this process, and their time is in all of them.
func BenchmarkRewarder(b *testing.B) {
	const rows = 200_000
	w := newWorld(b, 4)
	w.rules()
	for n := 0; n < rows; n += 5000 {
		w.produce(many(n, n+5000)...)
	}
	w.reward(rows) // the group is there from now on
	var rewarding, consuming, loading, elapsed time.Duration
	var writes int
	for b.Loop() {
		w.again()
		w.fresh()
		var written []written
		rewarding += cpu(func() {
			began := time.Now()
			written = w.reward(rows)
			elapsed += time.Since(began)
		})
		writes += len(written)
		consuming += cpu(func() { w.consume(rows) })
		batches := w.batches(written) // not before: the collector would have them on its way
		w.fresh()
		loading += cpu(func() { w.load(batches) })
	}
	per := func(d time.Duration) float64 { return float64(d) / float64(b.N) / rows }
	b.ReportMetric(float64(rewarding)/float64(consuming+loading), "ratio")
	b.ReportMetric(per(rewarding), "rewarder-ns/row")
	b.ReportMetric(per(consuming), "consumer-ns/row")
	b.ReportMetric(per(loading), "loader-ns/row")
	b.ReportMetric(rows*float64(b.N)/elapsed.Seconds(), "rows/s")
	b.ReportMetric(rows*float64(b.N)/float64(writes), "rows/batch")
	b.ReportMetric(0, "ns/op")
}

// cpu is the CPU time that f takes of the process, with what it leaves to others: the store
// flushes and compacts for a while after the last row.
func cpu(f func()) time.Duration {
	runtime.GC()
	before := used()
	f()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for last := used(); ; {
		<-tick.C
		now := used()
		if now-last < 5*time.Millisecond { // a tenth of a processor; an idle etcd ticks
			return now - before
		}
		last = now
	}
}

func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fresh gives the world an empty store.
func (w *world) fresh() {
	w.t.Helper()
	w.must(w.store.Close())
	p, err := pebble.Open(w.t.TempDir(), pebble.Options{})
	w.must(err)
	w.store.Store = p
}

// written is a batch of rows that a rewarder has stored.
type written struct {
	from loyalty.Position
	rows int
}

// reward runs a rewarder over the whole log into an empty store.
func (w *world) reward(rows int) (all []written) {
	w.t.Helper()
	var mu sync.Mutex
	left, done := rows, make(chan struct{})
	w.store.stored = func(batch []loyalty.Row) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, written{batch[0].Position, len(batch)})
		if left -= len(batch); left == 0 {
			close(done)
		}
	}
	r := w.start("a", func(c *rewarder.Config) {
		*c = rewarder.Config{Brokers: c.Brokers, Group: c.Group, Name: c.Name, Home: c.Home}
	})
	select {
	case <-done:
	case <-time.After(time.Minute):
		w.t.Fatal("rows are missing")
	}
	r.stop()
	w.store.stored = nil
	return all
}

// batches are the rows as they were written, made from the log once more.
func (w *world) batches(all []written) (batches [][]loyalty.Row) {
	w.t.Helper()
	snap, err := rulebook.Load(context.Background(), w.etcd, home)
	w.must(err)
	records := map[loyalty.Position]*sarama.ConsumerMessage{}
	for _, m := range w.records(topic) {
		records[loyalty.Position{Incarnation: 1, Partition: m.Partition, Offset: m.Offset}] = m
	}
	for _, b := range all {
		batch := make([]loyalty.Row, b.rows)
		at := b.from
		for i := range batch {
			tx, err := loyalty.DecodeTransaction(records[at].Value, home)
			w.must(err)
			batch[i].Reward, err = snap.Rules.Reward(&tx)
			w.must(err)
			batch[i].CreatedAt, batch[i].Position = records[at].Timestamp.UTC().Truncate(time.Millisecond), at
			at.Offset++
		}
		batches = append(batches, batch)
	}
	return batches
}

// consume reads and decodes the whole log.
func (w *world) consume(rows int) {
	w.t.Helper()
	c, err := sarama.NewConsumerFromClient(w.kafka)
	w.must(err)
	defer func() { w.must(c.Close()) }()
	var group sync.WaitGroup
	var read atomic.Int64
	for p := range int32(w.broker.Partitions()) {
		end, err := w.kafka.GetOffset(topic, p, sarama.OffsetNewest)
		w.must(err)
		pc, err := c.ConsumePartition(topic, p, sarama.OffsetOldest)
		w.must(err)
		group.Go(func() {
			defer pc.AsyncClose()
			for m := range pc.Messages() {
				if header(m, record.HeaderKind) == "" {
					if _, err := loyalty.DecodeTransaction(m.Value, home); err != nil {
						w.t.Error(err)
					}
					read.Add(1)
				}
				if m.Offset+1 >= end {
					return
				}
			}
		})
	}
	group.Wait()
	if n := int(read.Load()); n != rows {
		w.t.Fatalf("%d rows were read, not %d", n, rows)
	}
}

// load writes batches, as many at once as a rewarder does.
func (w *world) load(batches [][]loyalty.Row) {
	w.t.Helper()
	next := make(chan []loyalty.Row)
	var group sync.WaitGroup
	for range 6 * w.broker.Partitions() {
		group.Go(func() {
			for batch := range next {
				if err := w.store.PutRewards(context.Background(), batch); err != nil {
					w.t.Error(err)
				}
			}
		})
	}
	for _, batch := range batches {
		next <- batch
	}
	close(next)
	group.Wait()
}
