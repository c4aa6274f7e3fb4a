package rewarder

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// FuzzRecord puts whatever there may be in the log to the rewarder: each record is rewarded or set
// aside, never both, nor does the program fail on it; a dead letter can be produced, and neither it
// nor the reward has a card number that stands by itself in the record.
func FuzzRecord(f *testing.F) {
	example, err := os.ReadFile("../examples/rules.json")
	if err != nil {
		f.Fatal(err)
	}
	file, err := loyalty.DecodeRuleFile(example)
	if err != nil {
		f.Fatal(err)
	}
	home := loyalty.MustCurrency("CAD")
	book := rules.NewBook(home)
	for _, c := range file.CardTypes {
		book.PutCardType(c)
	}
	for _, c := range file.Campaigns {
		book.PutCampaign(c)
	}
	for _, e := range file.Exclusions {
		book.PutExclusion(e)
	}
	set, _, err := book.Compile()
	if err != nil {
		f.Fatal(err)
	}
	c := &claim{
		r: &rewarder{cfg: Config{Topic: "spend"}}, log: slog.New(slog.DiscardHandler), topicID: "AAAA", incarnation: 1, partitions: 1,
	}
	spread := newSpread("spend", 1)

	const good = `{"id":"89fee31b-1e88-51d5-b81f-f47a7af65b88","card_id":"dde8a0a5-0d0e-5809-80f1-7c9edd08579f","merchant":"TORONTO PARKING","mcc":7523,"currency":"CAD",` +
		`"amount":1.5,"sgd_amount":0,"transaction_id":"r","transaction_date":"2019-02-01","card_pan":"PAN","card_type":"scis_shopping"}`
	for _, s := range [][4]string{
		{"dde8a0a5-0d0e-5809-80f1-7c9edd08579f", good, "format", "1"},
		{"PAN", good, "source", "account:PAN"},
		{"", strings.Replace(good, "CAD", "KWD", 1), "format", "01"},
		{"k", strings.Replace(good, "1.5", "9e9", 1), "dead-reason", "x"},
		{"k", strings.Replace(good, "scis_shopping", "PAN", 1), "PAN", "\xff"},
		{"k", good[:100], "kind", "rule-marker"},
		{"\x00", "", "format", "0"},
		{"k", `{"hash":"` + loyalty.HashOf(nil).String() + `","epoch":1,"revision":2}`, "kind", "rule-marker"},
	} {
		f.Add([]byte(s[0]), []byte(s[1]), []byte(s[2]), []byte(s[3]))
	}
	f.Fuzz(func(t *testing.T, key, value, name, header []byte) {
		for _, b := range []*[]byte{&key, &value, &name, &header} {
			*b = bytes.ReplaceAll(*b, []byte("PAN"), []byte(testPAN))
		}
		msg := &sarama.ConsumerMessage{
			Key: key, Value: value, Timestamp: time.UnixMilli(1_700_000_000_000),
			Headers: []*sarama.RecordHeader{nil, {Key: name, Value: header}},
		}
		fault := (*rowFault)(nil)
		switch kind, format := kindOf(msg); {
		case format > record.Format:
			return // it stops the partition
		case kind == record.KindMarker:
			if _, err := record.DecodeMarker(msg.Value); err == nil && format >= 1 {
				return
			}
			fault = &rowFault{reasonMarker, badFormat}
		default:
			var row loyalty.Row
			if fault = c.row(&row, msg, set, spread); fault == nil {
				rewarded(t, row, value)
				return
			}
		}
		if fault.reason == "" || fault.reason == reasonUnexpected || fault.detail == "" {
			t.Fatalf("%q is set aside as %q: %s", value, fault.reason, fault.detail)
		}
		m := c.letter(msg, fault)
		shown, err := m.Value.Encode()
		if err != nil {
			t.Fatal(err)
		}
		alone(t, value, shown)
		if m.Key != nil {
			b, _ := m.Key.Encode()
			alone(t, key, b)
		}
		reasons := 0
		for _, h := range m.Headers {
			switch string(h.Key) {
			case record.HeaderReason:
				reasons++
			case record.HeaderDetail:
				if !utf8.Valid(h.Value) || bytes.Contains(h.Value, []byte(testPAN)) {
					t.Errorf("the detail is %q", h.Value)
				}
			}
		}
		if reasons != 1 {
			t.Errorf("%d reasons in %v", reasons, m.Headers)
		}
		if bytes.Contains(value, []byte(testPAN)) && json.Valid(value) && utf8.Valid(value) && !json.Valid(shown) {
			t.Errorf("%q became %q", value, shown)
		}
	})
}

// rewarded holds that a row is of a transaction that could be sent again as it is.
func rewarded(t *testing.T, row loyalty.Row, value []byte) {
	t.Helper()
	b, err := row.Reward.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	alone(t, value, b)
	back, err := loyalty.DecodeTransaction(row.Transaction.AppendJSON(nil), loyalty.MustCurrency("CAD"))
	if err != nil || back != row.Transaction {
		t.Errorf("%q becomes %+v, and that %+v, %v", value, row.Transaction, back, err)
	}
}

// alone holds that a card number that stands once, by itself, has not come out again.
func alone(t *testing.T, in, out []byte) {
	t.Helper()
	i := bytes.Index(in, []byte(testPAN))
	if i < 0 || bytes.Count(in, []byte(testPAN)) > 1 || bytes.Count(in, []byte("4111")) > 1 {
		return
	}
	end := i + len(testPAN)
	if i > 0 && near(in[i-1]) || end < len(in) && near(in[end]) || slices.Contains(in, '\\') {
		return
	}
	if bytes.Contains(out, []byte(testPAN)) {
		t.Fatalf("%q became %q", in, out)
	}
}
