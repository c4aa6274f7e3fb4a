package loyalty

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// transactionOut and rewardOut are the wire forms as encoding/json knows them: what AppendJSON
// writes is held against them.
type transactionOut struct {
	ID              uuid.UUID `json:"id"`
	CardID          uuid.UUID `json:"card_id"`
	Merchant        string    `json:"merchant"`
	MCC             uint16    `json:"mcc"`
	Currency        Currency  `json:"currency"`
	Amount          Number    `json:"amount"`
	SGDAmount       Number    `json:"sgd_amount"`
	TransactionID   string    `json:"transaction_id"`
	TransactionDate Date      `json:"transaction_date"`
	CardPAN         string    `json:"card_pan"`
	CardType        string    `json:"card_type"`
}

type rewardOut struct {
	transactionOut
	Units     Units      `json:"reward_amount"`
	Remarks   string     `json:"remarks"`
	CreatedAt *time.Time `json:"created_at,omitempty"`
	Trace     *Trace     `json:"trace"`
}

func outOf(t *Transaction) transactionOut {
	return transactionOut{
		ID: t.ID, CardID: t.CardID, Merchant: t.Merchant, MCC: uint16(t.MCC), Currency: t.Currency,
		Amount: t.Money().Number(), SGDAmount: t.HomeAmount, TransactionID: t.Reference,
		TransactionDate: t.Date, CardPAN: t.CardPAN, CardType: t.CardType,
	}
}

func reflectedReward(r *Reward) ([]byte, error) {
	out := rewardOut{transactionOut: outOf(&r.Transaction), Units: r.Units, Remarks: r.Remarks, Trace: &r.Trace}
	if !r.CreatedAt.IsZero() {
		at := r.CreatedAt.UTC().Truncate(time.Millisecond)
		out.CreatedAt = &at
	}
	return marshal(out)
}

// sameAsReflection checks a reward and the transaction in it, appended behind other bytes.
func sameAsReflection(t *testing.T, r *Reward) {
	t.Helper()
	want, err := marshal(outOf(&r.Transaction))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Transaction.AppendJSON([]byte("x")); string(got) != "x"+string(want) {
		t.Errorf("%s\nwant x%s", got, want)
	}
	want, wantErr := reflectedReward(r)
	got, err := r.AppendJSON([]byte("x"))
	switch {
	case (err == nil) != (wantErr == nil):
		t.Errorf("%v\nwant %v", err, wantErr)
	case err == nil && string(got) != "x"+string(want):
		t.Errorf("%s\nwant x%s", got, want)
	}
}

func TestAppendJSONWritesWhatReflectionDoes(t *testing.T) {
	day, id, quote := DateOf(2021, 9, 2), uuid.MustParse("7f8f4a3c-6d4e-4b57-9d5a-4f2a6a9b1c22"), MustDecimal("1.1450")
	for name, change := range map[string]func(*Reward){
		"as it is":           func(*Reward) {},
		"nothing at all":     func(r *Reward) { *r = Reward{} },
		"no time":            func(r *Reward) { r.CreatedAt = time.Time{} },
		"time elsewhere":     func(r *Reward) { r.CreatedAt = time.Date(2021, 9, 2, 1, 2, 3, 999_999_999, time.FixedZone("", 8*3600)) },
		"time on the second": func(r *Reward) { r.CreatedAt = time.Unix(1e9, 0) },
		"time after 9999":    func(r *Reward) { r.CreatedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"time before 0":      func(r *Reward) { r.CreatedAt = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) },
		"smallest numbers": func(r *Reward) {
			r.Amount, r.Units, r.HomeAmount = math.MinInt64, Units{math.MinInt64, 4}, Number{math.MinInt64, 18}
		},
		"largest numbers": func(r *Reward) {
			r.Amount, r.Units, r.HomeAmount = math.MaxInt64, Units{math.MaxInt64, 0}, Number{math.MaxInt64, 1}
		},
		"three decimals":         func(r *Reward) { r.Currency, r.Amount = MustCurrency("BHD"), -12_340 },
		"no decimals":            func(r *Reward) { r.Currency, r.Amount = MustCurrency("JPY"), 100 },
		"below 1":                func(r *Reward) { r.Amount, r.Units = 5, Units{-5, 4} },
		"zeros behind the point": func(r *Reward) { r.HomeAmount, r.Units = Number{1500, 3}, Units{0, 4} },
		"no currency":            func(r *Reward) { r.Currency = 0 },
		"widest MCC":             func(r *Reward) { r.MCC = math.MaxUint16 },
		"first date":             func(r *Reward) { r.Date = math.MinInt32 },
		"last date":              func(r *Reward) { r.Date = math.MaxInt32 },
		"year 999":               func(r *Reward) { r.Date = DateOf(999, 12, 31) },
		"year 1000":              func(r *Reward) { r.Date = DateOf(1000, 1, 1) },
		"year 9999":              func(r *Reward) { r.Date = DateOf(9999, 12, 31) },
		"year 10000":             func(r *Reward) { r.Date = DateOf(10000, 1, 1) },
		"rule set":               func(r *Reward) { r.Trace.RuleSet = Hash{0: 0xff, 31: 0x0a} },
		"no campaign":            func(r *Reward) { r.Trace.Base, r.Trace.Promo, r.Trace.Outcome = nil, nil, NoCampaign },
		"excluded by no rule":    func(r *Reward) { r.Trace.Exclusion = &AppliedExclusion{Reason: UnknownMCC} },
		"excluded":               func(r *Reward) { r.Trace.Exclusion = &AppliedExclusion{ExcludedMCC, &id, &day} },
		"conversion of little":   func(r *Reward) { r.Trace.Converted = &Conversion{} },
		"conversion from only":   func(r *Reward) { r.Trace.Converted = &Conversion{FromQuote: &quote} },
		"each text":              func(r *Reward) { nastyTexts(r, "\"<>&\\") },
		"controls":               func(r *Reward) { nastyTexts(r, controls()) },
		"line separators":        func(r *Reward) { nastyTexts(r, "\u2027a\u2028b\u2029c\u202a") },
		"beyond ASCII":           func(r *Reward) { nastyTexts(r, "é日本\u0080\U0001F600\ufffd\ufeff\U0010FFFF") },
		"not UTF-8":              func(r *Reward) { nastyTexts(r, "\xff a \xe2\x80 b \xed\xa0\x80 \xc0\xaf é\xf0\x9f\x98") },
		"escape at both ends":    func(r *Reward) { nastyTexts(r, "\na\n") },
		"blank texts":            func(r *Reward) { nastyTexts(r, "") },
	} {
		t.Run(name, func(t *testing.T) {
			r := fullReward(t)
			change(&r)
			sameAsReflection(t, &r)
		})
	}
}

func controls() string {
	var b strings.Builder
	for c := range byte(0x80) {
		b.WriteByte(c)
	}
	return b.String()
}

// nastyTexts sets every text of a reward.
func nastyTexts(r *Reward, s string) {
	r.Merchant, r.Reference, r.CardPAN, r.CardType, r.Remarks = s, s, s, s, s
	r.Trace.Outcome, r.Trace.Programme, r.Trace.Unit = Outcome(s), s, s
	r.Trace.Base, r.Trace.Promo = &AppliedCampaign{Name: s}, &AppliedCampaign{Name: s}
	r.Trace.Converted = &Conversion{Source: ConversionSource(s), Base: s}
	r.Trace.Exclusion = &AppliedExclusion{Reason: ExclusionReason(s)}
}

func TestMarshalJSONIsAppendJSON(t *testing.T) {
	r := fullReward(t)
	for name, of := range map[string]struct {
		v    any
		want []byte
	}{
		"transaction":    {r.Transaction, r.Transaction.AppendJSON(nil)},
		"reward":         {r, must(r.AppendJSON(nil))},
		"reward's row":   {Row{Reward: r}, must(r.AppendJSON(nil))},
		"row's pointers": {&Row{Reward: r}, must(r.AppendJSON(nil))},
	} {
		if got, err := marshal(of.v); err != nil || !bytes.Equal(got, of.want) {
			t.Errorf("%s: %s, %v\nwant %s", name, got, err, of.want)
		}
	}
	r.CreatedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	if out, err := json.Marshal(r); err == nil {
		t.Errorf("the year 10000 is written: %s", out)
	}
}

func TestDatesAreAppendedAsTheyAreFormatted(t *testing.T) {
	for _, d := range []Date{math.MinInt32, DateOf(-1, 1, 1), DateOf(0, 12, 31), DateOf(999, 12, 31), DateOf(1000, 1, 1), 0, MinDate, MaxDate, DateOf(9999, 12, 31), DateOf(10000, 1, 1), math.MaxInt32} {
		if got, want := string(must(d.AppendText([]byte("x")))), "x"+d.Time().Format(time.DateOnly); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestAppendJSONDoesNotAllocate(t *testing.T) {
	r := fullReward(t)
	nastyTexts(&r, "a\n\"\u2028é")
	b := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { r.Transaction.AppendJSON(b) }); n != 0 {
		t.Errorf("a transaction: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { b = must(r.AppendJSON(b[:0])) }); n != 0 {
		t.Errorf("a reward: %v allocations", n)
	}
}
