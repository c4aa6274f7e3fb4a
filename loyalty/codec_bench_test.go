package loyalty

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// logged is a transaction as the log holds it.
const logged = `{"id":"16b3b2f5-9c4f-5a86-8d3f-0e6b1ab1d9a2","card_id":"dde8a0a5-0d0e-5809-80f1-7c9edd08579f","merchant":"TORONTO PARKING AUTHOR","mcc":7523,"currency":"USD","amount":1538.64,"sgd_amount":0,"transaction_id":"3e57593ff846e8c56d2742d3aef0842b131ab7a884c9ee2ea7849422ed6262f9","transaction_date":"2018-12-31","card_pan":"************3793","card_type":"scis_premiummiles"}`

// fullReward has every field that a reward can have but those of an exclusion.
func fullReward(t testing.TB) Reward {
	tx, err := DecodeTransaction([]byte(logged), MustCurrency("CAD"))
	if err != nil {
		t.Fatal(err)
	}
	day, from, to := tx.Date-1, MustDecimal("1.1450"), MustDecimal("1.5605")
	return Reward{
		Transaction: tx, Units: Units{629_150, 2}, Remarks: "SCIS PremiumMiles: 1.4 miles per CAD 1 & 2 more for foreign spend",
		CreatedAt: time.UnixMilli(1546214400123),
		Trace: Trace{
			RuleSet: HashOf([]byte("rules")), Outcome: Rewarded, Programme: "SCIS Miles", Unit: "miles", Decimals: 2,
			Base:      &AppliedCampaign{uuid.MustParse("7f8f4a3c-6d4e-4b57-9d5a-4f2a6a9b1c22"), "1.4 miles for any spend", MustDecimal("1.4"), Number{293581, 2}},
			Promo:     &AppliedCampaign{uuid.MustParse("8f8f4a3c-6d4e-4b57-9d5a-4f2a6a9b1c22"), "3 miles with min spend 1000 USD", MustDecimal("3"), Number{33557, 1}},
			Converted: &Conversion{Number{20969, 1}, MustCurrency("CAD"), QuoteRate, &day, "EUR", &from, &to},
		},
	}
}

func BenchmarkDecodeTransaction(b *testing.B) {
	home, data := MustCurrency("CAD"), []byte(logged)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeTransaction(data, home); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	home := MustCurrency("CAD")
	b.ReportAllocs()
	for b.Loop() {
		raw := RawTransaction{
			ID: "89fee31b-1e88-51d5-b81f-f47a7af65b88", CardID: "dde8a0a5-0d0e-5809-80f1-7c9edd08579f", Merchant: "TORONTO PARKING AUTHOR", MCC: "7523",
			Currency: "USD", Amount: "1538.64", TransactionID: "3e57593ff846e8c56d2742d3aef0842b131ab7a884c9ee2ea7849422ed6262f9",
			TransactionDate: "2018-12-31", CardPAN: "4000-0080-9753-3793", CardType: "scis_premiummiles",
		}
		if _, err := raw.Parse(home); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendTransaction(b *testing.B) {
	tx := fullReward(b).Transaction
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = tx.AppendJSON(buf[:0])
	}
}

func BenchmarkAppendReward(b *testing.B) {
	r := fullReward(b)
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		var err error
		if buf, err = r.AppendJSON(buf[:0]); err != nil {
			b.Fatal(err)
		}
	}
}
