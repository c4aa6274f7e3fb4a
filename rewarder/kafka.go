package rewarder

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/IBM/sarama"
)

// saramaConfig is how a rewarder talks to Kafka.
func saramaConfig(cfg Config) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.ClientID = "angelowl-rewarder"
	c.Metadata.AllowAutoTopicCreation = false
	c.Net.DialTimeout = 5 * time.Second
	c.Net.ReadTimeout = 15 * time.Second
	c.Net.WriteTimeout = 15 * time.Second

	c.Consumer.Return.Errors = true
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = true // of what has been marked: only what is durable
	c.Consumer.Offsets.AutoCommit.Interval = cfg.CommitInterval
	c.Consumer.Group.ResetInvalidOffsets = false
	c.Consumer.Group.Heartbeat.Interval = time.Second // so soon does a member hear that another one has come
	c.Consumer.Group.Session.Timeout = cfg.SessionTimeout
	c.Consumer.Group.InstanceId = cfg.InstanceID
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}

	// Markers and dead letters may be doubled, so nothing is idempotent here.
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Retry.Max = 2
	c.Producer.Partitioner = func(topic string) sarama.Partitioner {
		if topic == cfg.Topic {
			return sarama.NewManualPartitioner(topic)
		}
		return sarama.NewMurmur2Partitioner(topic)
	}
	return c
}

// connect opens the client and the producer.
func (r *rewarder) connect(ctx context.Context, conf *sarama.Config) bool {
	return r.again(ctx, "connecting to Kafka", func() (err error) {
		if r.client, err = sarama.NewClient(r.cfg.Brokers, conf); err != nil {
			return err
		}
		if r.sender, err = sarama.NewSyncProducerFromClient(r.client); err != nil {
			_ = r.client.Close()
		}
		return err
	})
}

// consume is a member of the group until ctx ends.
func (r *rewarder) consume(ctx context.Context, conf *sarama.Config) {
	var group sarama.ConsumerGroup
	joined := r.again(ctx, "connecting to the consumer group", func() (err error) {
		group, err = sarama.NewConsumerGroup(r.cfg.Brokers, r.cfg.Group, conf)
		return err
	})
	if !joined {
		return
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		for err := range group.Errors() {
			r.hear(ctx, err)
		}
	}()
	wait := r.cfg.RetryMin
	for ctx.Err() == nil {
		began := time.Now()
		err := group.Consume(ctx, []string{r.cfg.Topic}, r)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			r.trouble(ctx, "consuming the topic", err, wait)
		} else {
			r.status.set(stateStarting, "the group is shared out anew")
			select { // a session that ends at once must not spin
			case <-time.After(r.cfg.RetryMin):
			case <-ctx.Done():
			}
		}
		if wait = min(2*wait, r.cfg.RetryMax); time.Since(began) > 2*r.cfg.RetryMax {
			wait = r.cfg.RetryMin
		}
	}
	if err := group.Close(); err != nil {
		r.log.Warn("leaving the consumer group", "error", err)
	}
	<-told
}

// Setup is called when a session begins.
func (r *rewarder) Setup(sarama.ConsumerGroupSession) error {
	r.status.joined.Store(true)
	r.status.set(stateConsuming, "")
	return nil
}

// Cleanup is called when a session has ended.
func (r *rewarder) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// hear takes an error of the consumer group.
func (r *rewarder) hear(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	r.count.errors.Add(1)
	r.log.Warn("the consumer group has a problem", "error", err)
	var of *sarama.ConsumerError
	if !errors.Is(err, sarama.ErrOffsetOutOfRange) || !errors.As(err, &of) {
		return
	}
	// Going on at another offset would skip records in silence. That the offset is above the end
	// may be a new leader that lags; that it is below the beginning does not pass.
	lags, err := Lag(ctx, r.client, r.cfg.Group, r.cfg.Topic)
	if err != nil {
		r.log.Warn("looking at a partition whose offset is out of range", "error", err)
		return
	}
	for _, l := range lags {
		if l.Partition == of.Partition && l.Committed >= 0 && l.Committed < l.Start {
			r.fail(fmt.Errorf("partition %d is committed up to offset %d and begins at %d: %w", l.Partition, l.Committed, l.Start, ErrOffsetGone))
		}
	}
}

// topicInfo is what must not change about a topic.
type topicInfo struct {
	id         string // as Kafka's tools show it
	partitions int32
}

func (r *rewarder) topicInfo() (topicInfo, error) {
	var info topicInfo
	broker := r.client.LeastLoadedBroker()
	if broker == nil {
		return info, sarama.ErrOutOfBrokers
	}
	if err := broker.Open(r.client.Config()); err != nil && !errors.Is(err, sarama.ErrAlreadyConnected) {
		return info, fmt.Errorf("connecting to a broker: %w", err)
	}
	resp, err := broker.GetMetadata(sarama.NewMetadataRequest(r.client.Config().Version, []string{r.cfg.Topic}))
	if err != nil {
		_ = broker.Close() // it is opened anew the next time
		return info, fmt.Errorf("describing topic %s: %w", r.cfg.Topic, err)
	}
	if len(resp.Topics) != 1 {
		return info, fmt.Errorf("describing topic %s: %d answers", r.cfg.Topic, len(resp.Topics))
	}
	t := resp.Topics[0]
	if t.Err != sarama.ErrNoError {
		return info, fmt.Errorf("describing topic %s: %w", r.cfg.Topic, t.Err)
	}
	if t.Uuid == (sarama.Uuid{}) {
		return info, fmt.Errorf("describing topic %s: the broker gives no topic id", r.cfg.Topic)
	}
	return topicInfo{base64.RawURLEncoding.EncodeToString(t.Uuid[:]), int32(len(t.Partitions))}, nil
}

// checkTopic looks now and then how far the log goes, and whether the topic is still the one that was
// opened: a client by name would go on reading another one at the same offsets.
func (r *rewarder) checkTopic(ctx context.Context) {
	tick := time.NewTicker(r.cfg.CheckEvery)
	defer tick.Stop()
	var looked time.Time // at the retention
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, p := range r.status.working() {
			p.count(r.clock())
			if end, err := r.client.GetOffset(r.cfg.Topic, p.number, sarama.OffsetNewest); err == nil {
				p.end.Store(end)
				r.lookAtOldest(p, end)
			}
		}
		if r.clock().Sub(looked) >= lookAtRetentionEvery {
			looked = r.clock()
			r.lookAtRetention()
		}
		opened := r.opened.Load()
		if opened == nil {
			continue
		}
		if info, err := r.topicInfo(); err == nil && info != *opened {
			r.fail(fmt.Errorf("topic %s had id %s and %d partitions, now %s and %d: %w",
				r.cfg.Topic, opened.id, opened.partitions, info.id, info.partitions, ErrTopicChanged))
		}
	}
}

// lookAtRetentionEvery is how often the topic's configuration is looked at.
const lookAtRetentionEvery = 10 * time.Minute

// lookAtRetention finds out for how long the topic keeps a record. A user of Kafka who may not know that leaves the
// metric out.
func (r *rewarder) lookAtRetention() {
	const name = "retention.ms"
	admin, err := sarama.NewClusterAdminFromClient(r.client) // not closed: that would close the client
	if err != nil {
		r.log.Debug("looking at how long the topic keeps records", "error", err)
		return
	}
	topics, err := admin.DescribeConfigs([]*sarama.ConfigResource{{Type: sarama.TopicResource, Name: r.cfg.Topic, ConfigNames: []string{name}}}, sarama.DescribeConfigsOptions{})
	if err != nil {
		r.log.Debug("looking at how long the topic keeps records", "error", err)
		return
	}
	for _, t := range topics {
		for _, e := range t.Configs {
			if ms, err := strconv.ParseInt(e.Value, 10, 64); e.Name == name && err == nil {
				r.status.retention.Store(max(ms, 0)) // -1: for good
			}
		}
	}
}

// lookAtOldest finds out when the first record that is not dealt with was written. It asks for what
// is there, without waiting, so it does not hold up its connection.
func (r *rewarder) lookAtOldest(p *partition, end int64) {
	offset := p.durable.Load()
	if offset >= end {
		p.oldest.Store(0)
		return
	}
	written, err := r.writtenAt(p.number, offset)
	if err != nil {
		r.log.Debug("looking at the oldest record that is not dealt with", "partition", p.number, "error", err)
		return // an outage has metrics of its own; what was known only grows older
	}
	p.oldest.Store(written.UnixMilli())
}

// writtenAt is the time stamp of the first record at an offset or after it.
func (r *rewarder) writtenAt(number int32, offset int64) (time.Time, error) {
	leader, err := r.client.Leader(r.cfg.Topic, number)
	if err != nil {
		return time.Time{}, err
	}
	req := &sarama.FetchRequest{Version: 11, MaxBytes: 1 << 20, SessionEpoch: -1}
	req.AddBlock(r.cfg.Topic, number, offset, 1, -1) // of a batch that is larger than 1 byte all comes
	resp, err := leader.Fetch(req)
	if err != nil {
		return time.Time{}, err
	}
	block := resp.GetBlock(r.cfg.Topic, number)
	if block == nil || block.Err != sarama.ErrNoError {
		return time.Time{}, fmt.Errorf("fetching one record: %v", block)
	}
	for _, set := range block.RecordsSet {
		if set.RecordBatch == nil {
			continue
		}
		for _, rec := range set.RecordBatch.Records {
			if set.RecordBatch.FirstOffset+rec.OffsetDelta >= offset {
				return set.RecordBatch.FirstTimestamp.Add(rec.TimestampDelta), nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("no record at offset %d", offset)
}

// send sends messages and waits until all are acknowledged, or ctx ends. It returns those that
// failed, to be sent again.
func (r *rewarder) send(ctx context.Context, msgs []*sarama.ProducerMessage) (failed []*sarama.ProducerMessage, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fresh := make([]*sarama.ProducerMessage, len(msgs)) // the producer keeps state in a message
	for i, m := range msgs {
		fresh[i] = &sarama.ProducerMessage{Topic: m.Topic, Key: m.Key, Value: m.Value, Headers: m.Headers, Partition: m.Partition, Metadata: m}
	}
	result := make(chan error, 1)
	r.sends.Go(func() { result <- r.sender.SendMessages(fresh) })
	select {
	case err = <-result:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var errs sarama.ProducerErrors
	if errors.As(err, &errs) && len(errs) > 0 {
		for _, e := range errs {
			failed = append(failed, e.Msg.Metadata.(*sarama.ProducerMessage))
		}
		return failed, fmt.Errorf("%d of %d messages were not taken, the first: %w", len(errs), len(msgs), errs[0].Err)
	}
	return nil, err
}

// PartitionLag says how far a consumer group is with a partition.
type PartitionLag struct {
	Partition int32 `json:"partition"`
	Start     int64 `json:"start"`     // the first offset that is there
	End       int64 `json:"end"`       // the next offset to be written
	Committed int64 `json:"committed"` // the next offset to be read; -1: none yet
}

// Records is how many records are still to be read.
func (l PartitionLag) Records() int64 { return l.End - max(l.Committed, l.Start) }

// Lag reads how far a consumer group is with each partition of a topic. A commit follows the work
// by CommitInterval.
func Lag(ctx context.Context, client sarama.Client, group, topic string) ([]PartitionLag, error) {
	partitions, err := client.Partitions(topic)
	if err != nil {
		return nil, fmt.Errorf("listing the partitions of %s: %w", topic, err)
	}
	admin, err := sarama.NewClusterAdminFromClient(client) // not closed: that would close the client
	if err != nil {
		return nil, fmt.Errorf("asking about group %s: %w", group, err)
	}
	offsets, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: partitions})
	if errors.Is(err, sarama.ErrGroupIDNotFound) {
		offsets, err = &sarama.OffsetFetchResponse{}, nil // nobody has been in it yet
	}
	if err != nil {
		return nil, fmt.Errorf("reading the offsets of group %s: %w", group, err)
	}
	lags := make([]PartitionLag, 0, len(partitions))
	for _, p := range partitions {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		lag := PartitionLag{Partition: p, Committed: -1}
		if b := offsets.GetBlock(topic, p); b != nil {
			if b.Err != sarama.ErrNoError {
				return nil, fmt.Errorf("reading the offset of group %s in partition %d: %w", group, p, b.Err)
			}
			lag.Committed = b.Offset
		}
		if lag.Start, err = client.GetOffset(topic, p, sarama.OffsetOldest); err != nil {
			return nil, fmt.Errorf("finding the beginning of partition %d: %w", p, err)
		}
		if lag.End, err = client.GetOffset(topic, p, sarama.OffsetNewest); err != nil {
			return nil, fmt.Errorf("finding the end of partition %d: %w", p, err)
		}
		lags = append(lags, lag)
	}
	return lags, nil
}

// ResetOffsets makes a consumer group read partitions again from the given offsets, as a replay
// does. No member may be in the group. An offset above the committed one is refused: records must
// not be skipped, and what is in force at an offset is known only where all before it was read.
func ResetOffsets(ctx context.Context, client sarama.Client, group, topic string, to map[int32]int64) error {
	lags, err := Lag(ctx, client, group, topic)
	if err != nil {
		return err
	}
	for _, l := range lags {
		offset, ok := to[l.Partition]
		switch {
		case !ok:
		case offset > max(l.Committed, l.Start):
			return fmt.Errorf("partition %d is read up to offset %d: it cannot go on at %d, that would skip records", l.Partition, max(l.Committed, l.Start), offset)
		case offset < l.Start:
			return fmt.Errorf("partition %d begins at offset %d: it cannot be read from %d", l.Partition, l.Start, offset)
		}
	}
	admin, err := sarama.NewClusterAdminFromClient(client) // not closed: that would close the client
	if err != nil {
		return fmt.Errorf("asking about group %s: %w", group, err)
	}
	groups, err := admin.DescribeConsumerGroups([]string{group})
	if err != nil {
		return fmt.Errorf("asking about group %s: %w", group, err)
	}
	for _, g := range groups {
		if len(g.Members) > 0 {
			return fmt.Errorf("group %s has %d members; stop the rewarders first", group, len(g.Members))
		}
	}
	if err := client.RefreshCoordinator(group); err != nil {
		return fmt.Errorf("finding the coordinator of group %s: %w", group, err)
	}
	coordinator, err := client.Coordinator(group)
	if err != nil {
		return fmt.Errorf("finding the coordinator of group %s: %w", group, err)
	}
	req := &sarama.OffsetCommitRequest{Version: 7, ConsumerGroup: group, ConsumerGroupGeneration: sarama.GroupGenerationUndefined}
	for partition, offset := range to {
		req.AddBlockWithLeaderEpoch(topic, partition, offset, -1, 0, "")
	}
	resp, err := coordinator.CommitOffset(req)
	if err != nil {
		return fmt.Errorf("setting the offsets of group %s: %w", group, err)
	}
	for _, partitions := range resp.Errors {
		for partition, kerr := range partitions {
			if kerr != sarama.ErrNoError {
				return fmt.Errorf("setting the offset of group %s in partition %d: %w", group, partition, kerr)
			}
		}
	}
	return nil
}
