package zombie_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
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
	"github.com/angelowl-loyalties/app/rewarder"
)

// A rewarder is stopped with SIGSTOP in the middle of its writes, and with a rule marker on its
// way. Its session ends, others take its partitions and do its work, and the rules are edited
// again and again. Then it wakes, with the rules of then, and for a while nobody tells it that it
// has been out: its writes go through, it writes on what it had read, and its marker lands behind
// newer ones. No row changes, and what comes after is rewarded by the rules that are in force.
func TestAStoppedRewarderChangesNothingWhenItWakes(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: a session of the consumer group takes 6 s to end")
	}
	rounds := 1
	if os.Getenv("ANGELOWL_LONG") != "" {
		rounds = 12
	}
	w := newWorld(t)
	w.edit()
	others := []*member{w.start("a"), w.start("b")}
	z := w.wake()
	for round := range rounds {
		w.round(z)
		t.Logf("round %d of %d: %s", round+1, rounds, w.told)
	}
	z.end()
	for _, m := range others {
		m.end()
	}
	w.judge()
}

func (w *world) round(z *process) {
	t := w.t
	t.Helper()
	w.await("the rewarders to have shared out the partitions", func() bool { return len(w.owned(zombie)) > 0 && len(w.owners()) == partitions })
	w.everywhere(w.edit())
	w.produce(500 + w.rnd.IntN(1000))
	w.done()
	generation := w.wire.generation.Load()
	owned := w.owned(zombie)
	if generation < 1 || len(owned) == 0 {
		t.Fatalf("the zombie has the partitions %v in generation %d", owned, generation)
	}

	// Writes are under way, and a marker is.
	writes, markers := &w.bridge.writes, &w.wire.produce
	late, lateMarkers := writes.late.Load(), markers.late.Load()
	writes.shut()
	w.produce(3000 + w.rnd.IntN(1000))
	atLeast := 1 + w.rnd.Int64N(int64(3*len(owned)))
	w.await("writes to be under way", func() bool { return writes.held.Load() >= atLeast })
	markers.shut()
	stale := w.edit()
	w.await("a marker to be under way", func() bool { return markers.held.Load() > 0 })

	z.stop()
	w.wire.heartbeat.shut()
	held := writes.held.Load()
	before := w.lag(owned)
	asleep := 1000 + w.rnd.IntN(1000)
	w.produce(asleep)
	if after := w.lag(owned); before == 0 || after <= before {
		t.Errorf("the lag of the sleeper's partitions went from %d to %d, want it to rise", before, after)
	}
	w.everywhere(w.edit())
	newest := w.edit()
	w.everywhere(newest)
	w.done()
	if !z.stopped() || len(w.owned(zombie)) > 0 {
		t.Fatalf("it should sleep and have no partition, it has %v", w.owned(zombie))
	}
	rows := w.rows()
	if len(rows) != w.sent {
		t.Fatalf("%d rows are stored, %d were sent", len(rows), w.sent)
	}

	came := writes.came.Load()
	z.resume()
	writes.open()
	w.await("the writes to go through that were held back", func() bool { return writes.late.Load() >= late+held })
	w.await("what it had read to be written", func() bool { return writes.came.Load() > came })
	markers.open()
	w.await("its marker to go through", func() bool { return markers.late.Load() > lateMarkers })
	var behind int
	w.await("its marker to land behind newer ones", func() bool {
		behind = w.behind(owned, stale, newest)
		return behind > 0
	})
	w.same(rows, "of its writes")
	w.wire.heartbeat.open()
	w.await("it to be back", func() bool { return len(w.owned(zombie)) > 0 && len(w.owners()) == partitions })
	w.await("another generation", func() bool { return w.wire.generation.Load() > generation+1 })
	w.done()
	w.same(rows, "since it is back")
	w.told = fmt.Sprintf("%d writes were held back and went through, %d came after them; %d markers landed behind newer ones; %d rows came meanwhile; generation %d became %d",
		held, writes.came.Load()-came, behind, asleep, generation, w.wire.generation.Load())

	w.produce(1000)
	w.everywhere(w.edit())
	w.produce(500)
	w.done()
	if rows := w.rows(); len(rows) != w.sent {
		t.Fatalf("%d rows are stored, %d were sent", len(rows), w.sent)
	}
}

const partitions = 6

// world is what rewarders live in.
type world struct {
	t      *testing.T
	rnd    *rand.Rand
	etcd   *clientv3.Client
	kafka  sarama.Client
	send   sarama.SyncProducer
	bridge *bridge
	wire   *wire
	orders orders
	told   string // of the last round

	sent  int             // transactions
	rates map[int64]int64 // of the one campaign, by etcd's revision
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Cleanup(func() {
		goleak.VerifyNone(t, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")) // sarama's, one a process
	})
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ANGELOWL_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("ANGELOWL_SEED: %v", err)
		}
	}
	t.Logf("ANGELOWL_SEED=%d does this again", seed)
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), wire: &wire{}, rates: map[int64]int64{}}
	log := slog.New(slog.DiscardHandler)
	member, err := etcd.Start(t.Context(), t.TempDir(), log)
	w.must(err)
	t.Cleanup(member.Close)
	w.etcd, err = member.Client()
	w.must(err)
	t.Cleanup(func() { w.must(w.etcd.Close()) })
	broker, err := kafka.Start(t.Context(), kafka.Config{Partitions: partitions, Log: log, Dir: t.TempDir()})
	w.must(err)
	t.Cleanup(broker.Close)
	store, err := pebble.Open(t.TempDir(), pebble.Options{})
	w.must(err)
	t.Cleanup(func() { w.must(store.Close()) })
	w.bridge = &bridge{store: store}
	w.orders = orders{Broker: broker.Addr(), Wire: layWire(t, w.wire, broker.Addr()), Etcd: member.Endpoint, Store: serveStore(t, w.bridge)}
	t.Cleanup(func() { // whoever waits at a gate when the test fails
		w.bridge.writes.open()
		w.wire.produce.open()
		w.wire.heartbeat.open()
	})

	conf := sarama.NewConfig()
	conf.Version = sarama.V3_6_0_0
	conf.Producer.Return.Successes = true
	conf.Producer.Partitioner = sarama.NewMurmur2Partitioner
	conf.Consumer.MaxWaitTime = 10 * time.Millisecond
	w.kafka, err = sarama.NewClient([]string{broker.Addr()}, conf)
	w.must(err)
	w.send, err = sarama.NewSyncProducerFromClient(w.kafka)
	w.must(err)
	t.Cleanup(func() { w.must(w.send.Close()); w.must(w.kafka.Close()) })

	w.publish(rulebook.CardTypes, "gold", 1, `{"card_type": "gold", "name": "Gold", "reward_unit": "points", "reward_program": "Gold", "decimals": 0}`)
	_, err = w.etcd.Put(t.Context(), rulebook.EpochKey, "1700000000000")
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// await waits for something that another program does.
func (w *world) await(what string, f func() bool) {
	w.t.Helper()
	wait.Until(w.t, 5*time.Millisecond, time.Minute, what, f)
}

// member is a rewarder of this process.
type member struct {
	w      *world
	cancel context.CancelFunc
	ended  chan error
	over   bool
}

func (w *world) start(name string) *member {
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{w: w, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		m.ended <- rewarder.Run(ctx, config(w.orders.Broker, name), rewarder.Deps{
			Store: w.bridge.store, Etcd: w.etcd, Log: slog.New(slog.DiscardHandler), Clock: time.Now, Kafka: groupTimes,
		})
	}()
	w.t.Cleanup(m.end)
	return m
}

func (m *member) end() {
	if m.over {
		return
	}
	m.over = true
	m.cancel()
	if err := <-m.ended; err != nil {
		m.w.t.Errorf("a rewarder that was told to stop: %v", err)
	}
}

// process is the rewarder that is a process of its own.
type process struct {
	w      *world
	cmd    *exec.Cmd
	stdin  func() error
	stderr bytes.Buffer
	once   sync.Once
}

func (w *world) wake() *process {
	w.t.Helper()
	self, err := os.Executable()
	w.must(err)
	text, err := json.Marshal(w.orders)
	w.must(err)
	p := &process{w: w, cmd: exec.Command(self)}
	p.cmd.Env = append(os.Environ(), ordersVariable+"="+string(text))
	p.cmd.Stderr = &p.stderr
	in, err := p.cmd.StdinPipe()
	w.must(err)
	p.stdin = in.Close
	w.must(p.cmd.Start())
	w.t.Cleanup(p.end)
	return p
}

// end has it drain, whatever state it is in.
func (p *process) end() {
	p.once.Do(func() {
		p.w.bridge.writes.open()
		p.w.wire.produce.open()
		p.w.wire.heartbeat.open()
		p.resume()
		_ = p.stdin()
		if err := p.cmd.Wait(); err != nil {
			p.w.t.Errorf("the rewarder that was stopped and woken: %v", err)
		}
		if p.w.t.Failed() {
			p.w.t.Logf("it said\n%s", &p.stderr)
		}
	})
}

func (p *process) stop() {
	p.w.t.Helper()
	p.w.must(p.cmd.Process.Signal(syscall.SIGSTOP))
	p.w.await("it to stop", p.stopped)
}

func (p *process) resume() { p.w.must(p.cmd.Process.Signal(syscall.SIGCONT)) }

// stopped asks the kernel: the state stands behind the name, in brackets.
func (p *process) stopped() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	p.w.must(err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "T")
}

// owners are the rewarders by partition, as they say themselves.
func (w *world) owners() map[int32]rulebook.InForce {
	w.t.Helper()
	prefix := rulebook.InForcePrefix + record.Topic + "/"
	r, err := w.etcd.Get(w.t.Context(), prefix, clientv3.WithPrefix())
	w.must(err)
	out := map[int32]rulebook.InForce{}
	for _, kv := range r.Kvs {
		var f rulebook.InForce
		w.must(json.Unmarshal(kv.Value, &f))
		p, err := strconv.Atoi(strings.TrimPrefix(string(kv.Key), prefix))
		w.must(err)
		out[int32(p)] = f
	}
	return out
}

// owned are the partitions that a rewarder says it has.
func (w *world) owned(name string) (all []int32) {
	w.t.Helper()
	for p, f := range w.owners() {
		if f.Rewarder == name {
			all = append(all, p)
		}
	}
	return all
}

// everywhere waits until all partitions have the rules of a revision in force.
func (w *world) everywhere(revision int64) {
	w.t.Helper()
	w.await(fmt.Sprintf("revision %d to be in force everywhere", revision), func() bool {
		owners := w.owners()
		for _, f := range owners {
			if f.Revision < revision {
				return false
			}
		}
		return len(owners) == partitions
	})
}

var campaign = uuid.MustParse("11111111-1111-4111-8111-111111111111")

// edit publishes the one campaign with a rate that it has not had, and returns etcd's revision.
func (w *world) edit() int64 {
	w.t.Helper()
	rate := int64(len(w.rates) + 1)
	revision := w.publish(rulebook.Campaigns, campaign.String(), rate, fmt.Sprintf(`{"id": %q, "name": "Base %d", "min_spend": 0, "start_date": "2000-01-01",
		"end_date": "2090-12-31", "reward_program": "gold", "reward_amount": %d, "mcc": "0", "merchant": "", "base_reward": true, "foreign_currency": false}`, campaign, rate, rate))
	w.rates[revision] = rate
	return revision
}

func (w *world) publish(kind rulebook.Kind, id string, version int64, data string) int64 {
	w.t.Helper()
	value, err := rulebook.Value{Version: version, Data: json.RawMessage(data)}.Encode()
	w.must(err)
	r, err := w.etcd.Put(w.t.Context(), rulebook.Key(kind, id), string(value))
	w.must(err)
	return r.Header.Revision
}

// produce sends as many transactions, each of its own, of a hundred cards.
func (w *world) produce(n int) {
	w.t.Helper()
	msgs := make([]*sarama.ProducerMessage, n)
	for i := range msgs {
		number := w.sent + i
		card := uuid.NewSHA1(uuid.NameSpaceOID, []byte(strconv.Itoa(w.rnd.IntN(100))))
		tx := loyalty.Transaction{
			ID: uuid.NewSHA1(card, []byte(strconv.Itoa(number))), CardID: card, Merchant: "Shop", MCC: 5411, Currency: loyalty.MustCurrency("SGD"),
			Amount: int64(100 * (number + 1)), Reference: "ref", Date: loyalty.DateOf(2021, 9, 2), CardPAN: "************1234", CardType: "gold",
		}
		msgs[i] = &sarama.ProducerMessage{
			Topic: record.Topic, Key: sarama.StringEncoder(card.String()), Value: sarama.ByteEncoder(tx.AppendJSON(nil)), Timestamp: time.Now(),
			Headers: []sarama.RecordHeader{{Key: []byte(record.HeaderFormat), Value: []byte("1")}},
		}
	}
	w.must(w.send.SendMessages(msgs))
	w.sent += n
}

// lag is how many records of partitions are still to be rewarded.
func (w *world) lag(of []int32) (records int64) {
	w.t.Helper()
	lags, err := rewarder.Lag(w.t.Context(), w.kafka, group, record.Topic)
	w.must(err)
	for _, l := range lags {
		if slices.Contains(of, l.Partition) {
			records += l.Records()
		}
	}
	return records
}

// done waits until all that was sent is dealt with.
func (w *world) done() {
	w.t.Helper()
	all := []int32{0, 1, 2, 3, 4, 5}
	w.await("the rewards", func() bool { return w.lag(all) == 0 })
}

// rows are all rows as they are stored, by key.
func (w *world) rows() map[loyalty.Key]string {
	w.t.Helper()
	rows := map[loyalty.Key]string{}
	w.must(w.bridge.store.All(w.t.Context(), func(r loyalty.Row) error {
		b, err := r.AppendJSON(nil)
		rows[r.Key()] = string(b) + " " + record.LetterID(r.Position)
		return err
	}))
	return rows
}

// same holds that the store has the rows that it had.
func (w *world) same(rows map[loyalty.Key]string, since string) {
	w.t.Helper()
	now := w.rows()
	if maps.Equal(now, rows) {
		return
	}
	for key, was := range rows {
		if now[key] != was {
			w.t.Fatalf("%s the row\n%s\nbecame\n%s", since, was, now[key])
		}
	}
	w.t.Fatalf("%s there are %d rows, there were %d", since, len(now), len(rows))
}

// read is a partition from its beginning to its present end.
func (w *world) read(p int32) (all []*sarama.ConsumerMessage) {
	w.t.Helper()
	end, err := w.kafka.GetOffset(record.Topic, p, sarama.OffsetNewest)
	w.must(err)
	if end == 0 {
		return nil
	}
	consumer, err := sarama.NewConsumerFromClient(w.kafka)
	w.must(err)
	defer consumer.Close()
	part, err := consumer.ConsumePartition(record.Topic, p, sarama.OffsetOldest)
	w.must(err)
	defer part.Close()
	for m := range part.Messages() {
		if all = append(all, m); m.Offset+1 >= end {
			break
		}
	}
	return all
}

// markerOf is the marker in a record, if it has one.
func (w *world) markerOf(m *sarama.ConsumerMessage) (marker record.Marker, ok bool) {
	w.t.Helper()
	for _, h := range m.Headers {
		if string(h.Key) == record.HeaderKind && string(h.Value) == record.KindMarker {
			marker, err := record.DecodeMarker(m.Value)
			w.must(err)
			return marker, true
		}
	}
	return marker, false
}

// behind counts the markers of a revision that stand in the log behind those of a later one.
func (w *world) behind(in []int32, stale, newest int64) (n int) {
	w.t.Helper()
	for _, p := range in {
		later := false
		for _, m := range w.read(p) {
			marker, ok := w.markerOf(m)
			switch {
			case ok && marker.Revision == newest:
				later = true
			case ok && marker.Revision == stale && later:
				n++
			}
		}
	}
	return n
}

// judge holds that each transaction has one row, by the rules that the log has in force where it
// stands, and that the store's markers name the same.
func (w *world) judge() {
	t := w.t
	t.Helper()
	found, sets := 0, map[loyalty.Hash]bool{}
	for p := range int32(partitions) {
		var force record.Marker
		for _, m := range w.read(p) {
			at := loyalty.Position{Incarnation: 1, Partition: p, Offset: m.Offset}
			named, _, err := w.bridge.store.MarkerBefore(t.Context(), at)
			if m.Offset == 0 {
				force = named
			}
			if err != nil || named != force {
				t.Fatalf("at %s the log has %+v in force, the store names %+v: %v", record.LetterID(at), force, named, err)
			}
			if marker, ok := w.markerOf(m); ok {
				if marker.After(force) {
					force = marker
				}
				continue
			}
			tx, err := loyalty.DecodeTransaction(m.Value, loyalty.MustCurrency("SGD"))
			w.must(err)
			row, err := w.bridge.store.Get(t.Context(), tx.Key())
			w.must(err)
			if want := tx.Amount / 100 * w.rates[force.Revision]; row.Units.Value != want || row.Trace.RuleSet != force.Hash || row.Position != at {
				t.Fatalf("transaction %s at %s earned %d by rule set %s at %s, want %d by %s", tx.ID, record.LetterID(at),
					row.Units.Value, row.Trace.RuleSet, record.LetterID(row.Position), want, force.Hash)
			}
			found++
			sets[force.Hash] = true
		}
	}
	if found != w.sent {
		t.Errorf("%d transactions are in the log, %d were sent", found, w.sent)
	}
	t.Logf("%d rows by %d rule sets", found, len(sets))
}
