package process

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
)

var cad, jpy = loyalty.MustCurrency("CAD"), loyalty.MustCurrency("JPY")

func tallied(rows, cents int64) Tally {
	var t Tally
	t.Add(rows, cad, big.NewInt(cents))
	return t
}

func balanced() *Report {
	r := &Report{HomeCurrency: cad, Read: tallied(10, 1000), Rewarded: tallied(4, 700), NoCampaign: tallied(1, 100), Duplicates: tallied(1, 50)}
	r.Excluded.Add("mcc_unknown", tallied(2, -50))
	r.Refused.Add("amount: missing", Tally{Rows: 1})
	r.Refused.Add("currency: no_quote", tallied(1, 200))
	return r
}

func TestAReportIsAccountedForWhenNothingIsLeft(t *testing.T) {
	if r := balanced(); !r.Accounted() {
		t.Errorf("left over: %+v", r.Unaccounted())
	}
	for name, break_ := range map[string]func(*Report){
		"a row is missing":           func(r *Report) { r.Rewarded.Rows-- },
		"a row is there twice":       func(r *Report) { r.Duplicates.Rows++ },
		"a cent is missing":          func(r *Report) { r.Rewarded.AddAll(tallied(0, 1), -1) },
		"another currency":           func(r *Report) { r.NoCampaign.Add(0, jpy, big.NewInt(1)) },
		"a file could not be read":   func(r *Report) { r.Files = []File{{File: "x.csv", Error: "it is empty"}} },
		"an excluded row is missing": func(r *Report) { r.Excluded.AddAll(tallied(1, 0), -1) },
	} {
		r := balanced()
		break_(r)
		if r.Accounted() {
			t.Errorf("%s: the report says that every row is accounted for", name)
		}
	}
}

func TestAReportIsWrittenExactly(t *testing.T) {
	r := balanced()
	huge, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	r.Read.Add(0, jpy, huge)
	var b bytes.Buffer
	if err := r.Encode(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Read    struct{ Money map[string]json.Number }
		Refused struct {
			Rows     int64
			ByReason map[string]struct{ Rows int64 } `json:"by_reason"`
		}
		Excluded struct{ Money map[string]json.Number }
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Read.Money["CAD"] != "10" || got.Read.Money["JPY"] != "-123456789012345678901234567890" || got.Excluded.Money["CAD"] != "-0.5" {
		t.Errorf("money is %v and %v", got.Read.Money, got.Excluded.Money)
	}
	if got.Refused.Rows != 2 || got.Refused.ByReason["amount: missing"].Rows != 1 || got.Refused.ByReason["currency: no_quote"].Rows != 1 {
		t.Errorf("refused is %+v", got.Refused)
	}
	b.Reset()
	if err := (&Report{HomeCurrency: cad, Files: []File{}, Units: []Units{}}).Encode(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "null") {
		t.Errorf("an empty report has a null:\n%s", b.String())
	}
}

func TestSum(t *testing.T) {
	for _, tc := range []struct {
		v      int64
		digits int
		want   string
	}{{0, 2, "0"}, {5, 2, "0.05"}, {-5, 2, "-0.05"}, {50, 2, "0.5"}, {1200, 2, "12"}, {123456, 0, "123456"}, {-123456, 3, "-123.456"}} {
		if got := (Sum{big.NewInt(tc.v), tc.digits}).String(); got != tc.want {
			t.Errorf("%d with %d digits is %s, want %s", tc.v, tc.digits, got, tc.want)
		}
	}
	for in, want := range map[string]string{"1": "1", "999": "999", "1000": "1,000", "-1234567.891": "-1,234,567.891"} {
		if got := Grouped(in); got != want {
			t.Errorf("%s is shown as %s, want %s", in, got, want)
		}
	}
}

func TestBits(t *testing.T) {
	var b bits
	for _, i := range []int64{0, 63, 64, 1000} {
		if b.has(i) {
			t.Errorf("%d is in before it was added", i)
		}
		b.add(i)
		if !b.has(i) || b.has(i+1) {
			t.Errorf("%d: in %t, the next %t", i, b.has(i), b.has(i+1))
		}
	}
}
