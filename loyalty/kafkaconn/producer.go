package kafkaconn

import (
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
)

// Producer is how transactions are produced: idempotent, acknowledged by all replicas in sync, and to
// the partition that every client of the topic takes for a key (murmur2, as Kafka's own). How long to
// try is up to the program.
func Producer(clientID string) *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = clientID
	c.Version = sarama.V3_6_0_0
	c.Net.MaxOpenRequests = 1
	c.Net.DialTimeout = 5 * time.Second
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	c.Producer.Return.Successes = true
	c.Producer.Return.Errors = true
	return c
}

var (
	headerFormat = []byte(record.HeaderFormat)
	headerSource = []byte(record.HeaderSource)
	format       = []byte(strconv.Itoa(record.Format))
)

// Transaction is the record of a transaction: its card is the key, and it says who sent it.
func Transaction(topic string, t *loyalty.Transaction, source []byte, more ...sarama.RecordHeader) *sarama.ProducerMessage {
	headers := make([]sarama.RecordHeader, 0, 2+len(more))
	headers = append(headers, sarama.RecordHeader{Key: headerFormat, Value: format}, sarama.RecordHeader{Key: headerSource, Value: source})
	return &sarama.ProducerMessage{
		Topic:   topic,
		Key:     sarama.StringEncoder(t.CardID.String()),
		Value:   sarama.ByteEncoder(t.AppendJSON(make([]byte, 0, 512))),
		Headers: append(headers, more...),
	}
}
