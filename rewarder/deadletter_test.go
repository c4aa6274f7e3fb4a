package rewarder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
)

const testPAN = "4111111111111111"

func TestStarValue(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"nothing to star", `{"id": "6f6b7f4e-2d0c-4d52-9d5c-0d8d1f6a2f10", "amount": 12.50}`, `{"id": "6f6b7f4e-2d0c-4d52-9d5c-0d8d1f6a2f10", "amount": 12.50}`},
		{"a masked PAN stays", `{"card_pan": "************1234"}`, `{"card_pan": "************1234"}`},
		{"a full PAN", `{"card_pan": "4111111111111111"}`, `{"card_pan": "************1111"}`},
		{"a full PAN that fails the Luhn check", `{"card_pan": "4111111111111112"}`, `{"card_pan": "************1112"}`},
		{"a full PAN as a number", `{"card_pan": 4111111111111112}`, `{"card_pan": "************1112"}`},
		{"what is no PAN does not become a masked one", `{"card_pan": "x4111111111111111"}`, `{"card_pan": "x****************"}`},
		{"a list of PANs", `{"card_pan": ["4111111111111112"]}`, `{"card_pan": ["************1112"]}`},
		{"with hyphens", `{"card_pan": "4111-1111-1111-1111"}`, `{"card_pan": "************1111"}`},
		{"in a merchant's name", `{"merchant": "PAY 4111 1111 1111 1111"}`, `{"merchant": "PAY **** **** **** 1111"}`},
		{"as a number", `{"amount": 4111111111111111}`, `{"amount": "************1111"}`},
		{"as a name", `{"4111111111111111": 1}`, `{"************1111": 1}`},
		{"written with escapes", `{"merchant": "\u0034111111111111111"}`, `{"merchant": "************1111"}`},
		{"the name with escapes", `{"card\u005fpan": "4111111111111112"}`, `{"card_pan": "************1112"}`},
		{"nested", `{"a": [{"b": "4111111111111111"}]}`, `{"a": [{"b": "************1111"}]}`},
		{"an id whose digits pass", `{"id": "41111111-1111-1111-a111-111111111111"}`, `{"id": "41111111-1111-1111-a111-111111111111"}`},
		{"not JSON", `card_pan=4111111111111112;x`, `card_pan=************1112;x`},
		{"JSON cut short", `{"card_pan": "4111111111111112`, `{"card_pan": "************1112`},
		{"not UTF-8", "\xff4111111111111112", "\xff************1112"},
		{"UTF-16", utf16le(testPAN), utf16le("************1111")},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(starValue([]byte(tt.value)))
			if json.Valid([]byte(tt.value)) {
				if !json.Valid([]byte(got)) {
					t.Fatalf("JSON became %q", got)
				}
				got, tt.want = unescape(t, got), unescape(t, tt.want)
			}
			if got != tt.want {
				t.Errorf("%q became %q, want %q", tt.value, got, tt.want)
			}
		})
	}
}

func unescape(t *testing.T, s string) string {
	t.Helper()
	var v any
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(v)
}

func utf16le(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
		b.WriteByte(0)
	}
	return b.String()
}

// Whatever the bytes, a card number put anywhere into them does not come out again, and JSON
// stays JSON.
func FuzzStarValue(f *testing.F) {
	for _, seed := range []string{`{"card_pan": "PAN"}`, `{"merchant": "x PAN y", "amount": PAN}`, `[PAN, -PAN, "PAN"]`, "PAN", "\xffPAN\x00", `{"a`, `"\u0041 PAN"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		value = bytes.ReplaceAll(value, []byte("PAN"), []byte(testPAN))
		got := starValue(value)
		if json.Valid(value) && utf8.Valid(value) && !json.Valid(got) {
			t.Fatalf("%q became %q", value, got)
		}
		if again := starValue(got); !bytes.Equal(again, got) {
			t.Fatalf("starring %q again gives %q", got, again)
		}
		for i := range value { // where it stands by itself
			if !bytes.HasPrefix(value[i:], []byte(testPAN)) {
				continue
			}
			end := i + len(testPAN)
			alone := (i == 0 || !near(value[i-1])) && (end == len(value) || !near(value[end]))
			if alone && bytes.Contains(got, []byte(testPAN)) && bytes.Count(value, []byte(testPAN)) == 1 {
				t.Fatalf("%q became %q", value, got)
			}
		}
	})
}

// near is a byte beside which a number may be a part of a longer one.
func near(c byte) bool { return isDigit(c) || isMark(c) || c == '\\' }

func TestLetter(t *testing.T) {
	c := &claim{r: &rewarder{cfg: Config{Topic: "spend"}}, topicID: "AAAA", incarnation: 3}
	msg := &sarama.ConsumerMessage{
		Key: []byte("6f6b7f4e-2d0c-4d52-9d5c-0d8d1f6a2f10"), Value: bytes.Repeat([]byte(testPAN+" "), 100_000), Partition: 7, Offset: 42,
		Headers: []*sarama.RecordHeader{
			{Key: []byte(record.HeaderSource), Value: []byte("upload:6f6b7f4e-2d0c-4d52-9d5c-0d8d1f6a2f10")},
			{Key: []byte(record.HeaderReason), Value: []byte("of a resend")}, nil,
			{Key: []byte("note"), Value: []byte(testPAN)},
		},
	}
	m := c.letter(msg, &rowFault{"not_json", strings.Repeat("é "+testPAN+" ", 1000)})
	if m.Topic != "spend.dlq" || string(m.Key.(sarama.ByteEncoder)) != string(msg.Key) {
		t.Errorf("the letter goes to %s with key %s", m.Topic, m.Key)
	}
	if n := m.Value.Length(); n > maxLetterValue {
		t.Errorf("the value has %d bytes", n)
	}
	got := map[string]string{}
	for _, h := range m.Headers {
		if _, twice := got[string(h.Key)]; twice {
			t.Errorf("header %s is there twice", h.Key)
		}
		got[string(h.Key)] = string(h.Value)
	}
	if !strings.Contains(got[record.HeaderDetail], "is cut") || len(got[record.HeaderDetail]) > maxDetail+100 {
		t.Errorf("the detail is %q", got[record.HeaderDetail])
	}
	delete(got, record.HeaderDetail)
	delete(got, record.HeaderTimestamp)
	want := map[string]string{
		record.HeaderSource: "upload:6f6b7f4e-2d0c-4d52-9d5c-0d8d1f6a2f10", "note": "************1111", record.HeaderReason: "not_json",
		record.HeaderTopicID: "AAAA", record.HeaderIncarnation: "3", record.HeaderPartition: "7", record.HeaderOffset: "42",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("headers %v, want %v", got, want)
	}
}

func TestRowErrorsAreFoundInside(t *testing.T) {
	a, b := &RowError{Position: loyalty.Position{Offset: 1}}, &RowError{Position: loyalty.Position{Offset: 2}}
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"itself", a, 1},
		{"wrapped", fmt.Errorf("storing: %w", a), 1},
		{"joined", fmt.Errorf("storing: %w", joined{a, b}), 2},
		{"none", ErrRow, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := rowErrors(tt.err); len(got) != tt.want {
				t.Errorf("found %v, want %d", got, tt.want)
			}
		})
	}
}

type joined []error

func (j joined) Error() string   { return "several" }
func (j joined) Unwrap() []error { return j }
