package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
)

// maxInFlight is how many transactions may be on their way to Kafka at a time: while it is away they
// must not pile up. (A lambda has one.)
const maxInFlight = 256

var (
	errBusy   = errors.New("too many transactions are on their way to Kafka")
	errClosed = errors.New("the handler is closed")
)

// producerConfig tries for some seconds: a request is waiting. A connection that died while the lambda
// slept takes one of the tries.
func producerConfig() *sarama.Config {
	c := kafkaconn.Producer("angelowl-publish-single")
	const pause = 250 * time.Millisecond
	c.Net.DialTimeout = 3 * time.Second
	c.Net.ReadTimeout = 5 * time.Second
	c.Net.WriteTimeout = 5 * time.Second
	c.Metadata.Timeout = 6 * time.Second // of all tries, where connecting hangs
	c.Metadata.Retry.Max = 4
	c.Metadata.Retry.Backoff = pause
	c.Producer.Timeout = 4 * time.Second
	c.Producer.Retry.Max = 8
	c.Producer.Retry.Backoff = pause
	return c
}

// queue sends transactions one by one. It connects when there is one to send.
type queue struct {
	connect func(*sarama.Config) (sarama.SyncProducer, error)
	slots   chan struct{}

	mu         sync.Mutex
	producer   sarama.SyncProducer
	connecting *attempt
	closed     bool
	onTheWay   sync.WaitGroup
}

// attempt is one try to connect, which all who wait for it share.
type attempt struct {
	done     chan struct{}
	producer sarama.SyncProducer
	err      error
}

func newQueue(connect func(*sarama.Config) (sarama.SyncProducer, error)) *queue {
	return &queue{connect: connect, slots: make(chan struct{}, maxInFlight)}
}

// send returns nil when Kafka has acknowledged the message. When it returns an error after ctx has
// ended, the message may still arrive.
func (q *queue) send(ctx context.Context, m *sarama.ProducerMessage) error {
	select {
	case q.slots <- struct{}{}:
	default:
		return errBusy
	}
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		<-q.slots
		return errClosed
	}
	q.onTheWay.Add(1)
	q.mu.Unlock()
	sent := make(chan error, 1)
	go func() {
		defer q.onTheWay.Done()
		defer func() { <-q.slots }()
		p, err := q.connected()
		if err == nil {
			if err = ctx.Err(); err == nil { // what nobody waits for any more is not begun
				_, _, err = p.SendMessage(m)
			}
		}
		sent <- err
	}()
	select {
	case err := <-sent:
		if err != nil {
			return fmt.Errorf("producing to Kafka: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("producing to Kafka: %w", context.Cause(ctx))
	}
}

// connected returns the producer; it waits for one who is connecting.
func (q *queue) connected() (sarama.SyncProducer, error) {
	q.mu.Lock()
	if q.producer != nil {
		defer q.mu.Unlock()
		return q.producer, nil
	}
	a := q.connecting
	if a != nil {
		q.mu.Unlock()
		<-a.done
		return a.producer, a.err
	}
	a = &attempt{done: make(chan struct{})}
	q.connecting = a
	q.mu.Unlock()
	a.producer, a.err = q.connect(producerConfig())
	if a.err != nil {
		a.producer, a.err = nil, fmt.Errorf("connecting: %w", a.err)
	}
	q.mu.Lock()
	q.producer, q.connecting = a.producer, nil
	q.mu.Unlock()
	close(a.done)
	return a.producer, a.err
}

func (q *queue) close() error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.onTheWay.Wait()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.producer == nil {
		return nil
	}
	err := q.producer.Close()
	q.producer = nil
	return err
}
