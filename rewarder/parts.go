package rewarder

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// partLog keeps the parts of rule sets outside of the reward store. A marker names its rule set by a hash
// alone; a store that was lost and restored from a backup lacks what came into force since, and without it
// the log could not be read again.
type partLog interface {
	// send keeps parts; when it returns nil they are durable.
	send(ctx context.Context, parts []rules.Part) error

	// read calls take with all parts that were kept, some at a time. Called again after an error it goes on
	// where take did not fail. It may be called by one goroutine at a time.
	read(ctx context.Context, take func([]rules.Part) error) error
}

// partTopic is the topic of parts, which is compacted: the key is a part's hash, the value the part, gzipped.
type partTopic struct {
	r     *rewarder
	topic string
	conf  *sarama.Config

	next map[int32]int64 // by partition, where to go on after an error
}

func newPartTopic(r *rewarder, conf *sarama.Config) *partTopic {
	return &partTopic{r: r, topic: r.cfg.Topic + record.RulesSuffix, conf: conf, next: map[int32]int64{}}
}

func (p *partTopic) send(ctx context.Context, parts []rules.Part) error {
	msgs := make([]*sarama.ProducerMessage, len(parts))
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed) // an edit waits for it
	if err != nil {
		return err
	}
	for i, part := range parts {
		var value bytes.Buffer
		z.Reset(&value)
		if _, err := z.Write(part.Data); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		msgs[i] = &sarama.ProducerMessage{
			Topic: p.topic, Key: sarama.StringEncoder(part.Hash.String()), Value: sarama.ByteEncoder(value.Bytes()),
			Headers: []sarama.RecordHeader{{Key: []byte(record.HeaderFormat), Value: []byte(strconv.Itoa(record.Format))}},
		}
	}
	if _, err := p.r.send(ctx, msgs); err != nil {
		return fmt.Errorf("sending parts to the topic %s: %w", p.topic, err)
	}
	return nil
}

func (p *partTopic) read(ctx context.Context, take func([]rules.Part) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("reading the topic %s: %w", p.topic, err)
		}
	}()
	client, err := sarama.NewClient(p.r.cfg.Brokers, p.conf) // a fetch that waits holds up its connection
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, consumer.Close()) }()
	partitions, err := client.Partitions(p.topic)
	if err != nil {
		return err
	}
	for _, partition := range partitions {
		begin, err := client.GetOffset(p.topic, partition, sarama.OffsetOldest)
		if err != nil {
			return err
		}
		end, err := client.GetOffset(p.topic, partition, sarama.OffsetNewest)
		if err != nil {
			return err
		}
		if from := max(begin, p.next[partition]); from < end {
			if err := p.readPartition(ctx, consumer, partition, from, end, take); err != nil {
				return err
			}
		}
	}
	clear(p.next)
	return nil
}

// readPartition reads up to end. The record before it is there: compaction spares the last.
func (p *partTopic) readPartition(ctx context.Context, consumer sarama.Consumer, partition int32, from, end int64, take func([]rules.Part) error) (err error) {
	reader, err := consumer.ConsumePartition(p.topic, partition, from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	const atOnce = 64
	var parts []rules.Part
	for {
		select {
		case msg, ok := <-reader.Messages():
			if !ok {
				return errors.New("the reader has ended")
			}
			part, err := decodePart(msg)
			if err != nil {
				p.r.log.Error("a part of a rule set cannot be read", "topic", p.topic, "partition", partition, "offset", msg.Offset, "error", err)
			} else {
				parts = append(parts, part)
			}
			last := msg.Offset+1 >= end
			if len(parts) == atOnce || last {
				if err := take(parts); err != nil {
					return err
				}
				p.next[partition], parts = msg.Offset+1, nil
			}
			if last {
				return nil
			}
		case err, ok := <-reader.Errors():
			if !ok {
				return errors.New("the reader has ended")
			}
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// maxPart is more than the data of any part has.
const maxPart = 2 << 20

func decodePart(msg *sarama.ConsumerMessage) (rules.Part, error) {
	z, err := gzip.NewReader(bytes.NewReader(msg.Value))
	if err != nil {
		return rules.Part{}, err
	}
	data, err := io.ReadAll(io.LimitReader(z, maxPart))
	if err != nil {
		return rules.Part{}, err
	}
	part := rules.Part{Hash: loyalty.HashOf(data), Data: data}
	if part.Hash.String() != string(msg.Key) {
		return rules.Part{}, errors.New("its key is not the hash of its value")
	}
	return part, nil
}
