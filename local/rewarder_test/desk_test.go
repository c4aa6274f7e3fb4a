package rewarder_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web/webtest"
	"github.com/angelowl-loyalties/app/rewarder/ops"
)

// desk looks after the world as a rewarder's HTTP does, at so many records of the dead letters' topic.
func (w *world) desk(records int64) *ops.Desk {
	d := ops.New(ops.Config{Home: home, Group: group, MaxRecords: records}, ops.Deps{
		Etcd: w.etcd, Clock: time.Now, Kafka: func() (sarama.Client, error) { return ops.Connect([]string{w.broker.Addr()}, "test", nil) },
	})
	w.t.Cleanup(func() { w.must(d.Close()) })
	return d
}

// setAside writes a dead letter, as a rewarder does.
func (w *world) setAside(offset int, value string, headers ...string) {
	w.t.Helper()
	pairs := append([]string{record.HeaderReason, "invalid", record.HeaderIncarnation, "1", record.HeaderPartition, "0",
		record.HeaderOffset, fmt.Sprint(offset)}, headers...)
	m := &sarama.ProducerMessage{Topic: topic + record.DeadLetterSuffix, Value: sarama.StringEncoder(value)}
	for i := 0; i < len(pairs); i += 2 {
		m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(pairs[i]), Value: []byte(pairs[i+1])})
	}
	_, _, err := w.send.SendMessage(m)
	w.must(err)
}

func ids(p ops.Page) (out []string) {
	for _, l := range p.Letters {
		out = append(out, l.ID)
	}
	return out
}

// However many dead letters there are, a desk looks at the newest, and says how many it does not.
func TestADeskLooksAtTheNewestDeadLetters(t *testing.T) {
	w := newWorld(t, 1)
	d := w.desk(4)
	list := func(f ops.Filter) ops.Page {
		t.Helper()
		p, err := d.Letters(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for i := range 3 {
		w.setAside(i, "x")
	}
	w.setAside(1, "x") // once more
	all := list(ops.Filter{})
	if got := ids(all); !slices.Equal(got, []string{"1.0.2", "1.0.1", "1.0.0"}) || all.NotLookedAt != 0 || all.Total != 3 {
		t.Errorf("three dead letters: %v, %+v", got, all)
	}
	first := list(ops.Filter{Limit: 1})
	if first.Older != 2 || first.Next == "" {
		t.Errorf("the first page: %+v", first)
	}

	w.setAside(3, "x")
	w.setAside(4, "not for eyes: 4111111111111111", "kind", "4111 1111 1111 1111")
	now := list(ops.Filter{})
	if got := ids(now); !slices.Equal(got[:3], []string{"1.0.4", "1.0.3", "1.0.2"}) || slices.Contains(got, "1.0.0") || now.NotLookedAt != 2 {
		t.Errorf("two more: %v, %d are not looked at", got, now.NotLookedAt)
	}
	// A cursor goes on where it was, whatever came since, and holds good when its letter is gone.
	if next := list(ops.Filter{Limit: 1, Before: first.Next}); next.Total != now.Total || slices.Contains(ids(next), "1.0.3") {
		t.Errorf("the next page: %v", ids(next))
	}
	for i := range 4 {
		w.setAside(10+i, "x")
	}
	if p := list(ops.Filter{Before: first.Next}); len(p.Letters) != 0 || p.Total != 4 {
		t.Errorf("behind what is gone: %v", ids(p))
	}
	if _, err := d.Letter(t.Context(), "1.0.4"); !errors.Is(err, ops.ErrNoLetter) {
		t.Errorf("one that is too old: %v", err)
	}
	if _, err := d.Letter(t.Context(), "nonsense"); !errors.Is(err, ops.ErrID) {
		t.Errorf("no id: %v", err)
	}
	if st, err := d.Status(t.Context()); err != nil || st.DeadLetters.Letters != 4 || st.DeadLetters.NotLookedAt != 6 || len(st.Rewarders) != 0 {
		t.Errorf("the status: %+v, %v", st, err)
	}
}

func TestADeskShowsNoCardNumber(t *testing.T) {
	w := newWorld(t, 1)
	w.setAside(0, `not for eyes: 4111111111111111`, "source", "4111 1111 1111 1111")
	w.setAside(1, `{"card_pan": "4111-1111-1111-1111"}`)
	d := w.desk(0)
	for _, id := range []string{"1.0.0", "1.0.1"} {
		l, err := d.Letter(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("%+v %s", l.Headers, l.Value) + l.Source; strings.Contains(text, "1111 1111") || strings.Contains(text, "11111111") || strings.Contains(text, "1111-1111") || !strings.Contains(text, "*1111") {
			t.Errorf("%s shows %s", id, text)
		}
	}
}

func TestAStrangerInTheDeadLettersTopic(t *testing.T) {
	w := newWorld(t, 1)
	w.setAside(0, "x", record.HeaderOffset, "0")
	_, _, err := w.send.SendMessage(&sarama.ProducerMessage{Topic: topic + record.DeadLetterSuffix, Value: sarama.StringEncoder("hello")})
	w.must(err)
	st, err := w.desk(0).Status(t.Context())
	if err != nil || st.Healthy || st.DeadLetters.Letters != 1 || !strings.Contains(strings.Join(st.Problems, "\n"), "1 records of the dead letters' topic are neither") {
		t.Errorf("%+v, %v", st, err)
	}
}

// A rewarder says that it is alive, with or without a partition, until it is gone.
func TestADeskKnowsWhoIsAlive(t *testing.T) {
	w := newWorld(t, 1)
	w.rules()
	d := w.desk(0)
	alive := func() string {
		st, err := d.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range st.Rewarders {
			names = append(names, fmt.Sprint(r.Name, r.Partitions))
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	one := w.start("one")
	w.eventually("the first works", func() bool { return alive() == "one[0]" })
	two := w.start("two")
	w.eventually("the second is there", func() bool { a := alive(); return a == "one[0] two[]" || a == "one[] two[0]" })
	one.stop()
	w.eventually("the second works alone", func() bool { return alive() == "two[0]" })
	two.stop()
	w.eventually("nobody is there", func() bool { return alive() == "" })
}

func TestADeskWithoutKafkaSaysSo(t *testing.T) {
	w := newWorld(t, 1)
	d := ops.New(ops.Config{Home: home, Group: group}, ops.Deps{Etcd: w.etcd, Clock: time.Now, Kafka: func() (sarama.Client, error) { return nil, errOutage }})
	_, err := d.Letters(context.Background(), ops.Filter{})
	if !errors.Is(err, ops.ErrAway) || !errors.Is(err, errOutage) {
		t.Errorf("%v", err)
	}
}

// Who sent what again is an event for whoever watches over the system; the value is not in it.
func TestAResendIsASecurityEvent(t *testing.T) {
	w := newWorld(t, 1)
	w.setAside(0, `{"id":"0a1f5799-745a-5a12-a8f7-d8e18d1c06f1","card_id":"5f3377d6-488d-52f4-b114-73a7f7efb6a5","merchant":"A","mcc":5251,`+
		`"currency":"SGD","amount":83.3,"transaction_id":"r","transaction_date":"2021-09-02","card_pan":"************6362","card_type":"x"}`)
	var log strings.Builder
	service := ops.Service{
		Desk: w.desk(0), Log: slog.New(slog.NewJSONHandler(&log, nil)), Identify: webtest.As(token.Admin), Session: webtest.Sessions,
	}
	handler := service.Handler()
	for i, status := range []int{http.StatusOK, http.StatusConflict} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/ops/deadletters/1.0.0/resend", strings.NewReader(`{"set":{"merchant":"Somebody"}}`)))
		if answer.Code != status {
			t.Fatalf("try %d: %d %s, want %d", i, answer.Code, answer.Body, status)
		}
	}
	if n := strings.Count(log.String(), `"security_event":"dead_letter_resent","caller":"admin","role":"admin","source_ip":"","letter":"1.0.0","to":"0/0","mended":["merchant"],"again":false`); n != 1 {
		t.Errorf("%d events in %s", n, log.String())
	}
	if strings.Contains(log.String(), "Somebody") {
		t.Error("the log shows what was set")
	}
	var sent []*sarama.ConsumerMessage
	for _, m := range w.records(topic) {
		if strings.Contains(string(m.Value), "Somebody") {
			sent = append(sent, m)
		}
	}
	if len(sent) != 1 || ops.Header(sent[0], record.HeaderResentOf) != "1.0.0" || ops.Header(sent[0], record.HeaderResentBy) != "admin" {
		t.Errorf("%d records were sent: %+v", len(sent), sent)
	}
}
