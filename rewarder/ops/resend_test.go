package ops

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"pgregory.net/rapid"
)

// fields reads field=value.
func fields(args ...string) (set []Field) {
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		set = append(set, Field{name, value})
	}
	return set
}

// says holds that an error says something; "" that there is none.
func says(t *testing.T, err error, what string) {
	t.Helper()
	switch {
	case what == "" && err != nil:
		t.Errorf("unexpected: %v", err)
	case what != "" && (err == nil || !strings.Contains(err.Error(), what)):
		t.Errorf("the error is %v; it should say %q", err, what)
	}
}

const good = `{"id":"0a1f5799-745a-5a12-a8f7-d8e18d1c06f1","card_id":"5f3377d6-488d-52f4-b114-73a7f7efb6a5","merchant":"A","mcc":5251,` +
	`"currency":"CAD","amount":83.3,"sgd_amount":0,"transaction_id":"r","transaction_date":"2019-01-16","card_pan":"************6362","card_type":"x"}`

func TestMend(t *testing.T) {
	with := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the transaction", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for _, test := range []struct {
		name  string
		value string
		set   []string
		want  string // the transaction as it is sent
		err   string
	}{
		{"nothing is set", good, nil, good, ""},
		{"a text", good, []string{"card_type=y"}, with(`"card_type":"x"`, `"card_type":"y"`), ""},
		{"a number", good, []string{"amount=-1.50"}, with(`83.3`, `-1.5`), ""},
		{"a number that was a text", with(`83.3`, `"eighty"`), []string{"amount=80"}, with(`83.3`, `80`), ""},
		{"a field that was missing", with(`"currency":"CAD",`, ``), []string{"currency=cad"}, good, ""},
		{"a field in other case", with(`"card_type":"x"`, `"Card_Type":"z"`), []string{"card_type=x"}, good, ""},
		{"a blank number", good, []string{"mcc="}, with(`5251`, `0`), ""},
		{"a card number is masked", good, []string{"card_pan=4111 1111 1111 6362"}, good, ""},
		{"a value that is not JSON", `{"id":`, nil, "", "not valid JSON"},
		{"a value that is not JSON and one field", `{"id":`, []string{"card_type=x"}, "", "card_id: is missing"},
		{"a value that is not JSON and every field", `?`, []string{"id=0a1f5799-745a-5a12-a8f7-d8e18d1c06f1",
			"card_id=5f3377d6-488d-52f4-b114-73a7f7efb6a5", "merchant=A", "mcc=5251", "currency=CAD", "amount=83.30",
			"transaction_id=r", "transaction_date=16-01-2019", "card_pan=****6362", "card_type=x"}, good, ""},
		{"a list", `[1]`, nil, "", "must be a JSON object"},
		{"a number that is none", good, []string{"amount=eighty"}, "", "amount: must be a JSON number"},
		{"a text for a number", good, []string{`amount="80"`}, "", "amount: must be a JSON number"},
		{"a code that is none", good, []string{"mcc=abc"}, "", "mcc:"},
		{"a date that is none", good, []string{"transaction_date=2019-02-30"}, "", "transaction_date:"},
		{"an amount too fine for the home currency", with(`"CAD","amount":83.3,"sgd_amount":0`, `"USD","amount":83.3,"sgd_amount":1.234`), nil, "", "sgd_amount:"},
		{"one field of two that are wrong", with(`"CAD"`, `"XXX"`), []string{"mcc=abc"}, "", "currency:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			set := fields(test.set...)
			tx, err := mend(&sarama.ConsumerMessage{Value: []byte(test.value)}, set, loyalty.MustCurrency("CAD"))
			says(t, err, test.err)
			if test.err != "" || err != nil {
				return
			}
			got, err := tx.MarshalJSON()
			if err != nil || string(got) != test.want {
				t.Errorf("%s (%v)\nwant %s", got, err, test.want)
			}
		})
	}
}

func TestWhatWasNoTransactionIsNotSentAsOne(t *testing.T) {
	m := &sarama.ConsumerMessage{Value: []byte(good)}
	if _, err := mend(m, nil, loyalty.MustCurrency("CAD")); err != nil {
		t.Fatalf("the record without a kind is not a transaction: %v", err)
	}
	for _, kind := range []string{record.KindMarker, "reversal", "\x1b[2J"} {
		m.Headers = []*sarama.RecordHeader{{Key: []byte(record.HeaderKind), Value: []byte(kind)}}
		_, err := mend(m, []Field{{"merchant", "A"}}, loyalty.MustCurrency("CAD"))
		says(t, err, "it is no transaction but a record of kind ")
		if err != nil && strings.ContainsRune(err.Error(), '\x1b') {
			t.Errorf("%q is not plain", err)
		}
	}
}

// Whatever a dead letter has, what is sent of it again is a transaction that the rewarder reads as
// the same, and what is shown of it is JSON.
func TestAnyLetterIsMendedOrRefused(t *testing.T) {
	home := loyalty.MustCurrency("CAD")
	sent := 0
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(
			rapid.SampledFrom([]string{good, good, `{"id":`, "null", "[]", "", "\xff", `{"Amount":1,"AMOUNT":2}`}),
			rapid.String(),
			rapid.Custom(func(t *rapid.T) string {
				at, to := rapid.IntRange(0, len(good)).Draw(t, "from"), rapid.IntRange(0, len(good)).Draw(t, "to")
				return good[:min(at, to)] + rapid.String().Draw(t, "instead") + good[max(at, to):]
			}),
		).Draw(t, "value")
		m := &sarama.ConsumerMessage{Value: []byte(value), Key: []byte(rapid.String().Draw(t, "key"))}
		if shown, err := json.Marshal(wholeOf(Letter{}, m)); err != nil || !utf8.Valid(shown) {
			t.Fatalf("it is shown as %q, %v", shown, err)
		}
		set := fields(rapid.SampledFrom(loyalty.Columns).Draw(t, "field") + "=" + rapid.OneOf(
			rapid.SampledFrom([]string{"", "1.50", "-1", "1e2", "null", `"1"`, "CAD", "2019-01-02", "4111 1111 1111 1111", "x"}), rapid.String()).Draw(t, "is"))
		for _, set := range [][]Field{nil, set} {
			tx, err := mend(m, set, home)
			if err != nil {
				continue
			}
			sent++
			b, err := tx.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if back, err := loyalty.DecodeTransaction(b, home); err != nil || back != tx {
				t.Fatalf("%q with %v is sent as %s, and that read as %+v, %v", value, set, b, back, err)
			}
		}
	})
	if sent == 0 {
		t.Error("no letter was good: this tries nothing")
	}
}

func TestARecordKeepsItsOwnHeaders(t *testing.T) {
	var m sarama.ConsumerMessage
	for _, h := range headers("source", "upload:1", "line", "7", "traceparent", "00-1", "format", "0", "kind", "strange",
		record.HeaderReason, "invalid", "dead-else", "x", record.HeaderResentOf, "1/0/1") {
		m.Headers = append(m.Headers, &h)
	}
	m.Headers = append(m.Headers, nil)
	var got []string
	for _, h := range kept(&m) {
		got = append(got, string(h.Key)+"="+string(h.Value))
	}
	if want := []string{"format=1", "source=upload:1", "line=7", "traceparent=00-1"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
