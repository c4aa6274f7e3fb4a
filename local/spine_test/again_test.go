package spine_test

import (
	"bytes"
	"encoding/csv"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
)

func TestTheSameFileTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	once := process(t, quotesFile, spendFile).must(t)

	t.Run("the same file twice", func(t *testing.T) {
		t.Parallel()
		twice := process(t, quotesFile, "--rewarders", "2", spendFile, spendFile).must(t)
		accounts(t, twice.report)
		if !bytes.Equal(twice.rewards, once.rewards) {
			t.Error("the rewards are others")
		}
		one, two := once.report, twice.report
		same := func(name string, got tally, times int, want tally) {
			t.Helper()
			if got.Rows != times*want.Rows {
				t.Errorf("%s: %d rows, want %d times %d", name, got.Rows, times, want.Rows)
			}
			sum := money{}
			for range times {
				sum.addAll(want.sums(t))
			}
			sameMoney(t, name, got.sums(t), sum)
		}
		same("read", two.Read, 2, one.Read)
		same("rewarded", two.Rewarded, 1, one.Rewarded)
		same("no campaign", two.NoCampaign, 1, one.NoCampaign)
		same("excluded", two.Excluded.tally, 1, one.Excluded.tally)
		same("refused", two.Refused.tally, 2, one.Refused.tally) // what is refused has not arrived
		rewarded := tally{Rows: one.Read.Rows - one.Refused.Rows}
		if two.Duplicates.Rows != rewarded.Rows || rewarded.Rows == 0 {
			t.Errorf("%d duplicates, want %d", two.Duplicates.Rows, rewarded.Rows)
		}
		sum := one.Rewarded.sums(t)
		sum.addAll(one.NoCampaign.sums(t))
		sum.addAll(one.Excluded.sums(t))
		sameMoney(t, "duplicates", two.Duplicates.sums(t), sum)
	})

	// A transaction that comes again with another amount is the same transaction.
	other := func(row string) string {
		fields := strings.Split(row, ",")
		i := slices.Index(strings.Split(strings.ReplaceAll(lines(read(t, spendFile))[0], `"`, ""), ","), "amount")
		fields[i] = "77777.77"
		return strings.Join(fields, ",")
	}
	all := lines(read(t, spendFile))
	const at = 40
	if strings.Count(all[at], ",") != 9 {
		t.Fatalf("line %d cannot be split at its commas: %s", at+1, all[at])
	}
	changed := other(all[at])
	first := records(t, []byte(all[0]+all[at]))[0]
	add := func(rows ...string) []byte { return []byte(strings.Join(rows, "")) }
	for name, files := range map[string][][]byte{
		"a row doubled at once":                     {add(slices.Insert(slices.Clone(all), at+1, changed)...)},
		"a row doubled at the end":                  {add(append(slices.Clone(all), changed)...)},
		"a row doubled in another file":             {add(all...), add(all[0], changed)},
		"a row doubled in a file of another header": {add(all...), withColumnsTurned(t, add(all[0], changed))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--partitions", "3", "--rewarders", "2"}
			for _, f := range files {
				args = append(args, write(t, "spend.csv", f))
			}
			r := process(t, quotesFile, args...).must(t)
			accounts(t, r.report)
			if !bytes.Equal(r.rewards, once.rewards) {
				t.Error("the rewards are others: the first in the order of the files has to count")
			}
			if r.report.Duplicates.Rows != 1 {
				t.Errorf("%d duplicates, want 1", r.report.Duplicates.Rows)
			}
			sameMoney(t, "duplicates", r.report.Duplicates.sums(t), money{first["currency"]: big.NewRat(7777777, 100)})
		})
	}
	t.Run("the other amount comes first", func(t *testing.T) {
		t.Parallel()
		r := process(t, quotesFile, write(t, "late.csv", add(all[0], changed)), spendFile).must(t)
		accounts(t, r.report)
		if r.report.Duplicates.Rows != 1 {
			t.Errorf("%d duplicates, want 1", r.report.Duplicates.Rows)
		}
		sameMoney(t, "duplicates", r.report.Duplicates.sums(t), money{first["currency"]: number(t, first["amount"])})
		got, want := lines(r.rewards), lines(once.rewards)
		if len(got) != len(want) {
			t.Fatalf("%d rewards, want %d", len(got), len(want))
		}
		for i := range got {
			mine := strings.Contains(want[i], first["id"])
			if mine != (got[i] != want[i]) {
				t.Errorf("the reward\n%swas\n%s", got[i], want[i])
			}
			if mine && !strings.Contains(got[i], `"amount":77777.77,`) {
				t.Errorf("the first arrival does not count: %s", got[i])
			}
		}
	})
}

// withColumnsTurned is the same file with its columns in the opposite order.
func withColumnsTurned(t *testing.T, file []byte) []byte {
	t.Helper()
	all, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range all {
		slices.Reverse(record)
	}
	return encode(t, all)
}

func encode(t *testing.T, all [][]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.WriteAll(all); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRefusedRowsCanBeMendedAndSentAgain(t *testing.T) {
	t.Parallel()
	once := process(t, quotesFile, spendFile).must(t)
	all, err := csv.NewReader(bytes.NewReader(once.refused)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1+11 || once.report.Refused.Rows != 11 {
		t.Fatalf("%d rows are refused, the report says %d, want 11", len(all)-1, once.report.Refused.Rows)
	}
	// The columns that the input had; it has no sgd_amount.
	header := slices.DeleteFunc(slices.Clone(loyalty.Columns), func(c string) bool { return c == "sgd_amount" })
	header = append(header, "file", "line", "field", "reason")
	if !slices.Equal(all[0], header) {
		t.Fatalf("the columns of refused.csv are %v, want %v", all[0], header)
	}
	column := func(name string) int { return slices.Index(append(slices.Clone(header), "sgd_amount"), name) }

	t.Run("as they are they are refused again", func(t *testing.T) {
		t.Parallel()
		again := process(t, quotesFile, write(t, "refused.csv", once.refused)).must(t)
		accounts(t, again.report)
		if len(again.rewards) > 0 || again.report.Refused.Rows != 11 {
			t.Errorf("%d rows refused, want 11; rewards: %s", again.report.Refused.Rows, again.rewards)
		}
		sameMoney(t, "refused", again.report.Refused.sums(t), once.report.Refused.sums(t))
		got, want := records(t, again.refused), records(t, once.refused)
		for i := range want {
			for _, c := range []string{"file", "line"} {
				delete(got[i], c)
				delete(want[i], c)
			}
			for c, v := range want[i] {
				if got[i][c] != v {
					t.Errorf("row %d: %s is %q, was %q", i, c, got[i][c], v)
				}
			}
		}
	})
	t.Run("mended they are rewarded", func(t *testing.T) {
		t.Parallel()
		mended := make([][]string, len(all))
		for i, record := range all {
			if i == 0 {
				mended[i] = append(slices.Clone(record), "sgd_amount") // a column that whoever mends it adds
				continue
			}
			mended[i] = append(slices.Clone(record), "")
			set := func(name, value string) { mended[i][column(name)] = value }
			switch field := record[column("field")]; field {
			case "transaction_date":
				set(field, "2019-02-28")
			case "amount":
				set(field, "1234.50")
			case "mcc":
				set(field, "7011")
			case "card_type":
				set(field, "scis_platinummiles")
			case "currency": // the bank knows what it has booked
				if strings.Contains(record[column("amount")], "-") {
					set("sgd_amount", "-100")
				} else {
					set("sgd_amount", "100")
				}
			default:
				t.Fatalf("a row is refused for its %q: %v", field, record)
			}
		}
		r := process(t, quotesFile, "--rewarders", "2", spendFile, write(t, "mended.csv", encode(t, mended))).must(t)
		accounts(t, r.report)
		if f := r.report.Files[1]; f.Accepted != 11 || f.Refused != 0 || f.Error != "" {
			t.Errorf("the mended file: %+v", f)
		}
		if r.report.Duplicates.Rows != 0 || r.report.Refused.Rows != 11 {
			t.Errorf("%d duplicates, %d refused; want 0 and the first file's 11", r.report.Duplicates.Rows, r.report.Refused.Rows)
		}
		slow := newOracle(t, quotesFile)
		rows := map[string]map[string]string{}
		for _, row := range records(t, encode(t, mended)) {
			// The mark before what a spreadsheet would take for a formula is no part of the value.
			row["amount"] = strings.TrimPrefix(row["amount"], "'")
			rows[row["id"]] = row
		}
		known := map[string]bool{}
		for _, line := range lines(once.rewards) {
			known[line] = true
		}
		fresh := 0
		for _, line := range lines(r.rewards) {
			if known[line] {
				delete(known, line)
				continue
			}
			got := decodeReward(t, line)
			row := rows[got.ID]
			if row == nil {
				t.Fatalf("there is a reward of %s, which was not mended", got.ID)
			}
			fresh++
			tx, err := parse(row)
			if err != nil {
				t.Fatal(err)
			}
			agree(t, row, got, slow.Reward(&tx))
			if got.Trace.Outcome != string(loyalty.Rewarded) {
				t.Errorf("transaction %s: %s, want a reward", got.ID, got.Trace.Outcome)
			}
		}
		if fresh != 11 || len(known) != 0 {
			t.Errorf("%d of 11 mended rows are rewarded, %d of the others are gone", fresh, len(known))
		}
	})
}
