package spine_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
)

// cut is how many rows of the year the short tests take.
const cut = 5000

// yearOfSpend is Toronto's file of 2019, or the beginning of it in short tests, and the path of
// what is to be processed.
func yearOfSpend(t *testing.T) (text []byte, path string) {
	t.Helper()
	if _, err := os.Stat(yearFile); errors.Is(err, os.ErrNotExist) {
		t.Skip("SKIPPED: the year of real spend is not on this machine:", yearFile)
	}
	text = gunzipped(t, read(t, yearFile))
	if !testing.Short() {
		return text, yearFile
	}
	text = []byte(strings.Join(lines(text)[:cut+1], ""))
	return text, write(t, "beginning_of_2019.csv", text)
}

func gunzipped(t *testing.T, file []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAYearOfRealSpend(t *testing.T) {
	t.Parallel()
	text, path := yearOfSpend(t)
	r := process(t, ecbFile, "--rewarders", "2", path).must(t)
	rows := records(t, text)
	if len(rows) != 61_264 && !testing.Short() {
		t.Fatalf("the file has %d rows", len(rows))
	}
	slow := newOracle(t, ecbFile)

	// What the file says, counted without the program.
	type part struct {
		rows  int
		money money
	}
	whole, parts := part{money: money{}}, map[string]*part{}
	count := func(name string, row map[string]string) {
		if parts[name] == nil {
			parts[name] = &part{money: money{}}
		}
		parts[name].rows++
		parts[name].money.add(row["currency"], number(t, row["amount"]))
	}
	byID, sent := map[string]map[string]string{}, map[string]bool{}
	for _, row := range rows {
		whole.rows++
		whole.money.add(row["currency"], number(t, row["amount"]))
		byID[row["id"]] = row
		sent[strings.NewReplacer("-", "", " ", "").Replace(row["card_pan"])] = true
	}
	if len(byID) != len(rows) {
		t.Fatalf("%d ids in %d rows: this test takes each to be there once", len(byID), len(rows))
	}

	// Every reward is what the oracle says, in its place, once.
	seen := map[string]bool{}
	earned, earning := money{}, map[string]int{}
	var last []string
	for line := range bytes.Lines(r.rewards) {
		got := decodeReward(t, string(line))
		row := byID[got.ID]
		if row == nil || seen[got.ID] {
			t.Fatalf("a reward of the transaction %s, which is in the file: %t, has a reward already: %t", got.ID, row != nil, seen[got.ID])
		}
		seen[got.ID] = true
		if place := []string{got.CardID, got.TransactionDate, got.ID}; slices.Compare(last, place) >= 0 {
			t.Errorf("%v stands behind %v", place, last)
		} else {
			last = place
		}
		tx, err := parse(row)
		if err != nil {
			t.Fatalf("transaction %s has a reward, and cannot be read: %v", got.ID, err)
		}
		want := slow.Reward(&tx)
		agree(t, row, got, want)
		if got.Trace.RuleSet != r.report.RuleSet {
			t.Errorf("transaction %s: rule set %s, want %s", got.ID, got.Trace.RuleSet, r.report.RuleSet)
		}
		if got.Remarks == "" {
			t.Errorf("transaction %s: no remarks", got.ID)
		}
		count(string(want.Outcome), row)
		if want.Outcome == loyalty.Excluded {
			reason := string(loyalty.UnknownMCC)
			if tx.MCC != 0 {
				reason = string(loyalty.ExcludedMCC) + " " + tx.MCC.String()
			}
			count("excluded: "+reason, row)
		}
		if want.Outcome == loyalty.Rewarded {
			earning[tx.CardType]++
			earned.add(tx.CardType, want.Units)
		}
		if t.Failed() && len(seen) > 50 {
			t.FailNow() // no need for 61,264 messages
		}
	}
	// Every other row is refused, and the oracle would have it so.
	fields := map[string]string{"no_quote": "currency", "unknown_card_type": "card_type", "overflow": "amount", "bad_home_amount": "sgd_amount"}
	for _, refused := range records(t, r.refused) {
		row := byID[refused["id"]]
		if row == nil || seen[refused["id"]] {
			t.Fatalf("the transaction %s is refused, which is in the file: %t, was dealt with before: %t", refused["id"], row != nil, seen[refused["id"]])
		}
		seen[refused["id"]] = true
		tx, err := parse(row)
		if err != nil {
			t.Fatalf("a row of the year cannot be read: %v", err)
		}
		want := slow.Reward(&tx)
		if want.Reason == "" || fields[want.Reason] != refused["field"] || refused["reason"] == "" {
			t.Errorf("transaction %s is refused for its %s (%s), the oracle says %q", refused["id"], refused["field"], refused["reason"], want.Reason)
		}
		if line := slices.IndexFunc(rows, func(r map[string]string) bool { return r["id"] == refused["id"] }) + 2; refused["line"] != strconv.Itoa(line) {
			t.Errorf("transaction %s is refused of line %s, it is in line %d", refused["id"], refused["line"], line)
		}
		count("refused", row)
		count("refused: "+fields[want.Reason]+": "+want.Reason, row)
	}
	if len(seen) != len(rows) {
		t.Errorf("%d of %d rows are in the results", len(seen), len(rows))
	}

	// The report says the same.
	accounts(t, r.report)
	same := func(name string, got tally, want *part) {
		t.Helper()
		if want == nil {
			want = &part{}
		}
		if got.Rows != want.rows {
			t.Errorf("%s: %d rows, want %d", name, got.Rows, want.rows)
		}
		sameMoney(t, name, got.sums(t), want.money)
	}
	same("read", r.report.Read, &whole)
	same("rewarded", r.report.Rewarded, parts["rewarded"])
	same("no campaign", r.report.NoCampaign, parts["no_campaign"])
	same("excluded", r.report.Excluded.tally, parts["excluded"])
	same("refused", r.report.Refused.tally, parts["refused"])
	same("duplicates", r.report.Duplicates, nil)
	for name, of := range map[string]reasons{"excluded": r.report.Excluded, "refused": r.report.Refused} {
		for reason, part := range of.ByReason {
			same(name+": "+reason, part, parts[name+": "+reason])
		}
	}
	if len(r.report.Files) != 1 || r.report.Files[0].File != filepath.Base(path) || r.report.Files[0].Rows != len(rows) {
		t.Errorf("the files of the report: %+v", r.report.Files)
	}
	if r.report.HomeCurrency != home.String() {
		t.Errorf("the home currency of the report is %s", r.report.HomeCurrency)
	}
	if !slices.IsSortedFunc(r.report.Units, func(a, b units) int { return cmp.Compare(a.CardType, b.CardType) }) {
		t.Error("the units are not in the order of their card types")
	}
	reported := money{}
	for _, u := range r.report.Units {
		reported.add(u.CardType, number(t, u.Units.String()))
		if u.Rows != earning[u.CardType] {
			t.Errorf("%s: %d rows earned, want %d", u.CardType, u.Rows, earning[u.CardType])
		}
	}
	sameMoney(t, "units", reported, earned)

	for _, name := range []string{"rewards.jsonl", "refused.csv", "report.json"} {
		if found := pans(read(t, filepath.Join(r.dir, name)), sent); len(found) > 0 {
			t.Errorf("%s has the card numbers ending in %v", name, found[:min(len(found), 20)])
		}
	}
}
