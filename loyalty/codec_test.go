package loyalty

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// change is a JSON object with one field set to raw JSON, or taken away where it is "".
func change(t *testing.T, object, field, value string) []byte {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		t.Fatal(err)
	}
	if delete(m, field); value != "" {
		m[field] = json.RawMessage(value)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const goodTransaction = `{"id":"3d1b6d6b-9b57-4f44-8b3d-8e3d3a1f7a11","card_id":"7f8f4a3c-6d4e-4b57-9d5a-4f2a6a9b1c22","merchant":"Kaligo.com","mcc":7011,
"currency":"USD","amount":100.50,"sgd_amount":0,"transaction_id":"ref-1","transaction_date":"2021-09-02","card_pan":"6771-8964-5359-9669","card_type":"scis_premiummiles"}`

func TestDecodeTransaction(t *testing.T) {
	sgd := MustCurrency("SGD")
	tx, err := DecodeTransaction([]byte(goodTransaction), sgd)
	if err != nil {
		t.Fatal(err)
	}
	want := Transaction{
		ID: uuid.MustParse("3d1b6d6b-9b57-4f44-8b3d-8e3d3a1f7a11"), CardID: uuid.MustParse("7f8f4a3c-6d4e-4b57-9d5a-4f2a6a9b1c22"),
		Merchant: "Kaligo.com", MCC: 7011, Currency: MustCurrency("USD"), Amount: 100_50, Reference: "ref-1", Date: DateOf(2021, 9, 2),
		CardPAN: "************9669", CardType: "scis_premiummiles",
	}
	if tx != want {
		t.Errorf("%+v\nwant %+v", tx, want)
	}
	out, err := json.Marshal(tx)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"id":"3d1b6d6b-9b57-4f44-8b3d-8e3d3a1f7a11","card_id":"7f8f4a3c-6d4e-4b57-9d5a-4f2a6a9b1c22","merchant":"Kaligo.com","mcc":7011,"currency":"USD","amount":100.5,"sgd_amount":0,"transaction_id":"ref-1","transaction_date":"2021-09-02","card_pan":"************9669","card_type":"scis_premiummiles"}`; string(out) != want {
		t.Errorf("%s\nwant %s", out, want)
	}

	long := `"` + strings.Repeat("é", MaxFieldRunes) + `"`
	tooLong := `"` + strings.Repeat("é", MaxFieldRunes+1) + `"`
	for _, tt := range []struct {
		name, field, value string
		bad                string // the field's code; "": good
		check              func(Transaction) bool
	}{
		{"no id: of the reference", "id", ``, "", func(tx Transaction) bool { return tx.ID == uuid.NewSHA1(tx.CardID, []byte("ref-1")) }},
		{"nil id", "id", `"00000000-0000-0000-0000-000000000000"`, "nil_uuid", nil},
		{"id in capitals", "id", `"3D1B6D6B-9B57-4F44-8B3D-8E3D3A1F7A11"`, "", func(tx Transaction) bool { return tx.ID == want.ID }},
		{"id without hyphens", "id", `"3d1b6d6b9b574f448b3d8e3d3a1f7a11"`, "not_a_uuid", nil},
		{"id as a URN", "id", `"urn:uuid:3d1b6d6b-9b57-4f44-8b3d-8e3d3a1f7a11"`, "not_a_uuid", nil},
		{"no card", "card_id", ``, "missing", nil},
		{"bad card", "card_id", `"7"`, "not_a_uuid", nil},
		{"no merchant", "merchant", ``, "", func(tx Transaction) bool { return tx.Merchant == "" }},
		{"merchant trimmed", "merchant", `"  Grab\t"`, "", func(tx Transaction) bool { return tx.Merchant == "Grab" }},
		{"merchant with a PAN", "merchant", `"PAY 4111111111111111"`, "", func(tx Transaction) bool { return tx.Merchant == "PAY ************1111" }},
		{"merchant at its longest", "merchant", long, "", func(tx Transaction) bool { return len(tx.Merchant) == 2*MaxFieldRunes }},
		{"merchant too long", "merchant", tooLong, "too_long", nil},
		{"merchant with NUL", "merchant", `"a\u0000b"`, "not_text", nil},
		{"merchant a number", "merchant", `7`, "wrong_type", nil},
		{"MCC 0", "mcc", `0`, "", func(tx Transaction) bool { return tx.MCC == 0 }},
		{"no MCC", "mcc", ``, "", func(tx Transaction) bool { return tx.MCC == 0 }},
		{"MCC null", "mcc", `null`, "", func(tx Transaction) bool { return tx.MCC == 0 }},
		{"MCC as text", "mcc", `"0742"`, "", func(tx Transaction) bool { return tx.MCC == 742 }},
		{"MCC abc", "mcc", `"abc"`, "not_an_mcc", nil},
		{"MCC -1", "mcc", `-1`, "not_an_mcc", nil},
		{"MCC 10000", "mcc", `10000`, "not_an_mcc", nil},
		{"MCC 1.5", "mcc", `1.5`, "not_an_mcc", nil},
		{"currency small", "currency", `"usd"`, "", func(tx Transaction) bool { return tx.Currency == want.Currency }},
		{"currency nobody has", "currency", `"XYZ"`, "unknown_currency", nil},
		{"no currency", "currency", ``, "missing", nil},
		{"no amount", "amount", ``, "missing", nil},
		{"amount 1e400", "amount", `1e400`, "not_a_decimal", nil},
		{"amount 1e2", "amount", `1e2`, "not_a_decimal", nil},
		{"amount as text", "amount", `"100"`, "wrong_type", nil},
		{"amount with three decimals", "amount", `1.005`, "too_many_decimals", nil},
		{"amount with zeros behind", "amount", `1.5000`, "", func(tx Transaction) bool { return tx.Amount == 150 }},
		{"amount -0", "amount", `-0`, "", func(tx Transaction) bool { return tx.Amount == 0 }},
		{"refund", "amount", `-1.5`, "", func(tx Transaction) bool { return tx.Amount == -150 }},
		{"amount too large", "amount", `92233720368547758.08`, "too_large", nil},
		{"given", "sgd_amount", `134.5`, "", func(tx Transaction) bool { return tx.HomeAmount.String() == "134.5" }},
		{"given null", "sgd_amount", `null`, "", func(tx Transaction) bool { return tx.HomeAmount.IsZero() }},
		{"given with the other sign", "sgd_amount", `-134.5`, "other_sign", nil},
		{"given with three decimals", "sgd_amount", `134.505`, "too_many_decimals", nil},
		{"given not a number", "sgd_amount", `true`, "wrong_type", nil},
		{"date that does not exist", "transaction_date", `"2021-02-30"`, "not_a_date", nil},
		{"date before 1990", "transaction_date", `"1989-12-31"`, "date_out_of_range", nil},
		{"date of two-digit year", "transaction_date", `"02-09-21"`, "", func(tx Transaction) bool { return tx.Date == want.Date }},
		{"no date", "transaction_date", ``, "missing", nil},
		{"PAN 123", "card_pan", `"123"`, "not_a_pan", nil},
		{"no PAN", "card_pan", ``, "missing", nil},
		{"no card type", "card_type", `"  "`, "missing", nil},
		{"a field more", "extra", `{}`, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tx, err := DecodeTransaction(change(t, goodTransaction, tt.field, tt.value), sgd)
			if tt.bad == "" {
				if err != nil || tt.check != nil && !tt.check(tx) {
					t.Errorf("%+v, %v", tx, err)
				}
				return
			}
			var errs FieldErrors
			if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Field != tt.field || errs[0].Code != tt.bad {
				t.Errorf("error %v, want %s of %s", err, tt.bad, tt.field)
			}
		})
	}
	for name, in := range map[string]string{"empty": "", "not JSON": "{", "a list": "[]", "not UTF-8": "{\"merchant\":\"\xff\"}", "NaN": `{"amount": NaN}`, "two": "{}{}"} {
		if _, err := DecodeTransaction([]byte(in), sgd); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAllThatIsWrongIsNamed(t *testing.T) {
	raw := RawTransaction{MCC: "abc", Currency: "XYZ", Amount: "1,234.50", SGDAmount: "NaN", TransactionDate: "2021-02-30", CardPAN: "123"}
	_, err := raw.Parse(MustCurrency("SGD"))
	var errs FieldErrors
	if !errors.As(err, &errs) {
		t.Fatal(err)
	}
	var got []string
	for _, f := range errs {
		got = append(got, f.Field+" "+f.Code)
	}
	want := []string{
		"card_id missing", "id missing", "mcc not_an_mcc", "currency unknown_currency", "amount not_a_decimal", "sgd_amount not_a_decimal",
		"transaction_date not_a_date", "card_pan not_a_pan", "card_type missing",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

func TestHomeSpendDoesNotReadTheHomeAmount(t *testing.T) {
	raw := RawTransaction{
		ID: uuid.NewString(), CardID: uuid.NewString(), Currency: "SGD", Amount: "5", SGDAmount: "rubbish",
		TransactionDate: "2021-09-01", CardPAN: "4111111111111111", CardType: "a",
	}
	tx, err := raw.Parse(MustCurrency("SGD"))
	if err != nil || !tx.HomeAmount.IsZero() {
		t.Errorf("%v, %v", tx.HomeAmount, err)
	}
}

func FuzzDecodeTransaction(f *testing.F) {
	f.Add([]byte(goodTransaction))
	for _, s := range []string{`{}`, `[]`, `{"amount":1e400}`, `{"mcc":"abc","amount":-0,"card_pan":"123"}`, `null`, `{"merchant":"4111111111111111"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tx, err := DecodeTransaction(data, MustCurrency("SGD"))
		if err != nil {
			var errs FieldErrors
			if !errors.As(err, &errs) || len(errs) == 0 {
				t.Fatalf("an error that names no field: %v", err)
			}
			return
		}
		out := tx.AppendJSON(nil)
		back, err := DecodeTransaction(out, MustCurrency("SGD"))
		if err != nil || back != tx {
			t.Errorf("%s comes back as %+v, %v", out, back, err)
		}
		// Within other JSON encoding/json escapes <, > and & as well.
		if inside, err := json.Marshal(tx); err != nil || json.Unmarshal(inside, &back) != nil || back != tx {
			t.Errorf("%s comes back as %+v, %v", inside, back, err)
		}
		if again := back.AppendJSON(nil); !bytes.Equal(again, out) {
			t.Errorf("%s is written %s the next time", out, again)
		}
	})
}

const goodCampaign = `{"id":"3d1b6d6b-9b57-4f44-8b3d-8e3d3a1f7a11","name":"10 miles at Kaligo","min_spend":100.5,"start_date":"2021-09-01T16:00:00Z","end_date":"2021-12-31T00:00:00Z",
"reward_program":"scis_premiummiles","reward_amount":10,"mcc":"7011,3500-3999","merchant":"Kaligo","base_reward":false,"foreign_currency":true}`

func TestCampaignWireForm(t *testing.T) {
	var c Campaign
	if err := json.Unmarshal([]byte(goodCampaign), &c); err != nil {
		t.Fatal(err)
	}
	want := Campaign{
		ID: uuid.MustParse("3d1b6d6b-9b57-4f44-8b3d-8e3d3a1f7a11"), Name: "10 miles at Kaligo", MinSpend: MustDecimal("100.5"),
		Start: DateOf(2021, 9, 1), End: DateOf(2021, 12, 31), Programme: "scis_premiummiles", Rate: MustDecimal("10"),
		MCC: MCCSet{{7011, 7011}, {3500, 3999}}, Merchant: "Kaligo", Foreign: true,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant %+v", c, want)
	}
	out, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.ReplaceAll(strings.Replace(goodCampaign, "T16:", "T00:", 1), "\n", ""); string(out) != want {
		t.Errorf("%s\nwant %s", out, want)
	}
	for _, tt := range []struct{ name, field, value, bad string }{
		{"end before start", "end_date", `"2021-08-31"`, "before_start"},
		{"one day", "end_date", `"2021-09-01"`, ""},
		{"no end", "end_date", ``, "missing"},
		{"start not a date", "start_date", `"soon"`, "not_a_date"},
		{"negative rate", "reward_amount", `-1`, "negative"},
		{"no rate", "reward_amount", ``, "missing"},
		{"rate as text", "reward_amount", `"1"`, "wrong_type"},
		{"rate with an exponent", "reward_amount", `1e2`, "not_a_decimal"},
		{"rate with ten decimals", "reward_amount", `0.0000000001`, "too_many_decimals"},
		{"rate 0", "reward_amount", `0`, ""},
		{"negative least spend", "min_spend", `-0.01`, "negative"},
		{"no least spend", "min_spend", ``, ""},
		{"range backwards", "mcc", `"3999-3500"`, "not_an_mcc_list"},
		{"MCC 10000", "mcc", `"10000"`, "not_an_mcc_list"},
		{"MCC abc", "mcc", `"abc"`, "not_an_mcc_list"},
		{"0 among others", "mcc", `"0,5411"`, "not_an_mcc_list"},
		{"blank MCC", "mcc", `""`, "not_an_mcc_list"},
		{"no MCC", "mcc", ``, "not_an_mcc_list"},
		{"MCC as a number", "mcc", `5411`, ""},
		{"any MCC", "mcc", `"0"`, ""},
		{"no name", "name", `" "`, "missing"},
		{"no programme", "reward_program", ``, "missing"},
		{"programme not a key", "reward_program", `"a b"`, "not_a_key"},
		{"a card number as a name", "name", `"5 % with 4111-1111-1111-1111"`, "looks_like_a_pan"},
		{"a card number as a programme", "reward_program", `"4111-1111-1111-1111"`, "looks_like_a_pan"},
		{"bad id", "id", `"1"`, "not_a_uuid"},
		{"no id", "id", ``, ""},
		{"field misspelt", "foreign_curency", `true`, "unknown_field"},
		{"base a text", "base_reward", `"yes"`, "wrong_type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			decoded[Campaign](t, change(t, goodCampaign, tt.field, tt.value), tt.field, tt.bad)
		})
	}
}

// decoded checks that decoding a T is well or fails for one field with a code.
func decoded[T any](t *testing.T, data []byte, field, bad string) {
	t.Helper()
	var v T
	err := json.Unmarshal(data, &v)
	if bad == "" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	var errs FieldErrors
	if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Field != field || errs[0].Code != bad {
		t.Errorf("error %v, want %s of %s", err, bad, field)
	}
}

func TestExclusionWireForm(t *testing.T) {
	const good = `{"id":"3d1b6d6b-9b57-4f44-8b3d-8e3d3a1f7a11","mcc":6051,"valid_from":"2021-01-01T00:00:00Z"}`
	var x Exclusion
	if err := json.Unmarshal([]byte(good), &x); err != nil {
		t.Fatal(err)
	}
	if out, err := json.Marshal(x); err != nil || string(out) != good {
		t.Errorf("%s, %v; want %s", out, err, good)
	}
	for _, tt := range []struct{ name, field, value, bad string }{
		{"MCC as text", "mcc", `"6051"`, ""},
		{"MCC 0", "mcc", `0`, "missing"},
		{"no MCC", "mcc", ``, "missing"},
		{"MCC 10000", "mcc", `10000`, "not_an_mcc"},
		{"a range", "mcc", `"6051-6052"`, "not_an_mcc"},
		{"no date", "valid_from", ``, "missing"},
		{"date that does not exist", "valid_from", `"2021-02-29"`, "not_a_date"},
		{"bad id", "id", `"x"`, "not_a_uuid"},
		{"field more", "valid_to", `"2021-01-01"`, "unknown_field"},
	} {
		t.Run(tt.name, func(t *testing.T) { decoded[Exclusion](t, change(t, good, tt.field, tt.value), tt.field, tt.bad) })
	}
}

func TestCardTypeWireForm(t *testing.T) {
	const good = `{"card_type":"scis_freedom","name":"SCIS Freedom Card","reward_unit":"cashback","reward_program":"SCIS Cashback","decimals":2}`
	var c CardType
	if err := json.Unmarshal([]byte(good), &c); err != nil {
		t.Fatal(err)
	}
	if out, err := json.Marshal(c); err != nil || string(out) != good {
		t.Errorf("%s, %v; want %s", out, err, good)
	}
	for unit, want := range map[string]uint8{"points": 0, "Miles": 0, "cashback": 2, "stars": 2} {
		data := change(t, string(change(t, good, "decimals", "")), "reward_unit", `"`+unit+`"`)
		if err := json.Unmarshal(data, &c); err != nil || c.Decimals != want {
			t.Errorf("%s has %d decimals, want %d (%v)", unit, c.Decimals, want, err)
		}
	}
	for _, tt := range []struct{ name, field, value, bad string }{
		{"five decimals", "decimals", `5`, "out_of_range"},
		{"minus one decimal", "decimals", `-1`, "out_of_range"},
		{"no key", "card_type", ``, "missing"},
		{"key with a slash", "card_type", `"a/b"`, "not_a_key"},
		{"no unit", "reward_unit", ``, "missing"},
	} {
		t.Run(tt.name, func(t *testing.T) { decoded[CardType](t, change(t, good, tt.field, tt.value), tt.field, tt.bad) })
	}
}

func TestDayQuotesWireForm(t *testing.T) {
	const good = `{"base":"EUR","quotes":{"SGD":1.5364,"USD":1.1211}}`
	var q DayQuotes
	if err := json.Unmarshal([]byte(good), &q); err != nil {
		t.Fatal(err)
	}
	if out, err := json.Marshal(q); err != nil || string(out) != good {
		t.Errorf("%s, %v; want %s", out, err, good)
	}
	if got, ok := q.Of(MustCurrency("EUR")); !ok || got != 1e9 {
		t.Errorf("the base is quoted at %s, %t", got, ok)
	}
	if _, ok := q.Of(MustCurrency("JPY")); ok {
		t.Error("a currency that is not there is quoted")
	}
	for _, tt := range []struct{ name, field, value, bad string }{
		{"no base", "base", ``, "unknown_currency"},
		{"no quotes", "quotes", ``, "missing"},
		{"base quoted as 1", "quotes", `{"EUR":1,"USD":2}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) { decoded[DayQuotes](t, change(t, good, tt.field, tt.value), tt.field, tt.bad) })
	}
	for name, tt := range map[string][2]string{
		"a quote of 0":         {`{"USD":0}`, "quotes.USD not_positive"},
		"a negative quote":     {`{"USD":-1}`, "quotes.USD negative"},
		"a currency not known": {`{"XYZ":1}`, "quotes.XYZ unknown_currency"},
		"the base quoted as 2": {`{"EUR":2}`, "quotes.EUR not_one"},
		"the base alone":       {`{"EUR":1}`, "quotes missing"}, // written, nobody could read it
		"twice":                {`{"USD":1,"usd":2}`, "quotes.usd twice"},
		"as text":              {`{"USD":"1"}`, "quotes.USD wrong_type"},
	} {
		var q DayQuotes
		var f *FieldError
		if err := json.Unmarshal([]byte(`{"base":"EUR","quotes":`+tt[0]+`}`), &q); !errors.As(err, &f) || f.Field+" "+f.Code != tt[1] {
			t.Errorf("%s: error %v, want %s", name, err, tt[1])
		}
	}
}

func TestYearQuotesWireForm(t *testing.T) {
	const good = `{"year":2019,"days":{"2019-01-02":{"base":"EUR","quotes":{"SGD":1.5}},"2019-01-03":{"base":"EUR","quotes":{"SGD":1.6}}}}`
	var y YearQuotes
	if err := json.Unmarshal([]byte(good), &y); err != nil {
		t.Fatal(err)
	}
	if out, err := json.Marshal(y); err != nil || string(out) != good {
		t.Errorf("%s, %v; want %s", out, err, good)
	}
	for name, bad := range map[string]string{
		"another year":    strings.Replace(good, `"year":2019`, `"year":2020`, 1),
		"another form":    strings.Replace(good, "2019-01-02", "02-01-2019", 1),
		"no such day":     strings.Replace(good, "2019-01-02", "2019-02-30", 1),
		"day has no base": strings.Replace(good, `"base":"EUR",`, ``, 1),
	} {
		if err := json.Unmarshal([]byte(bad), &y); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDecodeRuleFile(t *testing.T) {
	noID := func(s string) string { return string(change(t, s, "id", "")) }
	const cardType = `{"card_type":"a","name":"A","reward_unit":"points","reward_program":"P"}`
	const exclusion = `{"mcc":6051,"valid_from":"2021-01-01"}`
	f, err := DecodeRuleFile([]byte(`{"card_types":[` + cardType + `],"campaigns":[` + noID(goodCampaign) + `],"exclusions":[` + exclusion + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	programme := uuid.NewSHA1(uuid.Nil, []byte("scis_premiummiles"))
	if got, want := f.Campaigns[0].ID, uuid.NewSHA1(programme, []byte("10 miles at Kaligo")); got != want {
		t.Errorf("the campaign's id is %s, want %s", got, want)
	}
	if f.Exclusions[0].ID == uuid.Nil || len(f.CardTypes) != 1 {
		t.Errorf("%+v", f)
	}
	for name, tt := range map[string][2]string{
		"a field of an item": {`{"campaigns":[` + goodCampaign + `,` + string(change(t, goodCampaign, "end_date", `"2020-01-01"`)) + `]}`, "campaigns[1].end_date before_start"},
		"an id twice":        {`{"campaigns":[` + goodCampaign + `,` + goodCampaign + `]}`, "campaigns[1].id twice"},
		"a name twice":       {`{"campaigns":[` + noID(goodCampaign) + `,` + noID(goodCampaign) + `]}`, "campaigns[1].id twice"},
		"a field misspelt":   {`{"campaign":[]}`, "campaign unknown_field"},
		"not an object":      {`[]`, " wrong_type"},
	} {
		_, err := DecodeRuleFile([]byte(tt[0]))
		var f *FieldError
		if !errors.As(err, &f) || f.Field+" "+f.Code != tt[1] {
			t.Errorf("%s: error %v, want %s", name, err, tt[1])
		}
	}
}

func TestCampaignsComeBackAsTheyWere(t *testing.T) {
	text := rapid.StringMatching(`[A-Za-z<&é"\\ß]([A-Za-z <&é"\\\t]{0,20}[A-Zé>])?`)
	rapid.Check(t, func(t *rapid.T) {
		c := Campaign{
			ID: uuid.UUID{15: byte(rapid.IntRange(1, 255).Draw(t, "id"))}, Name: text.Draw(t, "name"), Merchant: rapid.OneOf(rapid.Just(""), text).Draw(t, "merchant"),
			MinSpend: Decimal(wide(0).Draw(t, "min")), Rate: Decimal(wide(0).Draw(t, "rate")), Programme: "p",
			Start: MinDate + Date(rapid.IntRange(0, int(MaxDate-MinDate)).Draw(t, "start")),
			Base:  rapid.Bool().Draw(t, "base"), Foreign: rapid.Bool().Draw(t, "foreign"),
		}
		c.End = rapid.SampledFrom([]Date{c.Start, MaxDate}).Draw(t, "end")
		for range rapid.IntRange(0, 3).Draw(t, "ranges") {
			from := rapid.IntRange(1, 9999).Draw(t, "from")
			c.MCC = append(c.MCC, MCCRange{MCC(from), MCC(rapid.IntRange(from, 9999).Draw(t, "to"))})
		}
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back Campaign
		if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(c, back) {
			t.Fatalf("%s comes back as %+v, %v", data, back, err)
		}
		if again, err := back.MarshalJSON(); err != nil || !bytes.Equal(again, must(c.MarshalJSON())) {
			t.Fatalf("%s is written %s", data, again)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestRewardWireForm(t *testing.T) {
	tx := must(DecodeTransaction([]byte(goodTransaction), MustCurrency("SGD")))
	r := Reward{Transaction: tx, Units: Units{-105, 2}, Remarks: "5% <&>", Trace: Trace{Outcome: Rewarded, Decimals: 2}}
	data := must(json.Marshal(r))
	if !bytes.Contains(data, []byte(`"reward_amount":-1.05`)) || bytes.Contains(data, []byte("created_at")) {
		t.Errorf("%s", data)
	}
	var back Reward
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(r, back) {
		t.Errorf("%+v\nwant %+v (%v)", back, r, err)
	}
	if err := json.Unmarshal(bytes.Replace(data, []byte("-1.05"), []byte("-1.055"), 1), &back); err == nil {
		t.Error("units with more decimals than the trace says are read")
	}
}

func TestWriteTimesPutTheEarlierRecordFirst(t *testing.T) {
	a, b := Position{1, 0, 7}, Position{1, 0, 8}
	if a.WriteTime() <= b.WriteTime() || a.WriteTime() >= 0 {
		t.Errorf("%d, %d", a.WriteTime(), b.WriteTime())
	}
	if last, next := (Position{1, 0, 1<<48 - 2}), (Position{2, 0, 0}); last.WriteTime() <= next.WriteTime() {
		t.Error("a later life of the topic wins")
	}
	if (Position{math.MaxInt16, 0, 1 << 40}).WriteTime() >= 0 {
		t.Error("wrapped around")
	}
}
