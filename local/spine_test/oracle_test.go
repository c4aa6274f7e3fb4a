package spine_test

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rules/oracle"
)

// newOracle reads the example's rules, and the ECB's quotes, which may be zipped.
func newOracle(t *testing.T, fx string) *oracle.Oracle {
	t.Helper()
	file, err := loyalty.DecodeRuleFile(read(t, rulesFile))
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, fx)
	if strings.HasSuffix(fx, ".zip") {
		archive, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
		if err != nil || len(archive.File) != 1 {
			t.Fatalf("%s: %v, %d files", fx, err, len(archive.File))
		}
		f, err := archive.File[0].Open()
		if err != nil {
			t.Fatal(err)
		}
		if text, err = io.ReadAll(f); err != nil {
			t.Fatal(err)
		}
	}
	all, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	years := map[int]*loyalty.YearQuotes{}
	for _, record := range all[1:] {
		date, err := loyalty.ParseDate(record[0])
		if err != nil {
			t.Fatal(err)
		}
		day := loyalty.DayQuotes{Date: date, Base: loyalty.MustCurrency("EUR"), Quotes: map[loyalty.Currency]loyalty.Decimal{}}
		for i, v := range record[1:] {
			if v == "" || v == "N/A" {
				continue
			}
			quote, err := loyalty.ParseDecimal(v)
			if err != nil {
				t.Fatal(err)
			}
			day.Quotes[loyalty.MustCurrency(all[0][i+1])] = quote
		}
		if years[date.Year()] == nil {
			years[date.Year()] = &loyalty.YearQuotes{Year: date.Year()}
		}
		years[date.Year()].Days = append(years[date.Year()].Days, day)
	}
	var quotes []loyalty.YearQuotes
	for _, year := range slices.Sorted(maps.Keys(years)) {
		quotes = append(quotes, *years[year])
	}
	return oracle.New(home, file.CardTypes, file.Campaigns, file.Exclusions, quotes)
}

// reward is a line of rewards.jsonl. Numbers stay what was written.
type reward struct {
	ID              string      `json:"id"`
	CardID          string      `json:"card_id"`
	Merchant        string      `json:"merchant"`
	MCC             int         `json:"mcc"`
	Currency        string      `json:"currency"`
	Amount          json.Number `json:"amount"`
	SGDAmount       json.Number `json:"sgd_amount"`
	TransactionID   string      `json:"transaction_id"`
	TransactionDate string      `json:"transaction_date"`
	CardPAN         string      `json:"card_pan"`
	CardType        string      `json:"card_type"`
	Units           json.Number `json:"reward_amount"`
	Remarks         string      `json:"remarks"`
	Trace           struct {
		RuleSet   string   `json:"rule_set"`
		Outcome   string   `json:"outcome"`
		Programme string   `json:"programme"`
		Unit      string   `json:"unit"`
		Decimals  int      `json:"decimals"`
		Base      *applied `json:"base"`
		Promo     *applied `json:"promo"`
		Converted *struct {
			Amount    json.Number `json:"amount"`
			Currency  string      `json:"currency"`
			Source    string      `json:"source"`
			RateDate  string      `json:"rate_date"`
			Base      string      `json:"quote_base"`
			FromQuote json.Number `json:"from_quote"`
			ToQuote   json.Number `json:"to_quote"`
		} `json:"converted"`
		Exclusion *struct {
			Reason    string `json:"reason"`
			ID        string `json:"id"`
			ValidFrom string `json:"valid_from"`
		} `json:"exclusion"`
	} `json:"trace"`
}

type applied struct {
	ID    string      `json:"id"`
	Name  string      `json:"name"`
	Rate  json.Number `json:"rate"`
	Units json.Number `json:"units"`
}

func decodeReward(t *testing.T, line string) reward {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(line))
	dec.DisallowUnknownFields() // created_at among them
	var r reward
	if err := dec.Decode(&r); err != nil {
		t.Fatalf("a line of rewards.jsonl: %v\n%s", err, line)
	}
	return r
}

// parse is a row of a file as a transaction.
func parse(row map[string]string) (loyalty.Transaction, error) {
	raw := loyalty.RawTransaction{
		ID: row["id"], CardID: row["card_id"], Merchant: row["merchant"], MCC: row["mcc"], Currency: row["currency"],
		Amount: row["amount"], SGDAmount: row["sgd_amount"], TransactionID: row["transaction_id"],
		TransactionDate: row["transaction_date"], CardPAN: row["card_pan"], CardType: row["card_type"],
	}
	return raw.Parse(home)
}

// agree holds a reward against the row that it is of and against what the oracle says of it.
func agree(t *testing.T, row map[string]string, got reward, want oracle.Result) {
	t.Helper()
	bad := func(what string, got, want any) {
		t.Helper()
		t.Errorf("transaction %s: %s %v, want %v", row["id"], what, got, want)
	}
	same := func(what, got, want string) {
		t.Helper()
		if got != want {
			bad(what, got, want)
		}
	}
	same("card", got.CardID, row["card_id"])
	same("merchant", got.Merchant, loyalty.StarPANs(strings.TrimSpace(row["merchant"])))
	same("currency", got.Currency, row["currency"])
	same("reference", got.TransactionID, loyalty.StarPANs(row["transaction_id"]))
	same("date", got.TransactionDate, row["transaction_date"])
	same("card type", got.CardType, row["card_type"])
	pan := strings.NewReplacer("-", "", " ", "").Replace(row["card_pan"])
	same("PAN", got.CardPAN, "************"+pan[len(pan)-4:])
	equal := func(what string, got json.Number, want *big.Rat) {
		t.Helper()
		if r, ok := new(big.Rat).SetString(got.String()); !ok || r.Cmp(want) != 0 {
			bad(what, got, want.FloatString(4))
		}
	}
	equal("amount", got.Amount, number(t, row["amount"]))

	if want.Reason != "" {
		bad("outcome", got.Trace.Outcome, "a dead letter: "+want.Reason)
		return
	}
	same("outcome", got.Trace.Outcome, string(want.Outcome))
	equal("units", got.Units, want.Units)
	campaign := func(what string, got *applied, id uuid.UUID, units *big.Rat) {
		t.Helper()
		switch {
		case got == nil && id == uuid.Nil:
		case got == nil || id == uuid.Nil:
			bad(what, got, id)
		default:
			same(what, got.ID, id.String())
			equal(what+"'s units", got.Units, units)
		}
	}
	campaign("base campaign", got.Trace.Base, want.Base, want.BaseUnits)
	campaign("promo campaign", got.Trace.Promo, want.Promo, want.PromoUnits)
	switch c := got.Trace.Converted; {
	case c == nil && want.Converted == nil:
	case c == nil || want.Converted == nil:
		bad("conversion", c, want.Converted)
	default:
		equal("converted amount", c.Amount, want.Converted)
		same("converted amount's currency", c.Currency, home.String())
		same("source of the converted amount", c.Source, string(want.Source))
		day := ""
		if want.RateDate != 0 {
			day = want.RateDate.String()
		}
		same("day of the rate", c.RateDate, day)
	}
	switch x := got.Trace.Exclusion; {
	case x == nil && want.Outcome != loyalty.Excluded:
	case x == nil || want.Outcome != loyalty.Excluded:
		bad("exclusion", x, want.Outcome)
	case want.Exclusion == uuid.Nil:
		same("exclusion", x.Reason+x.ID, string(loyalty.UnknownMCC))
	default:
		same("exclusion", x.Reason+" "+x.ID, string(loyalty.ExcludedMCC)+" "+want.Exclusion.String())
	}
}

// notPANs are UUIDs and the names of rule sets.
var notPANs = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|"rule_set": ?"[0-9a-f]{64}"`)

// pans finds the card numbers in a file: those that pass Luhn, and those that went in. It returns
// their last four digits.
func pans(file []byte, sent map[string]bool) []string {
	var found []string
	for line := range strings.Lines(string(file)) {
		if len(digitRuns(line)) == 0 {
			continue // most lines: looking for UUIDs takes its time
		}
		for _, run := range digitRuns(notPANs.ReplaceAllString(line, "#")) {
			groups := strings.FieldsFunc(run, func(r rune) bool { return r == ' ' || r == '-' })
			for i := range groups {
				for j := i + 1; j <= len(groups); j++ {
					digits := strings.Join(groups[i:j], "")
					if sent[digits] || len(digits) >= 13 && len(digits) <= 19 && luhn(digits) {
						found = append(found, digits[len(digits)-4:])
					}
				}
			}
		}
	}
	return found
}

// digitRuns are the runs of 13 digits and more with single spaces or hyphens between them.
func digitRuns(s string) []string {
	var runs []string
	for i := 0; i < len(s); i++ {
		digits, from := 0, i
		for ; i < len(s); i++ {
			if '0' <= s[i] && s[i] <= '9' {
				digits++
			} else if digits == 0 || s[i] != ' ' && s[i] != '-' || i+1 == len(s) || s[i+1] < '0' || s[i+1] > '9' {
				break
			}
		}
		if digits >= 13 {
			runs = append(runs, s[from:i])
		}
	}
	return runs
}

func luhn(digits string) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return sum%10 == 0
}

func TestThatCardNumbersWouldBeFound(t *testing.T) {
	sent := map[string]bool{"4000008097533793": true}
	for text, want := range map[string]int{
		"4000 0080 9753 3793":                  1, // does not pass Luhn, but went in
		"4000 0080 9753 3794":                  0,
		"at 4242424242424242.":                 1,
		"x4242-4242-4242-4242":                 1,
		`"n":"99 4242424242424242 1"`:          1,
		"42424242-4242-4242-8242-424242424242": 0, // a UUID
		"************4242 4242 4242":           0,
	} {
		if found := pans([]byte(text), sent); len(found) != want {
			t.Errorf("%q has %v, want %d", text, found, want)
		}
	}
}
