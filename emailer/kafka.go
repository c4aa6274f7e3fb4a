package emailer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// Kafka says how far the rewarders are.
type Kafka struct {
	Brokers []string
	Topic   string
	Group   string               // of the rewarders
	Apply   func(*sarama.Config) // adds what the network needs; nil adds nothing
}

// Past says whether the group has dealt with every record from before a time: whether, of every partition,
// the first record that is not older has been come to, or the end where there is none. The time of a record
// is the one that its sender gave it; one that comes to stand behind a later one is not waited for.
func (k Kafka) Past(ctx context.Context, t time.Time) (past bool, err error) {
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.ClientID = "angelowl-emailer"
	c.Metadata.AllowAutoTopicCreation = false
	c.Metadata.Retry.Max = 1
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = 5*time.Second, 10*time.Second, 10*time.Second
	if k.Apply != nil {
		k.Apply(c)
	}
	client, err := sarama.NewClient(k.Brokers, c)
	if err != nil {
		return false, fmt.Errorf("connecting to Kafka: %w", err)
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	partitions, err := client.Partitions(k.Topic)
	if err != nil {
		return false, fmt.Errorf("listing the partitions of %s: %w", k.Topic, err)
	}
	admin, err := sarama.NewClusterAdminFromClient(client) // not closed: that would close the client
	if err != nil {
		return false, fmt.Errorf("asking about group %s: %w", k.Group, err)
	}
	offsets, err := admin.ListConsumerGroupOffsets(k.Group, map[string][]int32{k.Topic: partitions})
	if errors.Is(err, sarama.ErrGroupIDNotFound) {
		offsets, err = &sarama.OffsetFetchResponse{}, nil // nobody has been in it yet
	}
	if err != nil {
		return false, fmt.Errorf("reading the offsets of group %s: %w", k.Group, err)
	}
	for _, p := range partitions {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		committed := int64(-1)
		if b := offsets.GetBlock(k.Topic, p); b != nil {
			if b.Err != sarama.ErrNoError {
				return false, fmt.Errorf("reading the offset of group %s in partition %d: %w", k.Group, p, b.Err)
			}
			committed = b.Offset
		}
		start, err := client.GetOffset(k.Topic, p, sarama.OffsetOldest)
		if err != nil {
			return false, fmt.Errorf("finding the beginning of partition %d: %w", p, err)
		}
		// The end is read first: what comes after it is later than now, and so than t.
		end, err := client.GetOffset(k.Topic, p, sarama.OffsetNewest)
		if err != nil {
			return false, fmt.Errorf("finding the end of partition %d: %w", p, err)
		}
		first, err := client.GetOffset(k.Topic, p, t.UnixMilli())
		if err != nil {
			return false, fmt.Errorf("finding the first record since %s in partition %d: %w", t, p, err)
		}
		if first < 0 {
			first = end
		}
		if max(committed, start) < first {
			return false, nil
		}
	}
	return true, nil
}
