// Package publish_test holds publish-single against a Kafka broker, through the lambda's own entry:
// the JSON of an API Gateway event.
package publish_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/local/kafka"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/token"
	publish "github.com/angelowl-loyalties/app/publish-single"
	"github.com/angelowl-loyalties/app/publish-single/publishtest"
)

// sarama's metrics have one for the whole process, and a producer whose broker is away one that sleeps
// for 10 s and then ends.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer"))
}

const (
	merchant   = "8a3d1c2e-0000-4000-8000-000000000001"
	card       = "01eca9de-9ff3-4d16-be03-75f228fc207f"
	partitions = 3
)

// body is a good transaction.
func body(n int, amount string) string {
	return fmt.Sprintf(`{"id":"%08x-467d-48aa-96ab-d79394710a2b","card_id":"%s","merchant":"Kaligo","mcc":5122,"currency":"SGD","amount":%s,`+
		`"transaction_id":"ref-%d","transaction_date":"2021-09-01","card_pan":"4462-0971-1327-7064","card_type":"scis_premiummiles"}`, n+1, card, amount, n)
}

type system struct {
	*publishtest.Profiler
	t      *testing.T
	h      *publish.Handler
	addr   atomic.Value // of Kafka, a string
	logged struct {
		sync.Mutex
		bytes.Buffer
	}
}

func (y *system) Write(b []byte) (int, error) {
	y.logged.Lock()
	defer y.logged.Unlock()
	return y.logged.Buffer.Write(b)
}

func start(t *testing.T, addr string, wait time.Duration) *system {
	t.Helper()
	y := &system{Profiler: publishtest.Start(t), t: t}
	y.Merchant(merchant, "null")
	y.addr.Store(addr)
	var err error
	y.h, err = publish.New(publish.Config{Home: loyalty.MustCurrency("SGD"), Wait: wait}, publish.Deps{
		Verifier: y.Verifier(), Profile: y.Client(),
		NewProducer: func(c *sarama.Config) (sarama.SyncProducer, error) {
			return sarama.NewSyncProducer([]string{y.addr.Load().(string)}, c)
		},
		Log: slog.New(slog.NewTextHandler(y, nil)), Clock: y.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := y.h.Close(); err != nil {
			t.Error(err)
		}
		if strings.Contains(y.logged.String(), "0971") {
			t.Errorf("the log has a card number: %s", y.logged.String())
		}
	})
	return y
}

func broker(t *testing.T, cfg kafka.Config) *kafka.Broker {
	t.Helper()
	cfg.Partitions = partitions
	b, err := kafka.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// send sends a body as the gateway does, and returns the status and the answer.
func (y *system) send(body, requestID string) (int, string) {
	y.t.Helper()
	event, err := json.Marshal(events.APIGatewayProxyRequest{
		HTTPMethod: "POST", Path: "/publish", Resource: "/publish", Body: body,
		Headers:        map[string]string{"Authorization": y.Bearer(merchant, token.Merchant, ""), "Content-Type": "application/json"},
		RequestContext: events.APIGatewayProxyRequestContext{RequestID: requestID},
	})
	if err != nil {
		y.t.Fatal(err)
	}
	// One handler of the runtime's takes one invocation at a time.
	out, err := lambda.NewHandler(y.h.Handle).Invoke(y.t.Context(), event)
	if err != nil {
		y.t.Error(err)
		return 0, ""
	}
	var r events.APIGatewayProxyResponse
	if err := json.Unmarshal(out, &r); err != nil {
		y.t.Error(err)
	}
	return r.StatusCode, r.Body
}

// log is what the topic holds.
func log(t *testing.T, addr string) []*sarama.ConsumerMessage {
	t.Helper()
	conf := sarama.NewConfig()
	conf.Version = sarama.V3_6_0_0
	client, err := sarama.NewClient([]string{addr}, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = consumer.Close() }()
	var out []*sarama.ConsumerMessage
	for p := range int32(partitions) {
		end, err := client.GetOffset(record.Topic, p, sarama.OffsetNewest)
		if err != nil {
			t.Fatal(err)
		}
		if end == 0 {
			continue
		}
		c, err := consumer.ConsumePartition(record.Topic, p, sarama.OffsetOldest)
		if err != nil {
			t.Fatal(err)
		}
		for m := range c.Messages() {
			out = append(out, m)
			if m.Offset == end-1 {
				break
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	return out
}

func TestWhatIsAcknowledgedIsInTheLog(t *testing.T) {
	b := broker(t, kafka.Config{})
	y := start(t, b.Addr(), 0)
	status, answer := y.send(body(0, "12.50"), "request-1")
	if status != 202 || answer != `{"data":{"id":"00000001-467d-48aa-96ab-d79394710a2b"}}`+"\n" {
		t.Fatal(status, answer)
	}
	got := log(t, b.Addr())
	if len(got) != 1 {
		t.Fatalf("the log has %d records", len(got))
	}
	m := got[0]
	var headers []string
	for _, h := range m.Headers {
		headers = append(headers, string(h.Key)+"="+string(h.Value))
	}
	if s := strings.Join(headers, " "); s != "format=1 source=account:"+merchant+" request_id=request-1" {
		t.Errorf("headers: %s", s)
	}
	if want := kgo.StickyKeyPartitioner(nil).ForTopic("").Partition(&kgo.Record{Key: m.Key}, partitions); string(m.Key) != card || int(m.Partition) != want {
		t.Errorf("the card %s is in partition %d, other clients put it into %d", m.Key, m.Partition, want)
	}
	tx, err := loyalty.DecodeTransaction(m.Value, loyalty.MustCurrency("SGD"))
	if err != nil || tx.CardPAN != "************7064" || tx.Money().String() != "SGD 12.50" || bytes.Contains(m.Value, []byte("0971")) {
		t.Errorf("%s, %v", m.Value, err)
	}
}

func TestWhatIsRefusedIsNotInTheLog(t *testing.T) {
	b := broker(t, kafka.Config{})
	y := start(t, b.Addr(), 0)
	y.Merchant(merchant, `{"daily_sums":[{"currency":"SGD","amount":10}]}`)
	y.Sum(merchant, "10")
	for _, tt := range []struct {
		name, body string
		status     int
	}{
		{"invalid", strings.Replace(body(9, "1"), "SGD", "XXQ", 1), 400},
		{"the first of the day", body(0, "6"), 202},
		{"too much", body(1, "4.01"), 403},
		{"what is left", body(2, "4"), 202},
		{"the first again", body(0, "6"), 202},
		{"nothing is left", body(3, "0.01"), 403},
	} {
		if status, answer := y.send(tt.body, "r"); status != tt.status {
			t.Errorf("%s: %d %s", tt.name, status, answer)
		}
	}
	var ids []string
	for _, m := range log(t, b.Addr()) {
		tx, err := loyalty.DecodeTransaction(m.Value, 0)
		if err != nil {
			t.Error(err)
		}
		ids = append(ids, tx.ID.String()[:8])
	}
	if s := strings.Join(ids, " "); s != "00000001 00000003 00000001" || y.Spent(merchant) != 1000 {
		t.Errorf("the log has %s; %d cents are counted", s, y.Spent(merchant))
	}
}

func TestManyAtOnce(t *testing.T) {
	b := broker(t, kafka.Config{})
	y := start(t, b.Addr(), 0)
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			if status, answer := y.send(body(n, "1"), "r"); status != 202 {
				t.Errorf("%d: %d %s", n, status, answer)
			}
		})
	}
	all.Wait()
	ids := map[string]bool{}
	for _, m := range log(t, b.Addr()) {
		tx, err := loyalty.DecodeTransaction(m.Value, 0)
		if err != nil {
			t.Error(err)
		}
		ids[tx.ID.String()] = true
	}
	if len(ids) != 200 {
		t.Errorf("the log has %d of 200", len(ids))
	}
}

func TestABrokerThatGoesAndComesBack(t *testing.T) {
	dir := t.TempDir()
	first := broker(t, kafka.Config{Dir: dir})
	y := start(t, first.Addr(), 5*time.Second)
	if status, answer := y.send(body(0, "1"), "r"); status != 202 {
		t.Fatal(status, answer)
	}
	first.Close()
	status, answer := y.send(body(1, "1"), "r")
	if status != 503 || !strings.Contains(answer, "send the same again") {
		t.Error("away:", status, answer)
	}
	second := broker(t, kafka.Config{Dir: dir, Addr: first.Addr()})
	if status, answer := y.send(body(1, "1"), "r"); status != 202 {
		t.Error("back:", status, answer)
	}
	ids := map[string]bool{}
	for _, m := range log(t, second.Addr()) {
		tx, err := loyalty.DecodeTransaction(m.Value, 0)
		if err != nil {
			t.Error(err)
		}
		ids[tx.ID.String()[:8]] = true
	}
	if len(ids) != 2 || !ids["00000001"] || !ids["00000002"] {
		t.Errorf("the log has %v", ids)
	}
}

// A broker that takes connections and says nothing: an answer comes in time nevertheless, and what
// waits for it does not pile up.
func TestABrokerThatHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var taken sync.WaitGroup
	taken.Go(func() {
		var open []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			open = append(open, c)
		}
		for _, c := range open {
			_ = c.Close()
		}
	})
	y := start(t, l.Addr().String(), 2*time.Second)
	var all sync.WaitGroup
	for n := range 400 {
		all.Go(func() {
			if status, answer := y.send(body(n, "1"), "r"); status != 503 {
				t.Errorf("%d: %d %s", n, status, answer)
			}
		})
	}
	all.Wait()
	if !strings.Contains(y.logged.String(), "too many transactions are on their way") {
		t.Error("400 were let wait")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	taken.Wait()
}
