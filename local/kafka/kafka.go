// Package kafka starts a Kafka broker inside this process: franz-go's kfake, which speaks the
// Kafka protocol and keeps its log in a directory. It is for a laptop and for tests; nothing that
// talks to it knows that it is not Apache Kafka.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/angelowl-loyalties/app/local/disk"
	"github.com/angelowl-loyalties/app/loyalty/record"
)

// DefaultPartitions is how many partitions a new log gets when Config does not say.
const DefaultPartitions = 4

// Retention is how long the topic of transactions keeps its records, and the broker a group's
// offsets. Dead letters are kept for good.
const Retention = 90 * 24 * time.Hour

// Config says where the broker keeps its log and where it listens.
type Config struct {
	Dir        string      // keeps the log; "" keeps it in memory
	Addr       string      // host:port, an address of this machine; "" is any free port of 127.0.0.1
	Topic      string      // "" is record.Topic; its dead letters' topic comes with it
	Partitions int         // of a new topic; 0 is DefaultPartitions
	Disk       *disk.Guard // the disk that Dir is on: while it is full no record is taken; nil: never
	Log        *slog.Logger
}

// Broker is a running broker.
type Broker struct {
	cluster *kfake.Cluster
	addr    string
	parts   int
}

// Start opens the log in cfg.Dir, or makes one, and serves it until Close. When it returns, the
// topics are there. What was acknowledged before the process was killed is there again; only a
// power cut can take what the operating system had not written yet.
//
// A topic's partition count is fixed for life: asking for another one than the log has is an
// error. Two processes must not open the same directory; nothing here prevents it.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.Topic == "" {
		cfg.Topic = record.Topic
	}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("angelowl"),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) {
			return (&net.ListenConfig{}).Listen(ctx, network, cfg.Addr)
		}),
		kfake.WithLogger(logger{cfg.Log}),
		kfake.BrokerConfigs(map[string]string{
			"offsets.retention.minutes": fmt.Sprint(int(Retention / time.Minute)),
		}),
	}
	if cfg.Dir != "" {
		dir, err := filepath.Abs(cfg.Dir)
		if err != nil {
			return nil, fmt.Errorf("finding the log's directory: %w", err)
		}
		// Absolute, for the S3 server changes the working directory.
		opts = append(opts, kfake.DataDir(dir))
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("starting the Kafka broker: %w", err)
	}
	if cfg.Disk != nil {
		cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			if cfg.Disk.Check() == nil {
				return nil, nil, false
			}
			return noRoom(req.(*kmsg.ProduceRequest)), nil, true
		})
	}
	b := &Broker{cluster: cluster, addr: cluster.ListenAddrs()[0]}
	if b.parts, err = EnsureTopics([]string{b.addr}, cfg.Topic, cfg.Partitions); err != nil {
		cluster.Close()
		return nil, err
	}
	return b, nil
}

// noRoom answers that the log cannot be written, so that producers try again. kfake itself would
// write as far as it goes and then take what it could not write for a duplicate, and acknowledge it,
// when the same producer sends it again.
func noRoom(req *kmsg.ProduceRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		answer := kmsg.NewProduceResponseTopic()
		answer.Topic, answer.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			part := kmsg.NewProduceResponseTopicPartition()
			part.Partition, part.ErrorCode, part.BaseOffset = p.Partition, kerr.KafkaStorageError.Code, -1
			answer.Partitions = append(answer.Partitions, part)
		}
		resp.Topics = append(resp.Topics, answer)
	}
	return resp
}

// Addr is the broker's host:port.
func (b *Broker) Addr() string { return b.addr }

// Partitions is how many partitions the topic of transactions has.
func (b *Broker) Partitions() int { return b.parts }

// Close stops the broker and writes its state. It may be called more than once.
func (b *Broker) Close() { b.cluster.Close() }

// EnsureTopics makes the topic of transactions, of its dead letters and of its rule sets on any Kafka, if they
// are not there, and returns how many partitions the first has. partitions is for a new topic, 0
// being DefaultPartitions; asking for another number than the topic has is an error.
func EnsureTopics(brokers []string, topic string, partitions int) (int, error) {
	n, err := ensureTopics(brokers, topic, partitions)
	if err != nil {
		return 0, fmt.Errorf("creating the topics: %w", err)
	}
	return n, nil
}

func ensureTopics(brokers []string, topic string, partitions int) (int, error) {
	conf := sarama.NewConfig()
	conf.Version = sarama.V3_6_0_0
	conf.ClientID = "angelowl-local"
	admin, err := sarama.NewClusterAdmin(brokers, conf)
	if err != nil {
		return 0, fmt.Errorf("connecting: %w", err)
	}
	defer func() { _ = admin.Close() }()
	create := max(partitions, 0)
	if create == 0 {
		create = DefaultPartitions
	}
	retention := fmt.Sprint(Retention.Milliseconds())
	forever := "-1"
	for _, t := range []struct {
		name       string
		partitions int
		retention  *string
		cleanup    string
	}{
		{topic, create, &retention, "delete"},
		{topic + record.DeadLetterSuffix, 1, &forever, "delete"},
		{topic + record.RulesSuffix, 1, &forever, "compact"},
	} {
		err := admin.CreateTopic(t.name, &sarama.TopicDetail{
			NumPartitions: int32(t.partitions), ReplicationFactor: int16(min(3, len(brokers))),
			ConfigEntries: map[string]*string{"retention.ms": t.retention, "cleanup.policy": &t.cleanup},
		}, false)
		if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
			return 0, fmt.Errorf("creating %s: %w", t.name, err)
		}
	}
	meta, err := admin.DescribeTopics([]string{topic})
	if err != nil {
		return 0, fmt.Errorf("describing %s: %w", topic, err)
	}
	if len(meta) != 1 || !errors.Is(meta[0].Err, sarama.ErrNoError) {
		return 0, fmt.Errorf("describing %s: the broker does not know it", topic)
	}
	n := len(meta[0].Partitions)
	if partitions > 0 && partitions != n {
		return 0, fmt.Errorf("the topic %s has %d partitions, not %d; a topic's partition count is fixed for life",
			topic, n, partitions)
	}
	return n, nil
}

// logger passes what goes wrong in the broker on; what it says of each request is left out.
type logger struct{ log *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	if l.log == nil || level > kfake.LogLevelWarn || level == kfake.LogLevelNone {
		return
	}
	to := slog.LevelWarn
	if level == kfake.LogLevelError {
		to = slog.LevelError
	}
	l.log.Log(context.Background(), to, "kafka: "+strings.TrimSpace(fmt.Sprintf(format, args...)))
}
