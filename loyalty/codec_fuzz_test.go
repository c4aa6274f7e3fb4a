package loyalty

import (
	"math"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

func FuzzDecodeTransactionAgrees(f *testing.F) {
	for _, s := range []string{
		logged, goodTransaction, `{"mcc":"0742","amount":-0.50,"sgd_amount":0}`, `{"id":"","id":"a"}`, `{"amount":1,"amount":null}`,
		`{"ID":"a","merchant":"\ud83d\u2028"}`, `{"amount":01}`, `{"amount":1e2}`, `{"x":{"id":[1]},"id":"a"} `, "{\"merchant\":\"\xff\"}", `{"mcc":7}{}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { sameDecoded(t, data) })
}

func FuzzTransactionRoundTrip(f *testing.F) {
	f.Add("Kaligo.com", "7011", "USD", "100.50", "134.5", "ref-1", "2021-09-02", "6771-8964-5359-9669", "scis_premiummiles")
	f.Add("TIM \"HORTONS\" \\ #1\u2028<&>", "0", "jpy", "-5", "", "", "02-09-21", "************3793", "é\x7f")
	f.Add("4111 1111 1111 1111", "", "BHD", "0.001", "-0", " a\tb ", "31-12-2018", "4000008097533793", "a")
	f.Fuzz(func(t *testing.T, merchant, mcc, currency, amount, given, reference, date, pan, cardType string) {
		raw := RawTransaction{
			"3d1b6d6b-9b57-4f44-8b3d-8e3d3a1f7a11", "7f8f4a3c-6d4e-4b57-9d5a-4f2a6a9b1c22", merchant, mcc, currency, amount, given,
			reference, date, pan, cardType,
		}
		home := MustCurrency("SGD")
		tx, err := raw.Parse(home)
		if err != nil {
			return
		}
		data := tx.AppendJSON(nil)
		if back, err := DecodeTransaction(data, home); err != nil || back != tx {
			t.Errorf("%s comes back as %+v, %v", data, back, err)
		}
		sameAsReflection(t, &Reward{Transaction: tx})
	})
}

func FuzzAppendRewardAgrees(f *testing.F) {
	f.Add("Kaligo.com", "5% <&>", []byte("0123456789abcdef"), int64(-105), int64(1546214400123), int32(18000), uint16(7011), uint32(0x1fffff))
	f.Add("\xff\u2028\"", "\b\f\x00\x7f\U0001F600", []byte{}, int64(math.MinInt64), int64(math.MaxInt64), int32(math.MinInt32), uint16(0), uint32(0))
	f.Fuzz(func(t *testing.T, text, other string, bytes []byte, n, ms int64, day int32, small uint16, has uint32) {
		var id uuid.UUID
		copy(id[:], bytes)
		date, rate := Date(day), Decimal(n)
		number := Number{n, uint8(small % 19)}
		r := Reward{
			Transaction: Transaction{
				ID: id, CardID: uuid.NewSHA1(id, bytes), Merchant: text, MCC: MCC(small), Currency: Currency(int(small) % len(currencies)), Amount: n,
				HomeAmount: number, Reference: other, Date: date, CardPAN: other + text, CardType: text + other,
			},
			Units: Units{n, uint8(small % 19)}, Remarks: text, CreatedAt: time.UnixMilli(ms),
			Trace: Trace{RuleSet: HashOf(bytes), Outcome: Outcome(other), Programme: text, Unit: other, Decimals: uint8(small)},
		}
		bit := func(i int) bool { return has>>i&1 == 1 }
		if bit(0) {
			r.CreatedAt = time.Time{}
		}
		if bit(1) {
			r.Trace.Base = &AppliedCampaign{id, other, rate, number}
		}
		if bit(2) {
			r.Trace.Promo = &AppliedCampaign{uuid.Nil, text, -rate, Number{}}
		}
		if bit(3) {
			c := &Conversion{Amount: number, Currency: r.Currency, Source: ConversionSource(text)}
			if bit(4) {
				c.RateDate = &date
			}
			if bit(5) {
				c.Base = other
			}
			if bit(6) {
				c.FromQuote = &rate
			}
			if bit(7) {
				c.ToQuote = &rate
			}
			r.Trace.Converted = c
		}
		if bit(8) {
			x := &AppliedExclusion{Reason: ExclusionReason(other)}
			if bit(9) {
				x.ID = &id
			}
			if bit(10) {
				x.ValidFrom = &date
			}
			r.Trace.Exclusion = x
		}
		sameAsReflection(t, &r)
		if utf8.ValidString(text) && !utf8.ValidString(string(appendString(nil, text))) {
			t.Errorf("%q becomes bytes that are not UTF-8", text)
		}
	})
}
