package rewarder

import (
	"context"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// lines are those of the metrics that begin with one of the names.
func lines(set *metrics.Set, names ...string) string {
	var b strings.Builder
	for line := range strings.Lines(string(set.Append(nil))) {
		for _, name := range names {
			if strings.HasPrefix(line, "angelowl_rewarder_"+name) {
				b.WriteString(line)
			}
		}
	}
	return b.String()
}

func shown(s Store) *rewarder {
	r := &rewarder{status: newStatus(), live: newLive(), store: s, clock: func() time.Time { return time.UnixMilli(60_000) }}
	r.shown = r.show()
	return r
}

func TestMoneyInAndUnitsOutByProgramme(t *testing.T) {
	home := loyalty.MustCurrency("SGD")
	r := shown(nil)
	row := func(programme, unit string, decimals uint8, units int64, amount string, outcome loyalty.Outcome) loyalty.Row {
		out := loyalty.Row{Reward: loyalty.Reward{Units: loyalty.Units{Value: units, Digits: decimals}, CreatedAt: time.UnixMilli(58_000)}}
		out.Trace = loyalty.Trace{Programme: programme, Unit: unit, Decimals: decimals, Outcome: outcome}
		if amount != "" {
			n, err := loyalty.ParseNumber(amount)
			if err != nil {
				t.Fatal(err)
			}
			out.Trace.Converted = &loyalty.Conversion{Amount: n, Currency: home}
		}
		return out
	}
	r.count.stored([]loyalty.Row{
		row("Miles", "miles", 0, 120, "100", loyalty.Rewarded),
		row("Miles", "miles", 0, -12, "-10.5", loyalty.Rewarded),
		row("Cash", "cashback", 2, 5, "0.01", loyalty.Rewarded),
		row("Miles", "miles", 0, 0, "", loyalty.Excluded),
	}, home, r.clock())
	r.count.stored([]loyalty.Row{
		row("Cash", "cashback", 2, math.MaxInt64, "92233720368547758.07", loyalty.Rewarded), // more together than an int64 holds
		row("Cash", "cashback", 2, math.MaxInt64, "92233720368547758.07", loyalty.NoCampaign),
		row("Huge", "points", 0, math.MinInt64, "-92233720368547758.07", loyalty.Rewarded),
		row("Huge", "points", 0, math.MinInt64, "-92233720368547758.07", loyalty.Rewarded),
	}, home, r.clock())
	got := strings.Split(strings.TrimSpace(lines(r.shown, "rows_total", "transactions_total", "spend_total", "units_total", "delay_seconds_bucket")), "\n")
	want := map[string]bool{}
	for _, line := range []string{
		`rows_total 8`,
		`transactions_total{programme="Huge",unit="points",outcome="rewarded"} 2`,
		`transactions_total{programme="Huge",unit="points",outcome="no_campaign"} 0`,
		`transactions_total{programme="Huge",unit="points",outcome="excluded"} 0`,
		`spend_total{programme="Huge",unit="points",currency="SGD",kind="purchase"} 0.00`,
		`spend_total{programme="Huge",unit="points",currency="SGD",kind="refund"} 184467440737095516.14`,
		`units_total{programme="Huge",unit="points",kind="earned"} 0`,
		`units_total{programme="Huge",unit="points",kind="taken_back"} 18446744073709551616`,
		`transactions_total{programme="Miles",unit="miles",outcome="rewarded"} 2`,
		`transactions_total{programme="Miles",unit="miles",outcome="excluded"} 1`,
		`transactions_total{programme="Miles",unit="miles",outcome="no_campaign"} 0`,
		`transactions_total{programme="Cash",unit="cashback",outcome="rewarded"} 2`,
		`transactions_total{programme="Cash",unit="cashback",outcome="no_campaign"} 1`,
		`transactions_total{programme="Cash",unit="cashback",outcome="excluded"} 0`,
		`spend_total{programme="Miles",unit="miles",currency="SGD",kind="purchase"} 100.00`,
		`spend_total{programme="Miles",unit="miles",currency="SGD",kind="refund"} 10.50`,
		`spend_total{programme="Cash",unit="cashback",currency="SGD",kind="purchase"} 184467440737095516.15`,
		`spend_total{programme="Cash",unit="cashback",currency="SGD",kind="refund"} 0.00`,
		`units_total{programme="Miles",unit="miles",kind="earned"} 120`,
		`units_total{programme="Miles",unit="miles",kind="taken_back"} 12`,
		`units_total{programme="Cash",unit="cashback",kind="earned"} 184467440737095516.19`,
		`units_total{programme="Cash",unit="cashback",kind="taken_back"} 0.00`,
		`delay_seconds_bucket{le="1"} 0`,
		`delay_seconds_bucket{le="2.5"} 8`,
	} {
		want["angelowl_rewarder_"+line] = true
	}
	for _, line := range got {
		if !want[line] && !strings.HasPrefix(line, "angelowl_rewarder_delay_seconds_bucket") {
			t.Errorf("unexpected: %s", line)
		}
		delete(want, line)
	}
	for line := range want {
		t.Errorf("missing: %s", line)
	}
}

// TestCountingRowsDoesNotAllocate: it is on the way of each transaction.
func TestCountingRowsDoesNotAllocate(t *testing.T) {
	r := shown(nil)
	rows := make([]loyalty.Row, 500)
	for i := range rows {
		rows[i].Units = loyalty.Units{Value: int64(i) - 100}
		rows[i].Trace = loyalty.Trace{Programme: "Miles", Unit: "miles", Outcome: loyalty.Rewarded, Converted: &loyalty.Conversion{}}
	}
	home := loyalty.MustCurrency("SGD")
	r.count.stored(rows, home, r.clock())
	if n := testing.AllocsPerRun(20, func() { r.count.stored(rows, home, r.clock()) }); n != 0 {
		t.Errorf("%v allocations for 500 rows", n)
	}
}

func TestDecimal(t *testing.T) {
	for _, tt := range []struct {
		v      int64
		digits int
		want   string
	}{{0, 0, "0"}, {0, 2, "0.00"}, {5, 2, "0.05"}, {105, 2, "1.05"}, {7, 3, "0.007"}, {12, 0, "12"}} {
		if got := decimal(big.NewInt(tt.v), tt.digits); got != tt.want {
			t.Errorf("%d with %d digits: %s, want %s", tt.v, tt.digits, got, tt.want)
		}
	}
}

func TestDeadLettersByReason(t *testing.T) {
	r := shown(nil)
	r.count.buried("bad_format")
	r.count.buried("unknown_kind")
	r.count.buried("bad_format")
	const want = "angelowl_rewarder_dead_letters_total 3\n" +
		"angelowl_rewarder_dead_letters_by_reason_total{reason=\"bad_format\"} 2\nangelowl_rewarder_dead_letters_by_reason_total{reason=\"unknown_kind\"} 1\n"
	if got := lines(r.shown, "dead_letters"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// broken fails, or says that it does not have what is asked for.
type broken struct {
	Store
	err error
}

func (s *broken) Part(context.Context, loyalty.Hash) ([]byte, error) { return nil, s.err }
func (s *broken) PutRewards(context.Context, []loyalty.Row) error    { return s.err }
func (s *broken) PutParts(context.Context, []rules.Part) error       { return s.err }

func TestCallsOfTheStoreAreMeasured(t *testing.T) {
	s := &broken{}
	r := shown(s)
	call := func(err error) {
		s.err = err
		if _, got := r.store.Part(t.Context(), loyalty.Hash{}); !errors.Is(got, err) {
			t.Errorf("%v, want %v", got, err)
		}
		if got := r.store.PutRewards(t.Context(), nil); !errors.Is(got, err) {
			t.Errorf("%v, want %v", got, err)
		}
	}
	call(nil)
	call(ErrNotFound)
	call(&RowError{Reason: "too large"})
	call(errors.New("the store is away"))
	const want = `angelowl_rewarder_store_seconds_count{call="put_marker"} 0
angelowl_rewarder_store_seconds_count{call="put_parts"} 0
angelowl_rewarder_store_seconds_count{call="put_rewards"} 4
angelowl_rewarder_store_seconds_count{call="read"} 4
angelowl_rewarder_store_errors_total{call="put_marker"} 0
angelowl_rewarder_store_errors_total{call="put_parts"} 0
angelowl_rewarder_store_errors_total{call="put_rewards"} 1
angelowl_rewarder_store_errors_total{call="read"} 1
`
	if got := lines(r.shown, "store_seconds_count", "store_errors"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
