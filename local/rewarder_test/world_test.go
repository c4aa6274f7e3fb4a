// Package rewarder_test runs rewarders on a real etcd, a broker that speaks Kafka's protocol, and
// the embedded reward store.
package rewarder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/local/etcd"
	"github.com/angelowl-loyalties/app/local/kafka"
	"github.com/angelowl-loyalties/app/local/pebble"
	"github.com/angelowl-loyalties/app/local/wait"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/rules"
	"github.com/angelowl-loyalties/app/rewarder"
)

const (
	topic = record.Topic
	group = "rewarders"
)

var home = loyalty.MustCurrency("SGD")

var errOutage = errors.New("the store is out")

// world is what rewarders live in.
type world struct {
	t      testing.TB
	broker *kafka.Broker
	dir    string // the broker's
	stop   func() // of etcd
	etcd   *clientv3.Client
	store  *store
	kafka  sarama.Client
	send   sarama.SyncProducer
	log    *slog.Logger
}

// store is the embedded one, which can be out.
type store struct {
	*pebble.Store
	out      atomic.Bool
	refused  atomic.Int64 // writes that failed while it was out
	hold     atomic.Pointer[chan struct{}]
	held     atomic.Int64           // writes that have been held
	stubborn atomic.Bool            // held writes do not look at their context
	refuse   atomic.Pointer[string] // the merchant of rows that cannot be stored
	parts    atomic.Int64           // bytes of parts of rule sets that were stored
	has      *sync.Map              // the parts that are there, where it has lost those of before; set it while no rewarder runs
	stored   func([]loyalty.Row)    // is told of rows that were; set it while no rewarder runs
}

func (s *store) PutParts(ctx context.Context, parts []rules.Part) error {
	for _, p := range parts {
		s.parts.Add(int64(len(p.Data)))
		if s.has != nil {
			s.has.Store(p.Hash, true)
		}
	}
	return s.Store.PutParts(ctx, parts)
}

func (s *store) Part(ctx context.Context, h loyalty.Hash) ([]byte, error) {
	if s.has != nil {
		if _, ok := s.has.Load(h); !ok {
			return nil, rewarder.ErrNotFound
		}
	}
	return s.Store.Part(ctx, h)
}

func (s *store) PutRewards(ctx context.Context, rows []loyalty.Row) error {
	if s.out.Load() {
		s.refused.Add(1)
		return errOutage
	}
	if held := s.hold.Load(); held != nil {
		s.held.Add(1)
		if s.stubborn.Load() {
			<-*held
			ctx = context.WithoutCancel(ctx)
		}
		select {
		case <-*held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	var bad error
	if merchant := s.refuse.Load(); merchant != nil {
		var good []loyalty.Row
		for _, r := range rows {
			if r.Merchant == *merchant {
				bad = errors.Join(bad, &rewarder.RowError{Position: r.Position, Reason: "too large"})
			} else {
				good = append(good, r)
			}
		}
		rows = good
	}
	err := s.Store.PutRewards(ctx, rows)
	if err == nil && s.stored != nil {
		s.stored(rows)
	}
	return errors.Join(err, bad)
}

func (s *store) PutMarker(ctx context.Context, at loyalty.Position, m record.Marker) error {
	if s.out.Load() {
		s.refused.Add(1)
		return errOutage
	}
	return s.Store.PutMarker(ctx, at, m)
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")) // sarama's, one a process
}

func newWorld(t testing.TB, partitions int) *world {
	t.Helper()
	t.Cleanup(func() {
		if _, ok := t.(*testing.B); ok {
			return
		}
		goleak.VerifyNone(t, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")) // sarama's, one a process
	})
	ctx := context.Background()
	w := &world{t: t, log: slog.New(slog.DiscardHandler)}
	if os.Getenv("LOG") != "" {
		w.log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	server, err := etcd.Start(ctx, t.TempDir(), slog.New(slog.DiscardHandler))
	w.must(err)
	w.stop = sync.OnceFunc(server.Close)
	t.Cleanup(w.stop)
	w.etcd, err = server.Client()
	w.must(err)
	t.Cleanup(func() { w.must(w.etcd.Close()) })
	w.dir = t.TempDir()
	w.broker, err = kafka.Start(ctx, kafka.Config{Partitions: partitions, Log: w.log, Dir: w.dir})
	w.must(err)
	t.Cleanup(func() { w.broker.Close() })
	p, err := pebble.Open(t.TempDir(), pebble.Options{})
	w.must(err)
	w.store = &store{Store: p}
	t.Cleanup(func() { w.must(w.store.Close()) })

	conf := sarama.NewConfig()
	conf.Version = sarama.V3_6_0_0
	conf.Producer.Return.Successes = true
	conf.Producer.Partitioner = func(topic string) sarama.Partitioner { return either{sarama.NewMurmur2Partitioner(topic)} }
	w.kafka, err = sarama.NewClient([]string{w.broker.Addr()}, conf)
	w.must(err)
	w.send, err = sarama.NewSyncProducerFromClient(w.kafka)
	w.must(err)
	t.Cleanup(func() { w.must(w.send.Close()); w.must(w.kafka.Close()) })
	return w
}

// either is murmur2 for records with a key, and what the message says for others.
type either struct{ sarama.Partitioner }

func (e either) Partition(m *sarama.ProducerMessage, n int32) (int32, error) {
	if m.Key == nil {
		return m.Partition, nil
	}
	return e.Partitioner.Partition(m, n)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// eventually waits for something that another program does.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	wait.Until(w.t, 2*time.Millisecond, 30*time.Second, what, f)
}

// running is a rewarder.
type running struct {
	w      *world
	cancel context.CancelFunc
	ended  chan error
	url    string
	over   bool
}

func (w *world) start(name string, change ...func(*rewarder.Config)) *running {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	cfg := rewarder.Config{
		Brokers: []string{w.broker.Addr()}, Group: group, Name: name, Home: home,
		RetryMin: 5 * time.Millisecond, RetryMax: 50 * time.Millisecond, CommitInterval: 20 * time.Millisecond,
		CheckEvery: 50 * time.Millisecond, LeaseTTL: 2 * time.Second,
	}
	for _, f := range change {
		f(&cfg)
	}
	r := &running{w: w, cancel: cancel, ended: make(chan error, 1), url: "http://" + l.Addr().String()}
	deps := rewarder.Deps{Store: w.store, Etcd: w.etcd, Log: w.log, Clock: time.Now, Listener: l}
	go func() { r.ended <- rewarder.Run(ctx, cfg, deps) }()
	w.t.Cleanup(func() { r.stop() })
	return r
}

// stop drains a rewarder.
func (r *running) stop() {
	r.w.t.Helper()
	if r.over {
		return
	}
	r.cancel()
	if err := r.end(); err != nil {
		r.w.t.Errorf("a rewarder that was told to stop: %v", err)
	}
}

// end waits for a rewarder's end.
func (r *running) end() error {
	r.w.t.Helper()
	select {
	case err := <-r.ended:
		r.over = true
		r.cancel()
		return err
	case <-time.After(30 * time.Second):
		r.w.t.Fatal("the rewarder does not end")
		return nil
	}
}

func (r *running) status() (s rewarder.Status) {
	body := r.get("/health")
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		r.w.t.Fatalf("health answers %q: %v", body, err)
	}
	return s
}

func (r *running) get(path string) string {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(r.url + path)
	r.w.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	r.w.must(err)
	return string(body)
}

// Rules.

var campaignID = uuid.MustParse("11111111-1111-4111-8111-111111111111")

// campaign publishes the one campaign with a rate.
func (w *world) campaign(version int64, rate string) int64 {
	return w.publish(rulebook.Campaigns, campaignID.String(), version, fmt.Sprintf(`{"id": %q, "name": "Base %s", "min_spend": 0, "start_date": "2000-01-01",
		"end_date": "2090-12-31", "reward_program": "gold", "reward_amount": %s, "mcc": "0", "merchant": "", "base_reward": true, "foreign_currency": false}`, campaignID, rate, rate))
}

func (w *world) publish(kind rulebook.Kind, id string, version int64, data string) int64 {
	w.t.Helper()
	value, err := rulebook.Value{Version: version, Data: json.RawMessage(data)}.Encode()
	w.must(err)
	return w.put(rulebook.Key(kind, id), string(value))
}

func (w *world) put(key, value string) int64 {
	w.t.Helper()
	r, err := w.etcd.Put(context.Background(), key, value)
	w.must(err)
	return r.Header.Revision
}

// campaigns publishes campaigns, each for a merchant of its own.
func (w *world) campaigns(n int) {
	w.t.Helper()
	var ops []clientv3.Op
	for i := range n {
		id := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, "campaign", i)).String()
		value, err := rulebook.Value{Version: 1, Data: fmt.Appendf(nil, `{"id": %q, "name": "C%d", "min_spend": 0, "start_date": "2000-01-01",
			"end_date": "2090-12-31", "reward_program": "gold", "reward_amount": 0.%d, "mcc": "%d", "merchant": "m%d", "base_reward": false,
			"foreign_currency": false}`, id, i, i%1000+1, i%9999+1, i)}.Encode()
		w.must(err)
		ops = append(ops, clientv3.OpPut(rulebook.Key(rulebook.Campaigns, id), string(value)))
	}
	for some := range slices.Chunk(ops, 128) { // the most of one Txn
		_, err := w.etcd.Txn(context.Background()).Then(some...).Commit()
		w.must(err)
	}
}

// rules publishes a card type, a campaign of rate 1 and the epoch.
func (w *world) rules() {
	w.publish(rulebook.CardTypes, "gold", 1, `{"card_type": "gold", "name": "Gold", "reward_unit": "points", "reward_program": "Gold", "decimals": 0}`)
	w.campaign(1, "1")
	w.put(rulebook.EpochKey, "1700000000000")
}

// inForce is what the partitions say, by partition.
func (w *world) inForce() map[int32]rulebook.InForce {
	r, err := w.etcd.Get(context.Background(), rulebook.InForcePrefix+topic+"/", clientv3.WithPrefix())
	w.must(err)
	out := map[int32]rulebook.InForce{}
	for _, kv := range r.Kvs {
		var f rulebook.InForce
		w.must(json.Unmarshal(kv.Value, &f))
		n, err := strconv.Atoi(string(kv.Key[len(rulebook.InForcePrefix+topic+"/"):]))
		w.must(err)
		out[int32(n)] = f
	}
	return out
}

// everywhere waits until all partitions have the rules of a revision in force.
func (w *world) everywhere(revision int64) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("revision %d in force everywhere", revision), func() bool {
		all := w.inForce()
		for p := range w.broker.Partitions() {
			if all[int32(p)].Revision < revision {
				return false
			}
		}
		return true
	})
}

// Transactions.

// tx is a transaction of number n, of one of a hundred cards.
func tx(n int) loyalty.Transaction {
	card := uuid.NewSHA1(uuid.NameSpaceOID, []byte(strconv.Itoa(n%100)))
	date, err := loyalty.ParseDate("2021-09-02")
	if err != nil {
		panic(err)
	}
	return loyalty.Transaction{
		ID: uuid.NewSHA1(card, []byte(strconv.Itoa(n))), CardID: card, Merchant: "Shop", MCC: 5411, Currency: loyalty.MustCurrency("SGD"),
		Amount: int64(100 * (n + 1)), Reference: "ref", Date: date, CardPAN: "************1234", CardType: "gold",
	}
}

func message(card uuid.UUID, value []byte) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{
		Topic: topic, Key: sarama.StringEncoder(card.String()), Value: sarama.ByteEncoder(value), Timestamp: time.Now(),
		Headers: []sarama.RecordHeader{{Key: []byte(record.HeaderFormat), Value: []byte("1")}, {Key: []byte(record.HeaderSource), Value: []byte("upload:x")}},
	}
}

func (w *world) produce(txs ...loyalty.Transaction) {
	w.t.Helper()
	var msgs []*sarama.ProducerMessage
	for _, t := range txs {
		value, err := json.Marshal(t)
		w.must(err)
		msgs = append(msgs, message(t.CardID, value))
	}
	w.must(w.send.SendMessages(msgs))
}

// many are the transactions from..to-1.
func many(from, to int) (out []loyalty.Transaction) {
	for n := from; n < to; n++ {
		out = append(out, tx(n))
	}
	return out
}

func (w *world) lag() (records int64) {
	lags, err := rewarder.Lag(context.Background(), w.kafka, group, topic)
	w.must(err)
	for _, l := range lags {
		records += l.Records()
	}
	return records
}

func (w *world) done() {
	w.t.Helper()
	w.eventually("everything committed", func() bool { return w.lag() == 0 })
}

// rows are all rows as they are stored, by key.
func (w *world) rows() (all []string) {
	w.t.Helper()
	w.must(w.store.All(context.Background(), func(r loyalty.Row) error {
		b, err := json.Marshal(r.Reward)
		all = append(all, fmt.Sprintf("%s %d/%d/%d", b, r.Position.Incarnation, r.Position.Partition, r.Position.Offset))
		return err
	}))
	slices.Sort(all)
	return all
}

// units are the units of each transaction.
func (w *world) units() map[uuid.UUID]int64 {
	w.t.Helper()
	out := map[uuid.UUID]int64{}
	w.must(w.store.All(context.Background(), func(r loyalty.Row) error {
		out[r.ID] = r.Units.Value
		return nil
	}))
	return out
}

// again makes the group read everything once more.
func (w *world) again() {
	w.t.Helper()
	to := map[int32]int64{}
	for p := range w.broker.Partitions() {
		to[int32(p)] = 0
	}
	w.must(rewarder.ResetOffsets(context.Background(), w.kafka, group, topic, to))
	if w.lag() == 0 {
		w.t.Fatal("the offsets were not reset")
	}
}

// records reads a topic from its beginning to its present end.
func (w *world) records(topic string) (out []*sarama.ConsumerMessage) {
	w.t.Helper()
	c, err := sarama.NewConsumerFromClient(w.kafka)
	w.must(err)
	defer c.Close()
	partitions, err := w.kafka.Partitions(topic)
	w.must(err)
	for _, p := range partitions {
		end, err := w.kafka.GetOffset(topic, p, sarama.OffsetNewest)
		w.must(err)
		if end == 0 {
			continue
		}
		pc, err := c.ConsumePartition(topic, p, sarama.OffsetOldest)
		w.must(err)
		for m := range pc.Messages() {
			out = append(out, m)
			if m.Offset+1 >= end {
				break
			}
		}
		w.must(pc.Close())
	}
	return out
}

func header(m *sarama.ConsumerMessage, key string) string {
	for _, h := range m.Headers {
		if string(h.Key) == key {
			return string(h.Value)
		}
	}
	return ""
}
