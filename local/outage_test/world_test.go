package outage_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/angelowl-loyalties/app/local/etcd"
	"github.com/angelowl-loyalties/app/local/kafka"
	"github.com/angelowl-loyalties/app/local/pebble"
	"github.com/angelowl-loyalties/app/local/wait"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/rules/oracle"
	"github.com/angelowl-loyalties/app/rewarder"
)

const (
	partitions = 6
	group      = "rewarder"
)

var home = loyalty.MustCurrency("CAD")

// world is what rewarders live in: a real etcd, a broker, and the embedded store behind a line that
// can be out.
type world struct {
	t      *testing.T
	log    *slog.Logger
	etcd   *clientv3.Client
	broker *kafka.Broker
	kafka  sarama.Client
	send   sarama.SyncProducer
	store  *store

	rules    loyalty.RuleFile
	edits    []edit
	examples []loyalty.Transaction

	producing sync.Mutex
	sent      atomic.Int64 // records
	next      int          // number of the next new transaction
	distinct  int          // transactions that were sent
}

// edit is the campaigns as they were published last by a revision of etcd.
type edit struct {
	revision int64
	oracle   *oracle.Oracle
}

func newWorld(t *testing.T, f fault) *world {
	t.Helper()
	w := &world{t: t, log: slog.New(slog.DiscardHandler)}
	if os.Getenv("LOG") != "" {
		w.log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	server, err := etcd.Start(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
	w.must(err)
	t.Cleanup(server.Close)
	w.etcd, err = server.Client()
	w.must(err)
	t.Cleanup(func() { w.must(w.etcd.Close()) })
	w.broker, err = kafka.Start(context.Background(), kafka.Config{Partitions: partitions, Log: w.log, Dir: t.TempDir()})
	w.must(err)
	t.Cleanup(w.broker.Close)
	real, err := pebble.Open(t.TempDir(), pebble.Options{})
	w.must(err)
	t.Cleanup(func() { w.must(real.Close()) })
	w.store = &store{real: real, fault: f}

	conf := sarama.NewConfig()
	conf.Version = sarama.V3_6_0_0
	conf.Producer.Return.Successes = true
	conf.Producer.RequiredAcks = sarama.WaitForAll
	conf.Producer.Partitioner = sarama.NewMurmur2Partitioner
	conf.Consumer.MaxWaitTime = 10 * time.Millisecond
	w.kafka, err = sarama.NewClient([]string{w.broker.Addr()}, conf)
	w.must(err)
	w.send, err = sarama.NewSyncProducerFromClient(w.kafka)
	w.must(err)
	t.Cleanup(func() { w.must(w.send.Close()); w.must(w.kafka.Close()) })

	b, err := os.ReadFile(rulesFile)
	w.must(err)
	w.rules, err = loyalty.DecodeRuleFile(b)
	w.must(err)
	for _, c := range w.rules.CardTypes {
		w.publish(rulebook.CardTypes, c.CardType, 1, c)
	}
	for _, c := range w.rules.Exclusions {
		w.publish(rulebook.Exclusions, c.ID.String(), 1, c)
	}
	var revision int64
	for _, c := range w.rules.Campaigns {
		revision = w.publish(rulebook.Campaigns, c.ID.String(), 1, c)
	}
	_, err = w.etcd.Put(t.Context(), rulebook.EpochKey, "1700000000000")
	w.must(err)
	w.edits = []edit{{0, w.oracle()}}
	if revision == 0 {
		t.Fatal("the example has no campaigns")
	}
	w.examples = w.spend()
	return w
}

// spend are the rows of the example that need no quote.
func (w *world) spend() (out []loyalty.Transaction) {
	f, err := os.Open(spendFile)
	w.must(err)
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	w.must(err)
	for _, record := range all[1:] {
		row := map[string]string{}
		for i, v := range record {
			row[all[0][i]] = v
		}
		raw := loyalty.RawTransaction{
			ID: row["id"], CardID: row["card_id"], Merchant: row["merchant"], MCC: row["mcc"], Currency: row["currency"],
			Amount: row["amount"], SGDAmount: row["sgd_amount"], TransactionID: row["transaction_id"],
			TransactionDate: row["transaction_date"], CardPAN: row["card_pan"], CardType: row["card_type"],
		}
		tx, err := raw.Parse(home)
		if err == nil && w.edits[0].oracle.Reward(&tx).Reason == "" {
			out = append(out, tx)
		}
	}
	if len(out) < 500 {
		w.t.Fatalf("the example has %d rows that need no quote", len(out))
	}
	return out
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
	wait.Until(w.t, 5*time.Millisecond, 2*time.Minute, what, f)
}

func (w *world) publish(kind rulebook.Kind, id string, version int64, rule any) int64 {
	w.t.Helper()
	data, err := json.Marshal(rule)
	w.must(err)
	value, err := rulebook.Value{Version: version, Data: data}.Encode()
	w.must(err)
	r, err := w.etcd.Put(w.t.Context(), rulebook.Key(kind, id), string(value))
	w.must(err)
	return r.Header.Revision
}

// oracle has the rules as they are now.
func (w *world) oracle() *oracle.Oracle {
	return oracle.New(home, w.rules.CardTypes, slices.Clone(w.rules.Campaigns), w.rules.Exclusions, nil)
}

// edit doubles the rates of the base campaigns, one after another.
func (w *world) edit() {
	w.t.Helper()
	for i := range w.rules.Campaigns {
		c := &w.rules.Campaigns[i]
		if c.Base {
			c.Rate *= 2
			revision := w.publish(rulebook.Campaigns, c.ID.String(), 2, *c)
			w.edits = append(w.edits, edit{revision, w.oracle()})
		}
	}
	if len(w.edits) < 3 {
		w.t.Fatal("the example has no base campaigns")
	}
}

// produce sends so many records and waits until the log has them. Every tenth is a transaction that
// was sent before, with another amount.
func (w *world) produce(n int) {
	w.t.Helper()
	if err := w.tryProduce(n); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tryProduce(n int) error {
	w.producing.Lock()
	defer w.producing.Unlock()
	msgs := make([]*sarama.ProducerMessage, 0, n)
	for range n {
		var tx loyalty.Transaction
		if w.next%10 == 9 {
			tx = w.tx(w.next / 2)
			tx.Amount += 100
		} else {
			tx = w.tx(w.next)
			w.distinct++
		}
		w.next++
		msgs = append(msgs, &sarama.ProducerMessage{
			Topic: record.Topic, Key: sarama.StringEncoder(tx.CardID.String()), Value: sarama.ByteEncoder(tx.AppendJSON(nil)), Timestamp: time.Now(),
			Headers: []sarama.RecordHeader{{Key: []byte(record.HeaderFormat), Value: []byte("1")}, {Key: []byte(record.HeaderSource), Value: []byte("upload:outage")}},
		})
	}
	if err := w.send.SendMessages(msgs); err != nil {
		return err
	}
	w.sent.Add(int64(n))
	return nil
}

// tx is the transaction of number n: a row of the example under another id. Those of the numbers
// that end with 9 are never sent for the first time.
func (w *world) tx(n int) loyalty.Transaction {
	if n%10 == 9 {
		n--
	}
	tx := w.examples[n%len(w.examples)]
	tx.ID = uuid.NewSHA1(tx.CardID, []byte(strconv.Itoa(n)))
	return tx
}

// load sends rows until stop is called.
func (w *world) load() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				ended <- nil
				return
			}
			if err := w.tryProduce(50); err != nil {
				ended <- err
				return
			}
		}
	}()
	return func() {
		w.t.Helper()
		cancel()
		w.must(<-ended)
	}
}

func (w *world) lag() (records int64) {
	w.t.Helper()
	lags, err := rewarder.Lag(w.t.Context(), w.kafka, group, record.Topic)
	w.must(err)
	for _, l := range lags {
		records += l.Records()
	}
	return records
}

func (w *world) rows() int64 {
	w.t.Helper()
	n, err := w.store.real.Count(w.t.Context())
	w.must(err)
	return n
}

// judge reads the log as it is, and holds every row of the store against the oracle with the rules
// that were in force where its transaction arrived first.
func (w *world) judge(outages int) {
	w.t.Helper()
	type arrival struct {
		tx     loyalty.Transaction
		at     loyalty.Position
		time   time.Time
		oracle *oracle.Oracle
	}
	first := map[loyalty.Key]arrival{}
	records, markers := 0, 0
	inForce := make([]edit, partitions)
	for p := range inForce {
		inForce[p] = w.edits[0]
	}
	again := 0
	w.read(record.Topic, func(m *sarama.ConsumerMessage) {
		for _, h := range m.Headers {
			if string(h.Key) != record.HeaderKind {
				continue
			}
			marker, err := record.DecodeMarker(m.Value)
			w.must(err)
			markers++
			for _, e := range w.edits {
				if e.revision <= marker.Revision && e.revision >= inForce[m.Partition].revision {
					inForce[m.Partition] = e
				}
			}
			return
		}
		records++
		tx, err := loyalty.DecodeTransaction(m.Value, home)
		w.must(err)
		if _, ok := first[tx.Key()]; ok {
			again++
			return
		}
		first[tx.Key()] = arrival{tx, loyalty.Position{Incarnation: 1, Partition: m.Partition, Offset: m.Offset},
			m.Timestamp.UTC().Truncate(time.Millisecond), inForce[m.Partition].oracle}
	})
	if int64(records) != w.sent.Load() || len(first) != w.distinct || again == 0 {
		w.t.Errorf("the log has %d records of %d transactions, sent were %d of %d", records, len(first), w.sent.Load(), w.distinct)
	}
	if markers < partitions {
		w.t.Errorf("the rules changed during the last outage, and %d markers are in %d partitions", markers, partitions)
	}
	w.read(record.Topic+record.DeadLetterSuffix, func(m *sarama.ConsumerMessage) {
		w.t.Errorf("an outage has made a dead letter: %s", m.Value)
	})

	rows, edited := 0, 0
	w.must(w.store.real.All(w.t.Context(), func(r loyalty.Row) error {
		rows++
		a, ok := first[r.Key()]
		if !ok {
			return fmt.Errorf("a reward is of no transaction: %s", r.ID)
		}
		if a.oracle != w.edits[0].oracle {
			edited++
		}
		want := a.oracle.Reward(&a.tx)
		base, promo := uuid.Nil, uuid.Nil
		if r.Trace.Base != nil {
			base = r.Trace.Base.ID
		}
		if r.Trace.Promo != nil {
			promo = r.Trace.Promo.ID
		}
		units, _ := new(big.Rat).SetString(r.Units.String())
		switch {
		case r.Transaction != a.tx:
			return fmt.Errorf("the reward of %s is of another transaction: %+v, want %+v", r.ID, r.Transaction, a.tx)
		case r.Position != a.at, !r.CreatedAt.Equal(a.time):
			return fmt.Errorf("the reward of %s is of %+v at %v, the transaction arrived first at %+v at %v", r.ID, r.Position, r.CreatedAt, a.at, a.time)
		case units == nil || units.Cmp(want.Units) != 0, r.Trace.Outcome != want.Outcome, base != want.Base, promo != want.Promo:
			return fmt.Errorf("the reward of %s is %s, %s by %s and %s; want %s, %s by %s and %s", r.ID, r.Trace.Outcome, r.Units, base, promo,
				want.Outcome, want.Units.RatString(), want.Base, want.Promo)
		}
		return nil
	}))
	if rows != len(first) || rows < 1000*outages {
		w.t.Errorf("%d transactions have %d rewards", len(first), rows)
	}
	if edited == 0 || edited == rows {
		w.t.Errorf("%d of %d rows are by the edited rules", edited, rows)
	}
	if n := w.store.during.Load(); n > 0 {
		w.t.Errorf("%d calls succeeded during outages", n)
	}
	w.t.Logf("%d records, %d rewards, %d of them by the edited rules; %d writes of rewards and %d other calls failed",
		records, rows, edited, w.store.struck.Load(), w.store.other.Load())
}

// read calls f with every record that a topic has now, in the order of each partition.
func (w *world) read(topic string, f func(*sarama.ConsumerMessage)) {
	w.t.Helper()
	c, err := sarama.NewConsumerFromClient(w.kafka)
	w.must(err)
	defer c.Close()
	all, err := w.kafka.Partitions(topic)
	w.must(err)
	for _, p := range all {
		end, err := w.kafka.GetOffset(topic, p, sarama.OffsetNewest)
		w.must(err)
		if end == 0 {
			continue
		}
		part, err := c.ConsumePartition(topic, p, sarama.OffsetOldest)
		w.must(err)
		for m := range part.Messages() {
			f(m)
			if m.Offset+1 >= end {
				break
			}
		}
		w.must(part.Close())
	}
}

// member is a rewarder that runs.
type member struct {
	w      *world
	cancel context.CancelFunc
	ended  chan error
	over   bool
	url    string
}

func (w *world) start(name string) *member {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	m := &member{w: w, cancel: cancel, ended: make(chan error, 1), url: "http://" + l.Addr().String()}
	cfg := rewarder.Config{
		Brokers: []string{w.broker.Addr()}, Group: group, Name: name, Home: home,
		StoreTimeout: 250 * time.Millisecond, RetryMax: 500 * time.Millisecond, CommitInterval: 20 * time.Millisecond, CheckEvery: 50 * time.Millisecond,
	}
	go func() {
		m.ended <- rewarder.Run(ctx, cfg, rewarder.Deps{Store: w.store, Etcd: w.etcd, Log: w.log, Clock: time.Now, Listener: l})
	}()
	w.t.Cleanup(m.stop)
	return m
}

// stop drains a rewarder.
func (m *member) stop() {
	m.w.t.Helper()
	if m.over {
		return
	}
	m.over = true
	m.cancel()
	select {
	case err := <-m.ended:
		if err != nil {
			m.w.t.Errorf("a rewarder that was told to stop: %v", err)
		}
	case <-time.After(time.Minute):
		m.w.t.Error("a rewarder does not end")
	}
}

func (m *member) get(path string) []byte {
	m.w.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(m.url + path)
	m.w.must(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	m.w.must(err)
	return body
}

func (m *member) status() (s rewarder.Status) {
	m.w.t.Helper()
	m.w.must(json.Unmarshal(m.get("/health"), &s))
	return s
}

// metrics are the rewarder's metrics by name and labels, without the prefix.
func (m *member) metrics() map[string]float64 {
	m.w.t.Helper()
	out := map[string]float64{}
	for line := range strings.Lines(string(m.get("/metrics"))) {
		line = strings.TrimSpace(line)
		i := strings.LastIndexByte(line, ' ')
		name, value, ok := line[:max(i, 0)], line[i+1:], i > 0
		if strings.HasPrefix(line, "#") || !ok {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		short, mine := strings.CutPrefix(name, "angelowl_rewarder_")
		if err != nil || !mine {
			m.w.t.Fatal(errors.Join(err, fmt.Errorf("not a metric of a rewarder: %s", line)))
		}
		out[short] = n
	}
	return out
}
