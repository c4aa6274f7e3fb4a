package loyalty

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// byReflection is DecodeTransaction without scan.
func byReflection(data []byte, home Currency) (Transaction, error) {
	if !utf8.Valid(data) {
		return DecodeTransaction(data, home)
	}
	raw, err := unmarshalTransaction(data)
	if err != nil {
		return Transaction{}, err
	}
	return raw.Parse(home)
}

func sameDecoded(t *testing.T, data []byte) {
	t.Helper()
	home := MustCurrency("SGD")
	got, err := DecodeTransaction(data, home)
	want, wantErr := byReflection(data, home)
	if got != want || !reflect.DeepEqual(err, wantErr) {
		t.Errorf("%q is read as %+v, %v\nwant %+v, %v", data, got, err, want, wantErr)
	}
	// What scan takes, it takes as encoding/json does, also where Parse would not see a difference.
	if scanned := (RawTransaction{}); utf8.Valid(data) && scanned.scan(string(data)) {
		if raw, err := unmarshalTransaction(data); err != nil || raw != scanned {
			t.Errorf("%q is read as %+v\nwant %+v, %v", data, scanned, raw, err)
		}
	}
}

func TestScanAgreesWithReflection(t *testing.T) {
	for _, tt := range []struct {
		name, json string
		scanned    bool
	}{
		{"as the log has it", logged, true},
		{"as merchants post it", goodTransaction, true},
		{"space everywhere", strings.NewReplacer(`:`, " \t:\r\n ", `,`, "\n,\t", `{`, "\r {\n", `}`, " } \n").Replace(logged), true},
		{"few fields", `{"amount":1}`, true},
		{"MCC as text", `{"mcc":"0742"}`, true},
		{"blank texts", `{"id":"","mcc":"","card_type":""}`, true},
		{"blank, then not", `{"id":"","id":"a"}`, true},
		{"not, then blank", `{"id":"a","id":""}`, false},
		{"twice", `{"amount":1,"amount":2}`, false},
		{"twice, null last", `{"id":"a","id":null}`, false},
		{"DEL and non-ASCII are plain", "{\"merchant\":\"\x7fé\u2028\U0001F600\"}", true},
		{"escape", `{"merchant":"a\"b"}`, false},
		{"escaped name", `{"\u0069d":"a"}`, false},
		{"surrogates", `{"merchant":"\ud83d\ude00\ud83d"}`, false},
		{"control character", "{\"merchant\":\"a\tb\"}", false},
		{"NUL", "{\"merchant\":\"\x00\"}", false},
		{"name in capitals", `{"ID":"a"}`, false},
		{"name with a long s, which folds to s", "{\"\u017fgd_amount\":1}", false},
		{"field more", `{"id":"a","x":[{}]}`, false},
		{"null", `{"id":null}`, false},
		{"number null", `{"amount":null}`, false},
		{"text where a number is", `{"amount":"1"}`, false},
		{"number where a text is", `{"id":1}`, false},
		{"true", `{"mcc":true}`, false},
		{"list", `{"mcc":[1]}`, false},
		{"minus nothing", `{"amount":-}`, false},
		{"minus zero", `{"amount":-0}`, true},
		{"plus", `{"amount":+1}`, false},
		{"zero in front", `{"amount":01}`, false},
		{"minus zero in front", `{"amount":-01}`, false},
		{"zero point", `{"amount":0.50}`, true},
		{"point first", `{"amount":.5}`, false},
		{"point last", `{"amount":5.}`, false},
		{"two points", `{"amount":1.2.3}`, false},
		{"exponent", `{"amount":1e2}`, false},
		{"exponent behind a point", `{"amount":1.5E+2}`, false},
		{"number cut off", `{"amount":1`, false},
		{"empty object", `{}`, false},
		{"empty", ``, false},
		{"space only", ` `, false},
		{"list of one", `[` + logged + `]`, false},
		{"two", logged + logged, false},
		{"more behind", logged + "x", false},
		{"comma last", `{"id":"a",}`, false},
		{"comma first", `{,"id":"a"}`, false},
		{"no colon", `{"id" "a"}`, false},
		{"no comma", `{"id":"a" "mcc":1}`, false},
		{"wrong bracket", `{"id":"a"]`, false},
		{"not closed", `{"id":"a"`, false},
		{"text not closed", `{"id":"a`, false},
		{"name not closed", `{"id`, false},
		{"form feed is no space", "{\f\"id\":\"a\"}", false},
		{"no-break space is none", "{\u00a0\"id\":\"a\"}", false},
		{"byte order mark", "\ufeff" + logged, false},
		{"not UTF-8", "{\"id\":\"\xff\"}", true}, // DecodeTransaction does not come as far
	} {
		t.Run(tt.name, func(t *testing.T) {
			if ok := new(RawTransaction).scan(tt.json); ok != tt.scanned {
				t.Errorf("scanned: %t, want %t", ok, tt.scanned)
			}
			if utf8.ValidString(tt.json) {
				sameDecoded(t, []byte(tt.json))
			} else if _, err := DecodeTransaction([]byte(tt.json), 0); err == nil {
				t.Error("no error")
			}
		})
	}
	for i := range len(logged) { // every way to be cut off, and to have one byte more
		sameDecoded(t, []byte(logged[:i]))
		for _, more := range []string{" ", `"`, `\`, "0", ".", "-", ",", ":", "{", "}", "é"} {
			sameDecoded(t, []byte(logged[:i]+more+logged[i:]))
		}
	}
}

// Were the log's own form no longer scanned, all would still be right, but several times as slow.
func TestWhatIsWrittenIsScanned(t *testing.T) {
	tx := fullReward(t).Transaction
	if !new(RawTransaction).scan(string(tx.AppendJSON(nil))) {
		t.Error("encoding/json reads it")
	}
	data, home := []byte(logged), MustCurrency("CAD")
	if n := testing.AllocsPerRun(100, func() { _ = must(DecodeTransaction(data, home)) }); n != 2 {
		t.Errorf("%v allocations, want two: the record's text, and the transaction's texts by themselves", n)
	}
}

func TestDecodedDoesNotHoldOnToTheData(t *testing.T) {
	data := []byte(logged)
	tx := must(DecodeTransaction(data, 0))
	before := fmt.Sprintf("%+v", tx)
	clear(data)
	if after := fmt.Sprintf("%+v", tx); after != before {
		t.Errorf("%s\nbecame %s", before, after)
	}
}

func TestDetach(t *testing.T) {
	for name, tx := range map[string]Transaction{
		"none":  {},
		"some":  {Merchant: "é", CardType: "b"},
		"all":   {Merchant: "a", Reference: "bc", CardPAN: "def", CardType: "ghij"},
		"equal": {Merchant: "a", Reference: "a", CardPAN: "a", CardType: "a"},
	} {
		got := tx
		if got.detach(); got != tx {
			t.Errorf("%s: %+v, want %+v", name, got, tx)
		}
	}
}
