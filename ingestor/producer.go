package ingestor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// producerConfig waits some 10 s for Kafka to elect a leader. Once the file has failed there is
// nothing to wait for: sarama pauses before each message that is left, and with thousands of them in
// flight the invocation would not end.
func producerConfig(failed <-chan struct{}) *sarama.Config {
	c := kafkaconn.Producer("angelowl-ingestor")
	pause := func(int, int) time.Duration {
		select {
		case <-failed:
			return 0
		default:
			return 250 * time.Millisecond
		}
	}
	c.Metadata.Timeout = 20 * time.Second // of all tries, where connecting hangs
	c.Metadata.Retry.Max = 40
	c.Metadata.Retry.BackoffFunc = pause
	c.Producer.Retry.Max = 40
	c.Producer.Retry.BackoffFunc = pause
	return c
}

// queue sends the rows of one file, a bounded number at a time.
type queue struct {
	producer sarama.AsyncProducer
	slots    chan struct{}
	failed   chan struct{} // closed after the first error
	finished sync.WaitGroup
	once     sync.Once
	err      error // the first; read it after failed is closed

	mu     sync.Mutex
	ranges map[int32]upload.Range // of what is acknowledged
}

// newQueue connects to Kafka.
func newQueue(connect func(*sarama.Config) (sarama.AsyncProducer, error), inFlight int) (*queue, error) {
	q := &queue{slots: make(chan struct{}, inFlight), failed: make(chan struct{}), ranges: map[int32]upload.Range{}}
	var err error
	if q.producer, err = connect(producerConfig(q.failed)); err != nil {
		return nil, fmt.Errorf("connecting to Kafka: %w", err)
	}
	q.finished.Go(func() {
		for m := range q.producer.Successes() {
			q.acknowledged(m.Partition, m.Offset)
			<-q.slots
		}
	})
	q.finished.Go(func() {
		for e := range q.producer.Errors() {
			q.fail(e.Err)
			<-q.slots
		}
	})
	return q, nil
}

func (q *queue) fail(err error) {
	q.once.Do(func() {
		q.err = err
		close(q.failed)
	})
}

// send queues a row. Nothing is acknowledged until close has returned nil.
func (q *queue) send(ctx context.Context, m *sarama.ProducerMessage) error {
	select {
	case q.slots <- struct{}{}:
	case <-q.failed:
		return fmt.Errorf("producing to Kafka: %w", q.err)
	case <-ctx.Done():
		q.fail(context.Cause(ctx))
		return fmt.Errorf("producing to Kafka: %w", context.Cause(ctx))
	}
	select {
	case q.producer.Input() <- m:
		return nil
	case <-ctx.Done():
		<-q.slots
		q.fail(context.Cause(ctx))
		return fmt.Errorf("producing to Kafka: %w", context.Cause(ctx))
	}
}

func (q *queue) acknowledged(partition int32, offset int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r, ok := q.ranges[partition]
	if !ok {
		r = upload.Range{Partition: partition, First: offset, Last: offset}
	}
	r.First, r.Last = min(r.First, offset), max(r.Last, offset)
	q.ranges[partition] = r
}

// where is where the acknowledged rows are, those of before among them.
func (q *queue) where(before []upload.Range) []upload.Range {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := maps.Clone(q.ranges)
	for _, b := range before {
		if r, ok := all[b.Partition]; ok {
			b.First, b.Last = min(b.First, r.First), max(b.Last, r.Last)
		}
		all[b.Partition] = b
	}
	return slices.SortedFunc(maps.Values(all), func(a, b upload.Range) int { return cmp.Compare(a.Partition, b.Partition) })
}

// drain waits until all that was sent is acknowledged.
func (q *queue) drain(ctx context.Context) error {
	taken := 0
	defer func() {
		for range taken {
			<-q.slots
		}
	}()
	for range cap(q.slots) {
		select {
		case q.slots <- struct{}{}:
			taken++
		case <-q.failed:
			return fmt.Errorf("producing to Kafka: %w", q.err)
		case <-ctx.Done():
			q.fail(context.Cause(ctx))
			return fmt.Errorf("producing to Kafka: %w", context.Cause(ctx))
		}
	}
	select {
	case <-q.failed:
		return fmt.Errorf("producing to Kafka: %w", q.err)
	default:
		return nil
	}
}

// close waits for what is on its way. nil: all of it is acknowledged. When ctx ends, it gives up
// the patience that is left.
func (q *queue) close(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { q.fail(context.Cause(ctx)) })
	defer stop()
	q.producer.AsyncClose()
	q.finished.Wait()
	select {
	case <-q.failed:
		return fmt.Errorf("producing to Kafka: %w", q.err)
	default:
		return nil
	}
}
