// Package ops is how a person looks after a running system: sees how far the log is read and by
// whom, which rules are in force, what was set aside and why, and sends that again. The rewarder
// serves it to admins over HTTP, and the command line of the all-in-one has it, too.
package ops

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// MaxRecords is how many records of the dead letters' topic a service looks at, the newest: so much
// memory, and so much work at the first request; later ones read what is new.
const MaxRecords = 50_000

// Config says what is looked after.
type Config struct {
	Home       loyalty.Currency
	Topic      string // of transactions; "": record.Topic
	Group      string // the rewarders' consumer group
	MaxRecords int64  // of the dead letters' topic, the newest so many; 0: all
}

// Deps are what it works with.
type Deps struct {
	Etcd  *clientv3.Client
	Kafka func() (sarama.Client, error) // is called once it is needed, and again while it fails
	Clock func() time.Time
}

// Desk looks after a system. It may be used by several goroutines at once. Close it after use.
type Desk struct {
	cfg   Config
	etcd  *clientv3.Client
	clock func() time.Time
	dial  func() (sarama.Client, error)

	mu     sync.Mutex
	client sarama.Client

	turn  chan struct{} // held by whoever reads or writes letters
	index index
}

// ErrAway says that Kafka or etcd does not answer, so that nothing can be said.
var ErrAway = errors.New("the log or etcd cannot be reached")

// New returns a desk. Nothing is connected to before it is needed.
func New(cfg Config, deps Deps) *Desk {
	if cfg.Topic == "" {
		cfg.Topic = record.Topic
	}
	d := &Desk{cfg: cfg, etcd: deps.Etcd, clock: deps.Clock, dial: deps.Kafka, turn: make(chan struct{}, 1)}
	d.index = newIndex()
	return d
}

// Close ends the connection to Kafka.
func (d *Desk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.client == nil {
		return nil
	}
	err := d.client.Close()
	d.client = nil
	return err
}

func (d *Desk) kafka() (sarama.Client, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.client == nil {
		client, err := d.dial()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAway, err)
		}
		d.client = client
	}
	return d.client, nil
}

func (d *Desk) deadLetterTopic() string { return d.cfg.Topic + record.DeadLetterSuffix }

// take waits until nobody else reads or writes letters.
func (d *Desk) take(ctx context.Context) error {
	select {
	case d.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: waiting for another look at the dead letters: %w", ErrAway, context.Cause(ctx))
	}
}

func (d *Desk) give() { <-d.turn }
