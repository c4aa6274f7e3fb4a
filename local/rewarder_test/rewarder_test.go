package rewarder_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/local/kafka"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/rewarder"
)

// pausedSeries is what the metrics hold while a rewarder is paused, on a partition or on none.
const pausedSeries = "angelowl_rewarder_state{state=\"paused\"} 1\n"

func TestWaitsForRulesAndThenRewards(t *testing.T) {
	w := newWorld(t, 2)
	w.produce(many(0, 10)...)
	r := w.start("a")
	w.eventually("both partitions wait for rules", func() bool {
		s := r.status()
		return s.State == "waiting for rules" && len(s.Partitions) == 2 && s.RulesProblem == rulebook.ErrEmpty.Error()
	})
	w.rules()
	w.done()
	got := w.units()
	for n := range 10 {
		if u := got[tx(n).ID]; u != int64(n+1) {
			t.Errorf("transaction %d earned %d, want %d", n, u, n+1)
		}
	}
	if s := r.status(); s.State != "consuming" || s.RulesProblem != "" {
		t.Errorf("the state is %+v", s)
	}
	for p, f := range w.inForce() {
		if f.Rewarder != "a" || f.Offset != -1 && f.Revision == 0 {
			t.Errorf("partition %d says %+v", p, f)
		}
	}
	r.stop()
	if left := w.inForce(); len(left) > 0 {
		t.Errorf("a rewarder that has stopped still says what is in force: %v", left)
	}
}

func TestTheFirstArrivalWins(t *testing.T) {
	w := newWorld(t, 2)
	w.rules()
	first, second := tx(7), tx(7)
	second.Amount = 999_00
	w.produce(first)
	r := w.start("a")
	w.done()
	w.produce(second, second)
	w.done()
	if u := w.units()[first.ID]; u != 8 {
		t.Errorf("the transaction earned %d, want the 8 of its first arrival", u)
	}
	r.stop()
}

func TestReplaysWithEditsBetweenChangeNothing(t *testing.T) {
	w := newWorld(t, 3)
	w.rules()
	r := w.start("a")
	w.produce(many(0, 300)...)
	w.done()
	for i, rate := range []string{"2", "3"} {
		w.everywhere(w.campaign(int64(i+2), rate))
		w.produce(many(300*(i+1), 300*(i+2))...)
		w.done()
	}
	units := w.units()
	for n := range 900 {
		if got, want := units[tx(n).ID], int64((n+1)*(n/300+1)); got != want {
			t.Fatalf("transaction %d earned %d, want %d by the rules that it arrived under", n, got, want)
		}
	}
	before := w.rows()
	for i := range 3 {
		r.stop()
		w.campaign(int64(i+10), fmt.Sprint(i+10))
		w.again()
		r = w.start("a")
		w.done()
		if !slices.Equal(before, w.rows()) {
			t.Fatalf("replay %d changed rows", i+1)
		}
	}
	r.stop()
}

// Two rewarders, each of which sees offsets only up to its own crash, and a new store: what is
// in force is in the store and the log, never in a rewarder.
func TestANewStoreGivesTheSameRows(t *testing.T) {
	w := newWorld(t, 2)
	w.rules()
	r := w.start("a")
	w.produce(many(0, 50)...)
	w.everywhere(w.campaign(2, "5"))
	w.produce(many(50, 100)...)
	w.done()
	r.stop()
	w.again()
	r = w.start("b", func(c *rewarder.Config) { c.BatchRows, c.BatchesInFlight, c.RuleSets = 1, 1, 2 })
	before := w.rows()
	w.done()
	if !slices.Equal(before, w.rows()) {
		t.Error("other limits gave other rows")
	}
	r.stop()
}

func TestMarkersThatChangeNothing(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	r := w.start("a")
	old := w.waitInForce(0, func(rulebook.InForce) bool { return true })
	w.everywhere(w.campaign(2, "2"))
	now := w.inForce()[0]
	if now.Hash == old.Hash {
		t.Fatal("the edit changed nothing")
	}
	marker := func(value string) *sarama.ProducerMessage {
		return &sarama.ProducerMessage{Topic: topic, Partition: 0, Value: sarama.StringEncoder(value), Headers: []sarama.RecordHeader{
			{Key: []byte(record.HeaderKind), Value: []byte(record.KindMarker)}, {Key: []byte(record.HeaderFormat), Value: []byte("1")}}}
	}
	stale := record.Marker{Hash: old.Hash, Epoch: old.Epoch, Revision: old.Revision}
	double := record.Marker{Hash: now.Hash, Epoch: now.Epoch, Revision: now.Revision}
	olderEpoch := record.Marker{Hash: old.Hash, Epoch: old.Epoch - 1, Revision: now.Revision + 100}
	w.must(w.send.SendMessages([]*sarama.ProducerMessage{
		marker(`{"hash": 4111111111111111}`), marker(string(stale.Encode())), marker(string(double.Encode())), marker(string(olderEpoch.Encode())),
	}))
	w.produce(tx(1))
	w.done()
	if u := w.units()[tx(1).ID]; u != 4 {
		t.Errorf("a stale marker changed the rules: %d units, want 4", u)
	}
	dead := w.records(topic + record.DeadLetterSuffix)
	if len(dead) != 1 || header(dead[0], record.HeaderReason) != "bad_marker" || strings.Contains(string(dead[0].Value), "411111") {
		t.Errorf("the marker that cannot be read should be the one dead letter: %v", dead)
	}
	// Whoever begins after any of them has the same in force.
	r.stop()
	for offset := now.Offset + 1; offset <= now.Offset+6; offset++ {
		m, _, err := w.store.MarkerBefore(context.Background(), loyalty.Position{Incarnation: 1, Offset: offset})
		if w.must(err); m.Hash != now.Hash || m.Revision != now.Revision {
			t.Errorf("at offset %d the store has %v in force, want %v", offset, m, now)
		}
	}
}

func (w *world) waitInForce(p int32, ok func(rulebook.InForce) bool) (f rulebook.InForce) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("partition %d says what is in force", p), func() bool {
		var there bool
		f, there = w.inForce()[p]
		return there && ok(f)
	})
	return f
}

func TestAMarkerWithoutItsRulesPausesThePartition(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	r := w.start("a")
	w.waitInForce(0, func(rulebook.InForce) bool { return true })
	unknown := record.Marker{Hash: loyalty.HashOf([]byte("unknown")), Epoch: 1 << 60, Revision: 1}
	_, _, err := w.send.SendMessage(&sarama.ProducerMessage{Topic: topic, Partition: 0, Value: sarama.ByteEncoder(unknown.Encode()),
		Headers: []sarama.RecordHeader{{Key: []byte(record.HeaderKind), Value: []byte(record.KindMarker)}}})
	w.must(err)
	w.produce(tx(1))
	w.eventually("the partition pauses", func() bool {
		s := r.status()
		return s.State == "paused" && strings.Contains(s.Reason, unknown.Hash.String())
	})
	if n := len(w.records(topic + record.DeadLetterSuffix)); n > 0 || len(w.units()) > 0 {
		t.Errorf("%d dead letters and %d rows, want none", n, len(w.units()))
	}
	r.stop()
}

// A reward store that was restored from a backup lacks the rule sets of since. The log names them, and their topic has them.
func TestRuleSetsThatTheStoreLostAreReadBack(t *testing.T) {
	w := newWorld(t, 2)
	w.rules()
	r := w.start("a")
	for i := range 4 {
		w.everywhere(w.campaign(int64(i+2), fmt.Sprint(i+2)))
		w.produce(many(10*i, 10*i+10)...)
		w.done()
	}
	r.stop()
	before := w.rows()
	for _, topicLost := range []bool{false, true} {
		w.store.has = &sync.Map{}
		w.again()
		if topicLost {
			admin, err := sarama.NewClusterAdminFromClient(w.kafka)
			w.must(err)
			w.must(admin.DeleteTopic(topic + record.RulesSuffix))
			r = w.start("c")
			w.eventually("the rewarder pauses", func() bool {
				s := r.status()
				return s.State == "paused" && strings.Contains(s.Reason, topic+record.RulesSuffix)
			})
		} else {
			r = w.start("b")
			w.done()
		}
		r.stop()
	}
	if !slices.Equal(before, w.rows()) || len(before) != 40 {
		t.Errorf("reading again changed some of %d rows", len(before))
	}
}

func TestARecordOfANewerFormatIsNotSkipped(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	w.produce(tx(1))
	m := message(tx(2).CardID, []byte("{}"))
	m.Headers[0].Value = []byte("2")
	_, _, err := w.send.SendMessage(m)
	w.must(err)
	w.produce(tx(3))
	r := w.start("a")
	w.eventually("the partition stands still", func() bool {
		s := r.status()
		return s.State == "paused" && strings.Contains(s.Reason, "offset 1 has format 2")
	})
	w.eventually("what is before it is committed", func() bool { return w.lag() == 2 })
	if n := len(w.units()); n != 1 {
		t.Errorf("%d rows, want the one before it", n)
	}
	r.stop()
}

// Whoever sends a record may leave the format out: it is the first.
func TestARecordWithoutAFormatIsOfTheFirst(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	r := w.start("a")
	f := w.waitInForce(0, func(rulebook.InForce) bool { return true })
	value, err := tx(1).MarshalJSON()
	w.must(err)
	bare := message(tx(1).CardID, value)
	bare.Headers = nil
	marker := record.Marker{Hash: f.Hash, Epoch: f.Epoch, Revision: f.Revision + 1}
	_, _, err = w.send.SendMessage(bare)
	w.must(err)
	_, _, err = w.send.SendMessage(&sarama.ProducerMessage{Topic: topic, Partition: 0, Value: sarama.ByteEncoder(marker.Encode()),
		Headers: []sarama.RecordHeader{{Key: []byte(record.HeaderKind), Value: []byte(record.KindMarker)}}})
	w.must(err)
	w.done()
	if u := w.units()[tx(1).ID]; u != 2 {
		t.Errorf("the transaction earned %d, want 2", u)
	}
	w.waitInForce(0, func(now rulebook.InForce) bool { return now.Revision == marker.Revision })
	if n := len(w.records(topic + record.DeadLetterSuffix)); n > 0 {
		t.Errorf("%d dead letters", n)
	}
	r.stop()
}

func TestAStoreOutagePausesAndGoesOn(t *testing.T) {
	w := newWorld(t, 2)
	w.rules()
	r := w.start("a")
	w.produce(many(0, 100)...)
	w.done()
	w.store.out.Store(true)
	w.produce(many(100, 2000)...)
	w.eventually("the rewarder pauses and says why", func() bool {
		s := r.status()
		return s.State == "paused" && strings.Contains(s.Reason, errOutage.Error()) && w.store.refused.Load() > 5
	})
	if lag := w.lag(); lag < 1900 {
		t.Errorf("the lag is %d during the outage, want all 1900", lag)
	}
	for _, series := range []string{`angelowl_rewarder_paused{partition="0"} 1`, pausedSeries} {
		if !strings.Contains(r.get("/metrics"), series) {
			t.Errorf("the metrics do not say %s", series)
		}
	}
	w.store.out.Store(false)
	w.done()
	if n := len(w.units()); n != 2000 {
		t.Errorf("%d rows after the outage, want 2000", n)
	}
	if n := len(w.records(topic + record.DeadLetterSuffix)); n > 0 {
		t.Errorf("the outage made %d dead letters", n)
	}
	if s := r.status(); s.State != "consuming" {
		t.Errorf("after the outage: %+v", s)
	}
	r.stop()
}

func TestPoisonIsSetAside(t *testing.T) {
	const pan = "4111111111111111"
	w := newWorld(t, 2)
	w.rules()
	refused := "Too large"
	w.store.refuse.Store(&refused)
	edit := func(f func(*loyalty.Transaction)) []byte {
		x := tx(5)
		f(&x)
		b, err := x.MarshalJSON()
		w.must(err)
		return b
	}
	card := tx(5).CardID
	other := message(card, edit(func(x *loyalty.Transaction) {
		for n := range 100 { // a card that belongs into the other partition
			if x.CardID = tx(n).CardID; w.partition(tx(n)) != w.partition(tx(5)) {
				return
			}
		}
	}))
	badKind := message(card, edit(func(*loyalty.Transaction) {}))
	badKind.Headers = append(badKind.Headers, sarama.RecordHeader{Key: []byte(record.HeaderKind), Value: []byte("greeting")})
	badFormat := message(card, edit(func(*loyalty.Transaction) {}))
	badFormat.Headers[0].Value = []byte("one")
	letters := []struct {
		reason string
		msg    *sarama.ProducerMessage
	}{
		{"not_json", message(card, []byte(`{"card_pan": "`+pan))},
		{"not_json", message(card, nil)},
		{"not_utf8", message(card, []byte("\xff\xfe4\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x00"))},
		{"missing", message(card, []byte(`{"merchant": "pay `+pan+` now"}`))},
		{"wrong_type", message(card, []byte(`{"merchant": `+pan+`}`))},
		{"unknown_card_type", message(card, edit(func(x *loyalty.Transaction) { x.CardType = "lead" }))},
		{"no_quote", message(card, edit(func(x *loyalty.Transaction) { x.Currency = loyalty.MustCurrency("USD") }))},
		{"not_storable", message(card, edit(func(x *loyalty.Transaction) { x.Merchant = refused }))},
		{"wrong_partition", other},
		{"unknown_kind", badKind},
		{"bad_format", badFormat},
	}
	var want []string
	w.produce(many(0, 50)...)
	for _, l := range letters {
		_, _, err := w.send.SendMessage(l.msg)
		w.must(err)
		want = append(want, l.reason)
	}
	w.produce(many(50, 100)...)
	r := w.start("a")
	w.done()
	if n := len(w.units()); n != 100 {
		t.Errorf("%d rows, want the 100 good ones", n)
	}
	var got []string
	for _, m := range w.records(topic + record.DeadLetterSuffix) {
		got = append(got, header(m, record.HeaderReason))
		text := string(m.Value)
		for _, h := range m.Headers {
			text += string(h.Value)
		}
		if strings.Contains(text, "411111") || strings.Contains(strings.ReplaceAll(text, "\x00", ""), "411111") {
			t.Errorf("a dead letter shows a PAN: %q", text)
		}
		for _, h := range []string{record.HeaderTopicID, record.HeaderIncarnation, record.HeaderPartition, record.HeaderOffset, record.HeaderTimestamp, record.HeaderDetail, record.HeaderSource} {
			if header(m, h) == "" {
				t.Errorf("a dead letter has no header %s", h)
			}
		}
		if string(m.Key) != card.String() {
			t.Errorf("a dead letter has the key %q", m.Key)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("dead letters %v, want %v", got, want)
	}
	r.stop()
}

func (w *world) partition(x loyalty.Transaction) int32 {
	p, err := sarama.NewMurmur2Partitioner(topic).Partition(&sarama.ProducerMessage{Key: sarama.StringEncoder(x.CardID.String())}, int32(w.broker.Partitions()))
	w.must(err)
	return p
}

func TestRewardersComeAndGo(t *testing.T) {
	w := newWorld(t, 4)
	w.rules()
	const total = 6000
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for n := 0; n < total; n += 100 {
			w.produce(many(n, n+100)...)
		}
	}()
	a := w.start("a")
	w.eventually("some rows", func() bool { return w.count() > 200 })
	b := w.start("b")
	w.eventually("both have partitions", func() bool { return len(a.status().Partitions) == 2 && len(b.status().Partitions) == 2 })
	w.campaign(2, "2")
	w.eventually("more rows", func() bool { return w.count() > 1000 })
	a.stop()
	c := w.start("c")
	<-sent
	w.done()
	b.stop()
	w.produce(many(total, total+100)...)
	w.done()
	c.stop()
	if n := w.count(); n != total+100 {
		t.Errorf("%d rows, want %d", n, total+100)
	}
	before := w.rows()
	w.again()
	d := w.start("d")
	w.done()
	d.stop()
	if !slices.Equal(before, w.rows()) {
		t.Error("a replay after the rebalances gave other rows")
	}
}

// members says how many are in the group, and its state.
func (w *world) members() (int, string) {
	admin, err := sarama.NewClusterAdminFromClient(w.kafka) // not closed: that would close the client
	w.must(err)
	groups, err := admin.DescribeConsumerGroups([]string{group})
	w.must(err)
	return len(groups[0].Members), groups[0].State
}

// TestReadyOnceItHasJoined: whoever restarts rewarders one after another sees when the next one may be.
func TestReadyOnceItHasJoined(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	lost := w.start("lost", func(c *rewarder.Config) { c.Brokers = []string{"127.0.0.1:1"} })
	w.eventually("it has looked for the broker", func() bool { return lost.status().State == "paused" })
	if got := lost.get("/readyz"); got != "{\"status\":\"joining the consumer group\"}\n" {
		t.Errorf("without a broker: %s", got)
	}
	if got := lost.get("/livez"); got != "{\"status\":\"alive\"}\n" {
		t.Errorf("without a broker: %s", got)
	}
	a := w.start("a")
	w.eventually("it is ready", func() bool { return a.get("/readyz") == "{\"status\":\"ready\"}\n" })
	// A store that is out is no reason to hold up a restart, or to stop one.
	w.store.out.Store(true)
	w.produce(many(0, 10)...)
	w.eventually("it pauses", func() bool { return a.status().State == "paused" })
	if got := a.get("/readyz"); got != "{\"status\":\"ready\"}\n" {
		t.Errorf("without its store: %s", got)
	}
	w.store.out.Store(false)
	w.done()
}

// TestAStaticMemberKeepsItsPartitions: a rewarder that restarts within the session's time gets back what
// it had, and the others' partitions never move.
func TestAStaticMemberKeepsItsPartitions(t *testing.T) {
	w := newWorld(t, 4)
	w.rules()
	static := func(id string) func(*rewarder.Config) {
		return func(c *rewarder.Config) { c.InstanceID, c.SessionTimeout = id, time.Minute }
	}
	has := func(r *running) (all []int32) {
		for _, p := range r.status().Partitions {
			all = append(all, p.Partition)
		}
		return all
	}
	a, b := w.start("a", static("rewarder-0")), w.start("b", static("rewarder-1"))
	w.eventually("both have partitions", func() bool { return len(has(a)) == 2 && len(has(b)) == 2 })
	hadA, hadB := has(a), has(b)
	sent := 0
	produce := func() {
		w.produce(many(sent, sent+100)...)
		sent += 100
	}
	for range 2 {
		produce()
		a.stop()
		produce() // b goes on with its own, and takes none of a's
		if members, state := w.members(); members != 2 || state != "Stable" {
			t.Fatalf("while it is away the group is %s, with %d members", state, members)
		}
		if now := has(b); !slices.Equal(now, hadB) {
			t.Fatalf("the other one has %d while it is away, and had %d", now, hadB)
		}
		a = w.start("a", static("rewarder-0"))
		w.eventually("it is ready", func() bool { return a.get("/readyz") == "{\"status\":\"ready\"}\n" })
		w.eventually("it has partitions", func() bool { return len(has(a)) == 2 })
		if now := has(a); !slices.Equal(now, hadA) {
			t.Fatalf("it has %d, and had %d", now, hadA)
		}
		if now := has(b); !slices.Equal(now, hadB) {
			t.Fatalf("the other one has %d, and had %d", now, hadB)
		}
	}
	w.done()
	if n := w.count(); n != int64(sent) {
		t.Errorf("%d rows, want %d", n, sent)
	}
}

func (w *world) count() int64 {
	n, err := w.store.Count(context.Background())
	w.must(err)
	return n
}

func TestDrainCommitsWhatIsDurable(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	r := w.start("a", func(c *rewarder.Config) { c.CommitInterval = time.Hour }) // only the drain commits
	w.produce(many(0, 1000)...)
	w.eventually("all rows", func() bool { return w.count() == 1000 })
	r.stop()
	if lag := w.lag(); lag != 0 {
		t.Errorf("the lag is %d after the drain, want 0", lag)
	}
	r = w.start("a", func(c *rewarder.Config) { c.CommitInterval = time.Hour })
	held := make(chan struct{})
	w.store.hold.Store(&held)
	w.produce(many(1000, 1010)...)
	w.eventually("the records are read", func() bool {
		s := r.status()
		return len(s.Partitions) == 1 && s.Partitions[0].Read == 1010
	})
	r.cancel()
	w.eventually("the drain waits", func() bool { s := r.status(); return len(s.Partitions) == 1 && s.Partitions[0].State == "draining" })
	close(held)
	r.stop()
	if lag := w.lag(); lag != 0 || w.count() != 1010 {
		t.Errorf("the lag is %d and %d rows are there; the drain should wait for writes under way", lag, w.count())
	}
}

func TestADrainEndsThoughTheStoreDoesNot(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	r := w.start("a", func(c *rewarder.Config) { c.DrainTimeout = 50 * time.Millisecond })
	held := make(chan struct{})
	w.store.hold.Store(&held)
	w.produce(many(0, 10)...)
	w.eventually("the records are read", func() bool {
		s := r.status()
		return len(s.Partitions) == 1 && s.Partitions[0].Read == 10
	})
	r.stop()
	if lag := w.lag(); lag != 10 {
		t.Errorf("the lag is %d: offsets passed writes that had not ended", lag)
	}
	w.store.hold.Store(nil)
	r = w.start("a")
	w.done()
	if w.count() != 10 {
		t.Errorf("%d rows, want 10", w.count())
	}
	r.stop()
}

func TestATopicThatWasMadeAgainStopsTheRewarder(t *testing.T) {
	w := newWorld(t, 2)
	w.rules()
	admin, err := sarama.NewClusterAdminFromClient(w.kafka)
	w.must(err)
	r := w.start("a")
	w.produce(many(0, 10)...)
	w.done()
	w.must(admin.DeleteTopic(topic))
	w.must(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}, false))
	if err := r.end(); !errors.Is(err, rewarder.ErrTopicChanged) {
		t.Errorf("the running rewarder ended with %v", err)
	}
	r = w.start("b")
	if err := r.end(); !errors.Is(err, rewarder.ErrTopicChanged) {
		t.Errorf("the next rewarder ended with %v", err)
	}
}

func TestRecordsThatAreGoneStopTheRewarder(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	admin, err := sarama.NewClusterAdminFromClient(w.kafka)
	w.must(err)
	r := w.start("a")
	w.produce(many(0, 10)...)
	w.done()
	r.stop()
	w.produce(many(10, 20)...)
	w.must(admin.DeleteRecords(topic, map[int32]int64{0: 15}))
	r = w.start("b")
	if err := r.end(); !errors.Is(err, rewarder.ErrOffsetGone) {
		t.Errorf("the rewarder ended with %v", err)
	}
	if n := w.count(); n != 10 {
		t.Errorf("%d rows, want 10: nothing may be skipped", n)
	}
}

// The group has been away for so long that Kafka has forgotten its offsets, and records with them.
func TestOffsetsThatAreForgottenWithRecordsStopTheRewarder(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	admin, err := sarama.NewClusterAdminFromClient(w.kafka)
	w.must(err)
	r := w.start("a")
	w.produce(many(0, 10)...)
	w.done()
	r.stop()
	w.produce(many(10, 20)...)
	w.must(admin.DeleteConsumerGroup(group))
	w.must(admin.DeleteRecords(topic, map[int32]int64{0: 15}))
	for _, name := range []string{"b", "c"} { // the one that was refused has not committed
		r = w.start(name)
		if err := r.end(); !errors.Is(err, rewarder.ErrOffsetGone) || !strings.Contains(err.Error(), "begins at 15") {
			t.Errorf("rewarder %s ended with %v", name, err)
		}
	}
	if n := w.count(); n != 10 {
		t.Errorf("%d rows, want 10: nothing may be skipped", n)
	}
}

// Nobody has read the topic, so there is nothing to lose; and a rewarder that has found no record is
// not taken for one whose offset is lost.
func TestATopicWhoseBeginningWasDeletedBeforeAnybodyRead(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	admin, err := sarama.NewClusterAdminFromClient(w.kafka)
	w.must(err)
	w.produce(many(0, 10)...)
	w.must(admin.DeleteRecords(topic, map[int32]int64{0: 10}))
	for _, name := range []string{"a", "b"} {
		r := w.start(name)
		w.waitInForce(0, func(rulebook.InForce) bool { return true })
		w.eventually("the offset committed", func() bool {
			lags, err := rewarder.Lag(context.Background(), w.kafka, group, topic)
			w.must(err)
			return lags[0].Committed == 10
		})
		r.stop()
	}
	w.produce(many(10, 20)...)
	r := w.start("c")
	w.done()
	if n := w.count(); n != 10 {
		t.Errorf("%d rows, want 10", n)
	}
	r.stop()
}

func TestTheAgeOfTheOldestUnreadRecord(t *testing.T) {
	const none = "angelowl_rewarder_oldest_unread_seconds{partition=\"0\"} 0\n"
	w := newWorld(t, 1)
	w.rules()
	r := w.start("a")
	w.produce(many(0, 10)...)
	w.done()
	w.eventually("nothing is unread", func() bool { return strings.Contains(r.get("/metrics"), none) })
	w.store.out.Store(true)
	value, err := tx(11).MarshalJSON()
	w.must(err)
	old := message(tx(11).CardID, value)
	old.Timestamp = time.Now().Add(-50 * time.Hour)
	_, _, err = w.send.SendMessage(old)
	w.must(err)
	w.produce(many(20, 30)...)
	age := regexp.MustCompile(`(?m)^angelowl_rewarder_oldest_unread_seconds\{partition="0"\} (\d+)$`)
	w.eventually("the metrics say how old the oldest is", func() bool {
		m := age.FindStringSubmatch(r.get("/metrics"))
		if m == nil {
			return false
		}
		n, err := strconv.Atoi(m[1])
		return err == nil && n >= 50*3600 && n < 51*3600
	})
	w.store.out.Store(false)
	w.done()
	w.eventually("nothing is unread again", func() bool { return strings.Contains(r.get("/metrics"), none) })
	r.stop()
}

func TestOffsetsDoNotMoveForward(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	w.produce(many(0, 10)...)
	ctx := context.Background()
	if err := rewarder.ResetOffsets(ctx, w.kafka, group, topic, map[int32]int64{0: 5}); err == nil {
		t.Error("offsets moved past records that nobody has read")
	}
	r := w.start("a")
	w.done()
	if err := rewarder.ResetOffsets(ctx, w.kafka, group, topic, map[int32]int64{0: 0}); err == nil {
		t.Error("offsets moved while a rewarder runs")
	}
	r.stop()
	w.must(rewarder.ResetOffsets(ctx, w.kafka, group, topic, map[int32]int64{0: 4}))
	if lag := w.lag(); lag != 6 {
		t.Errorf("the lag is %d, want 6", lag)
	}
}

func TestARuleChangeThatIsTakenBack(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	r := w.start("a")
	w.waitInForce(0, func(rulebook.InForce) bool { return true })
	first := w.campaign(2, "1.5")
	w.everywhere(first)
	back := w.campaign(3, "1.5") // equal content under another version: no marker, but in force
	w.everywhere(back)
	if n := len(w.records(topic)); n != 1 {
		t.Errorf("%d markers, want 1: the second change changed nothing", n)
	}
	r.stop()
}

func TestAnUnreadableRuleKeepsTheLastRules(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	r := w.start("a")
	f := w.waitInForce(0, func(rulebook.InForce) bool { return true })
	key := rulebook.Key(rulebook.Exclusions, campaignID.String())
	w.put(key, "{")
	w.campaign(2, "7")
	w.eventually("the status tells", func() bool { return strings.Contains(r.status().RulesProblem, key) })
	w.produce(tx(0))
	w.done()
	if u := w.units()[tx(0).ID]; u != 1 {
		t.Errorf("%d units, want 1 by the last good rules", u)
	}
	_, err := w.etcd.Delete(context.Background(), key)
	w.must(err)
	w.waitInForce(0, func(now rulebook.InForce) bool { return now.Hash != f.Hash })
	if p := r.status().RulesProblem; p != "" {
		t.Errorf("the problem is over, but the status says %q", p)
	}
	r.stop()
}

func TestAZombieThatWritesLateChangesNothing(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	held := make(chan struct{})
	w.store.hold.Store(&held)
	w.store.stubborn.Store(true)
	w.produce(many(0, 200)...)
	a := w.start("a", func(c *rewarder.Config) { c.DrainTimeout = 10 * time.Millisecond })
	w.eventually("a has writes under way", func() bool { return w.store.held.Load() > 0 })
	w.store.hold.Store(nil)
	a.cancel() // it gives the partition back and its writes go on
	w.eventually("a has left", func() bool { return len(a.status().Partitions) == 0 })
	w.campaign(2, "2")
	b := w.start("b")
	w.done()
	before := w.rows()
	close(held)
	a.stop()
	if !slices.Equal(before, w.rows()) || len(before) != 200 {
		t.Errorf("late writes changed some of %d rows", len(before))
	}
	if lag := w.lag(); lag != 0 {
		t.Errorf("the zombie moved the offsets: the lag is %d", lag)
	}
	b.stop()
}

func TestDeadLettersThatCannotBeSentPause(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	admin, err := sarama.NewClusterAdminFromClient(w.kafka)
	w.must(err)
	dlq := topic + record.DeadLetterSuffix
	w.must(admin.DeleteTopic(dlq))
	r := w.start("a")
	w.produce(many(0, 5)...)
	_, _, err = w.send.SendMessage(message(tx(1).CardID, []byte("{")))
	w.must(err)
	w.produce(many(5, 10)...)
	w.eventually("the rewarder pauses", func() bool {
		s := r.status()
		return s.State == "paused" && strings.Contains(s.Reason, "dead letters")
	})
	if lag := w.lag(); lag == 0 {
		t.Error("offsets passed a dead letter that nobody has")
	}
	w.must(admin.CreateTopic(dlq, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false))
	w.done()
	r.stop()
	w.must(w.kafka.RefreshMetadata(dlq))
	if n := len(w.records(dlq)); n != 1 || w.count() != 10 {
		t.Errorf("%d dead letters and %d rows, want 1 and 10", n, w.count())
	}
}

// Rewards need etcd only for changes of the rules.
func TestRewardsGoOnWithoutEtcd(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	r := w.start("a")
	w.produce(many(0, 10)...)
	w.done()
	w.stop()
	w.produce(many(10, 20)...)
	w.done()
	w.eventually("the status tells", func() bool { return r.status().RulesProblem != "" })
	r.stop()
	r = w.start("b")
	w.produce(many(20, 30)...)
	w.done()
	r.stop()
	if n := w.count(); n != 30 {
		t.Errorf("%d rows, want 30", n)
	}
}

func TestMorePartitionsStopTheRewarder(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	admin, err := sarama.NewClusterAdminFromClient(w.kafka)
	w.must(err)
	r := w.start("a")
	w.produce(many(0, 10)...)
	w.done()
	w.must(admin.CreatePartitions(topic, 2, nil, false))
	if err := r.end(); !errors.Is(err, rewarder.ErrTopicChanged) {
		t.Errorf("the rewarder ended with %v", err)
	}
}

func TestABrokerThatGoesAndComesBack(t *testing.T) {
	w := newWorld(t, 2)
	w.rules()
	r := w.start("a")
	w.produce(many(0, 500)...)
	w.done()
	addr := w.broker.Addr()
	w.broker.Close()
	w.eventually("the rewarder pauses", func() bool { return r.status().State == "paused" })
	w.eventually("the metrics say so without a partition", func() bool { return strings.Contains(r.get("/metrics"), pausedSeries) })
	var err error
	w.broker, err = kafka.Start(context.Background(), kafka.Config{Dir: w.dir, Addr: addr, Log: w.log})
	w.must(err)
	w.eventually("records can be sent again", func() bool {
		value, err := tx(500).MarshalJSON()
		w.must(err)
		_, _, err = w.send.SendMessage(message(tx(500).CardID, value))
		return err == nil
	})
	w.produce(many(500, 600)...)
	w.eventually("all rows", func() bool { return w.count() == 600 })
	w.done()
	w.everywhere(w.campaign(2, "2"))
	if strings.Contains(r.get("/metrics"), pausedSeries) {
		t.Error("the metrics still say that the rewarder is paused")
	}
	r.stop()
}
