package stack

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/rewarder"
	"github.com/angelowl-loyalties/app/rewarder/ops"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// look is how often a wait looks again: the systems that are waited for tell nobody.
const look = 25 * time.Millisecond

// until calls f until it is done, fails or ctx ends.
func until(ctx context.Context, f func(context.Context) (done bool, err error)) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		done, err := f(ctx)
		if done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// AwaitRules waits until everything that the databases hold is published and every partition has
// that rule set in force, and returns its hash.
func (s *Stack) AwaitRules(ctx context.Context) (loyalty.Hash, error) {
	for _, store := range []outbox.Store{s.campaigns, s.accounts} {
		err := until(ctx, func(ctx context.Context) (bool, error) {
			waiting, _, err := store.Backlog(ctx) // Waiting leaves out what the publisher has in its hands
			return waiting == 0, err
		})
		if err != nil {
			return loyalty.Hash{}, fmt.Errorf("waiting for the rules to be published: %w", err)
		}
	}
	// The last of the publishers to have filled etcd begins the epoch, after its outbox is empty.
	var live rulebook.Snapshot
	err := until(ctx, func(ctx context.Context) (_ bool, err error) {
		if live, err = rulebook.Load(ctx, s.Etcd, s.Home); !errors.Is(err, rulebook.ErrEmpty) {
			return err == nil, err
		}
		rules := int64(0)
		for _, k := range rulebook.Kinds {
			some, err := s.Etcd.Get(ctx, rulebook.Key(k, ""), clientv3.WithPrefix(), clientv3.WithCountOnly())
			if err != nil {
				return false, err
			}
			rules += some.Count
		}
		if rules == 0 {
			return false, ErrNoRules
		}
		return false, nil
	})
	if errors.Is(err, ErrNoRules) {
		return loyalty.Hash{}, err
	}
	if err != nil {
		return loyalty.Hash{}, fmt.Errorf("waiting for the rules to be published: %w", err)
	}
	err = until(ctx, func(ctx context.Context) (bool, error) {
		inForce, err := s.InForce(ctx)
		if err != nil {
			return false, err
		}
		var newest record.Marker
		done := true
		for p := range s.partitions {
			f, ok := inForce[int32(p)]
			done = done && ok && f.Hash == live.Rules.Hash()
			if m := (record.Marker{Hash: f.Hash, Epoch: f.Epoch, Revision: f.Revision}); ok && m.After(newest) {
				newest = m
			}
		}
		if !done && newest.After(live.Marker()) { // somebody has edited them meanwhile
			live, err = rulebook.Load(ctx, s.Etcd, s.Home)
		}
		return done, err
	})
	if err != nil {
		return loyalty.Hash{}, fmt.Errorf("waiting for the rules to be in force: %w", err)
	}
	return live.Rules.Hash(), nil
}

// InForce is what rewarders say of each partition.
func (s *Stack) InForce(ctx context.Context) (map[int32]rulebook.InForce, error) {
	return ops.InForceOf(ctx, s.Etcd, record.Topic)
}

// AwaitReport waits until an upload has been read to its end.
func (s *Stack) AwaitReport(ctx context.Context, upload string) (r *ingestor.Report, err error) {
	err = until(ctx, func(ctx context.Context) (bool, error) {
		r, err = s.Report(ctx, upload)
		if errors.Is(err, ErrNoReport) {
			return false, nil
		}
		return err == nil, err
	})
	return r, err
}

// AwaitRewarded waits until every record that is in the log now is rewarded or set aside; left is
// told how many are not yet.
func (s *Stack) AwaitRewarded(ctx context.Context, left func(int64)) error {
	client, err := s.kafka()
	if err != nil {
		return err
	}
	defer client.Close()
	return until(ctx, func(ctx context.Context) (bool, error) {
		lags, err := rewarder.Lag(ctx, client, Group, record.Topic)
		if err != nil {
			return false, err
		}
		var n int64
		for _, l := range lags {
			n += l.Records()
		}
		if left != nil {
			left(n)
		}
		return n == 0, nil
	})
}

func (s *Stack) kafka() (sarama.Client, error) { return Connect(s.Brokers) }

// Connect returns a client of a Kafka cluster, as ops.Connect does.
func Connect(brokers []string) (sarama.Client, error) {
	return ops.Connect(brokers, "angelowl-local", nil)
}

// DeadLetterTopic holds what was set aside.
const DeadLetterTopic = record.Topic + record.DeadLetterSuffix

// Records calls f with every record that a topic has now, partition by partition, in order.
func (s *Stack) Records(ctx context.Context, topic string, f func(*sarama.ConsumerMessage) error) error {
	client, err := s.kafka()
	if err != nil {
		return err
	}
	defer client.Close()
	return ops.Records(ctx, client, topic, f)
}

// Header returns a header of a record, or "".
func Header(m *sarama.ConsumerMessage, key string) string { return ops.Header(m, key) }

// DeadLetter is a record that was set aside.
type DeadLetter = ops.Record

// DeadLetters calls f with each dead letter once, in the order in which they were set aside: a
// letter may be in its topic more than once.
func (s *Stack) DeadLetters(ctx context.Context, f func(DeadLetter) error) error {
	client, err := s.kafka()
	if err != nil {
		return err
	}
	defer client.Close()
	return ops.Read(ctx, client, DeadLetterTopic, f, func(DeadLetter) error { return nil })
}
