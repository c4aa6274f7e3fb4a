package ops

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
)

// Connect returns a client of a Kafka cluster. Its producers put a card's transactions into the
// partition into which everybody puts them. Network sets what the way to Kafka needs (TLS, SASL);
// nil: nothing.
func Connect(brokers []string, name string, network func(*sarama.Config)) (sarama.Client, error) {
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.ClientID = name
	c.Metadata.AllowAutoTopicCreation = false
	c.Consumer.Return.Errors = true
	c.Consumer.MaxWaitTime = 10 * time.Millisecond // closing a partition waits for the fetch under way
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	if network != nil {
		network(c)
	}
	client, err := sarama.NewClient(brokers, c)
	if err != nil {
		return nil, fmt.Errorf("connecting to Kafka: %w", err)
	}
	return client, nil
}

// Records calls f with every record that a topic has now, partition by partition, in order.
func Records(ctx context.Context, client sarama.Client, topic string, f func(*sarama.ConsumerMessage) error) error {
	partitions, err := client.Partitions(topic)
	if err != nil {
		return fmt.Errorf("reading %s: %w", topic, err)
	}
	for _, p := range partitions {
		start, end, err := bounds(client, topic, p)
		if err == nil {
			err = read(ctx, client, topic, p, start, end, f)
		}
		if err != nil {
			return fmt.Errorf("reading partition %d of %s: %w", p, topic, err)
		}
	}
	return nil
}

// bounds are the first offset of a partition and the one behind its last.
func bounds(client sarama.Client, topic string, p int32) (start, end int64, err error) {
	if start, err = client.GetOffset(topic, p, sarama.OffsetOldest); err != nil {
		return 0, 0, err
	}
	end, err = client.GetOffset(topic, p, sarama.OffsetNewest)
	return start, end, err
}

// read calls f with the records of a partition from an offset to before another.
func read(ctx context.Context, client sarama.Client, topic string, p int32, next, end int64, f func(*sarama.ConsumerMessage) error) error {
	if next >= end {
		return nil
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return err
	}
	defer consumer.Close()
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
			if m.Offset >= end {
				return nil
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

// Record is a record of the dead letters' topic.
type Record struct {
	At      loyalty.Position // of the record that was set aside
	Message *sarama.ConsumerMessage
}

// parse says which dead letter a record of their topic is, or marks as sent again.
func parse(m *sarama.ConsumerMessage) (r Record, mark bool, err error) {
	if Header(m, record.HeaderKind) == record.KindResent && Header(m, record.HeaderReason) == "" {
		at, err := record.ParseLetterID(Header(m, record.HeaderResentOf))
		if err != nil {
			return r, true, fmt.Errorf("a mark does not say which dead letter was sent again: %w", err)
		}
		return Record{at, m}, true, nil
	}
	incarnation, err1 := strconv.ParseInt(Header(m, record.HeaderIncarnation), 10, 64)
	partition, err2 := strconv.ParseInt(Header(m, record.HeaderPartition), 10, 32)
	offset, err3 := strconv.ParseInt(Header(m, record.HeaderOffset), 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return r, false, fmt.Errorf("a dead letter does not say where it was: %w", err)
	}
	return Record{loyalty.Position{Incarnation: incarnation, Partition: int32(partition), Offset: offset}, m}, false, nil
}

// Read calls letter with each dead letter of a topic once, in the order in which they were set
// aside, and mark with each mark that one was sent again. A letter may be in its topic more than once.
func Read(ctx context.Context, client sarama.Client, topic string, letter, mark func(Record) error) error {
	seen := map[loyalty.Position]bool{}
	return Records(ctx, client, topic, func(m *sarama.ConsumerMessage) error {
		r, isMark, err := parse(m)
		switch {
		case err != nil:
			return err
		case isMark:
			return mark(r)
		case seen[r.At]:
			return nil
		}
		seen[r.At] = true
		return letter(r)
	})
}
