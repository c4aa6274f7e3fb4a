package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/rewarder"
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
			waiting, err := store.Waiting(ctx, 1)
			return len(waiting) == 0, err
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
		for p := range s.partitions {
			if f, ok := inForce[int32(p)]; !ok || f.Hash != live.Rules.Hash() {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return loyalty.Hash{}, fmt.Errorf("waiting for the rules to be in force: %w", err)
	}
	return live.Rules.Hash(), nil
}

// InForce is what rewarders say of each partition.
func (s *Stack) InForce(ctx context.Context) (map[int32]rulebook.InForce, error) {
	return InForce(ctx, s.Etcd)
}

// InForce is what rewarders say in etcd of each partition.
func InForce(ctx context.Context, cli *clientv3.Client) (map[int32]rulebook.InForce, error) {
	prefix := rulebook.InForcePrefix + record.Topic + "/"
	got, err := cli.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("reading what is in force: %w", err)
	}
	out := make(map[int32]rulebook.InForce, len(got.Kvs))
	for _, kv := range got.Kvs {
		p, err := strconv.ParseInt(string(kv.Key[len(prefix):]), 10, 32)
		if err != nil {
			continue
		}
		var f rulebook.InForce
		if err := json.Unmarshal(kv.Value, &f); err != nil {
			return nil, fmt.Errorf("reading what partition %d has in force: %w", p, err)
		}
		out[int32(p)] = f
	}
	return out, nil
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

// Connect returns a client of a Kafka cluster. Its producers put a card's transactions into the
// partition into which everybody puts them.
func Connect(brokers []string) (sarama.Client, error) {
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.ClientID = "angelowl-local"
	c.Metadata.AllowAutoTopicCreation = false
	c.Consumer.Return.Errors = true
	c.Consumer.MaxWaitTime = 10 * time.Millisecond // closing a partition waits for the fetch under way
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	client, err := sarama.NewClient(brokers, c)
	if err != nil {
		return nil, fmt.Errorf("connecting to Kafka: %w", err)
	}
	return client, nil
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
	return records(ctx, client, topic, f)
}

func records(ctx context.Context, client sarama.Client, topic string, f func(*sarama.ConsumerMessage) error) error {
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return fmt.Errorf("reading %s: %w", topic, err)
	}
	defer consumer.Close()
	partitions, err := client.Partitions(topic)
	if err != nil {
		return fmt.Errorf("reading %s: %w", topic, err)
	}
	for _, p := range partitions {
		if err := readPartition(ctx, client, consumer, topic, p, f); err != nil {
			return fmt.Errorf("reading partition %d of %s: %w", p, topic, err)
		}
	}
	return nil
}

func readPartition(ctx context.Context, client sarama.Client, consumer sarama.Consumer, topic string, p int32, f func(*sarama.ConsumerMessage) error) error {
	next, err := client.GetOffset(topic, p, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
	if err != nil || next >= end {
		return err
	}
	part, err := consumer.ConsumePartition(topic, p, next)
	if err != nil {
		return err
	}
	defer part.Close()
	for next < end {
		select {
		case m, ok := <-part.Messages():
			if !ok {
				return errors.New("the broker has closed the connection")
			}
			if err := f(m); err != nil {
				return err
			}
			next = m.Offset + 1
		case err := <-part.Errors():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Header returns a header of a record, or "".
func Header(m *sarama.ConsumerMessage, key string) string {
	for _, h := range m.Headers {
		if h != nil && string(h.Key) == key {
			return string(h.Value)
		}
	}
	return ""
}

// DeadLetter is a record that was set aside.
type DeadLetter struct {
	At      loyalty.Position // of the record
	Message *sarama.ConsumerMessage
}

// DeadLetters calls f with each dead letter once, in the order in which they were set aside: a
// letter may be in its topic more than once.
func (s *Stack) DeadLetters(ctx context.Context, f func(DeadLetter) error) error {
	client, err := s.kafka()
	if err != nil {
		return err
	}
	defer client.Close()
	return ReadDeadLetters(ctx, client, f, func(DeadLetter) error { return nil })
}

// ReadDeadLetters calls letter with each dead letter once, and mark with each mark that one was
// sent again: its At is the dead letter's.
func ReadDeadLetters(ctx context.Context, client sarama.Client, letter, mark func(DeadLetter) error) error {
	seen := map[loyalty.Position]bool{}
	return records(ctx, client, DeadLetterTopic, func(m *sarama.ConsumerMessage) error {
		if Header(m, record.HeaderKind) == record.KindResent && Header(m, record.HeaderReason) == "" {
			at, err := record.ParseLetterID(Header(m, record.HeaderResentOf))
			if err != nil {
				return fmt.Errorf("a mark does not say which dead letter was sent again: %w", err)
			}
			return mark(DeadLetter{at, m})
		}
		incarnation, err1 := strconv.ParseInt(Header(m, record.HeaderIncarnation), 10, 64)
		partition, err2 := strconv.ParseInt(Header(m, record.HeaderPartition), 10, 32)
		offset, err3 := strconv.ParseInt(Header(m, record.HeaderOffset), 10, 64)
		if err := errors.Join(err1, err2, err3); err != nil {
			return fmt.Errorf("a dead letter does not say where it was: %w", err)
		}
		at := loyalty.Position{Incarnation: incarnation, Partition: int32(partition), Offset: offset}
		if seen[at] {
			return nil
		}
		seen[at] = true
		return letter(DeadLetter{at, m})
	})
}
