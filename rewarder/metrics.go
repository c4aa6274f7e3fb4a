package rewarder

import (
	"context"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// counters are what a rewarder has counted since it began.
type counters struct {
	records, rows, letters, markersTaken, markersIgnored, markersSent, pauses, errors atomic.Int64

	mu      sync.Mutex
	reasons map[string]int64
	sums    map[programme]*sums
	delay   *metrics.Times // nil: nobody asks
}

// programme is what amounts are summed by: units of different kinds do not add up.
type programme struct {
	name, unit string
	digits     uint8
	home       string // the bank's currency
	exponent   int    // of that
}

// sums are exact, in the smallest units.
type sums struct {
	outcomes     map[loyalty.Outcome]int64
	money, units flow
}

// flow is what went one way and what came back, by refunds: counters must not go down. It has no bounds.
type flow struct {
	small [2]int64 // what has not been added to big yet
	big   [2]big.Int
}

func (f *flow) add(v int64) {
	i := 0
	if v < 0 {
		i = 1
	}
	next := f.small[i] + v
	if (next < 0) != (i == 1) && v != 0 { // more than 64 bits
		f.big[i].Add(&f.big[i], big.NewInt(f.small[i]))
		next = v
	}
	f.small[i] = next
}

// out is what went, back what came back; neither is below 0.
func (f *flow) out() *big.Int { return f.sum(0) }

func (f *flow) back() *big.Int { s := f.sum(1); return s.Neg(s) }

func (f *flow) sum(i int) *big.Int { return new(big.Int).Add(&f.big[i], big.NewInt(f.small[i])) }

// stored counts rows that are durable.
func (c *counters) stored(rows []loyalty.Row, home loyalty.Currency, now time.Time) {
	c.rows.Add(int64(len(rows)))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sums == nil {
		c.sums = map[programme]*sums{}
	}
	var (
		last programme
		s    *sums
	)
	for i := range rows {
		r := &rows[i]
		if c.delay != nil {
			c.delay.Observe(now.Sub(r.CreatedAt))
		}
		p := programme{name: r.Trace.Programme, unit: r.Trace.Unit, digits: r.Trace.Decimals, home: home.String(), exponent: home.Digits()}
		if s == nil || p != last {
			if s = c.sums[p]; s == nil {
				s = &sums{outcomes: map[loyalty.Outcome]int64{loyalty.Rewarded: 0, loyalty.NoCampaign: 0, loyalty.Excluded: 0}}
				c.sums[p] = s
			}
			last = p
		}
		s.outcomes[r.Trace.Outcome]++
		s.units.add(r.Units.Value)
		if conv := r.Trace.Converted; conv != nil {
			if v, exact, _ := conv.Amount.Scaled(p.exponent); exact {
				s.money.add(v)
			}
		}
	}
}

// buried counts a dead letter of a reason.
func (c *counters) buried(reason string) {
	c.letters.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reasons == nil {
		c.reasons = map[string]int64{}
	}
	c.reasons[reason]++
}

// decimal writes an amount in the smallest units, not below 0, as a decimal.
func decimal(v *big.Int, digits int) string {
	s := v.String()
	if digits == 0 {
		return s
	}
	if len(s) <= digits {
		s = strings.Repeat("0", digits+1-len(s)) + s
	}
	return s[:len(s)-digits] + "." + s[len(s)-digits:]
}

// emit is what metrics are given to.
type emit = func(value string, labels ...string)

// show makes the rewarder's metrics.
func (r *rewarder) show() *metrics.Set {
	set := metrics.New()
	counter := func(name, help string, v *atomic.Int64) {
		set.Sums("rewarder_"+name, help, nil, func(emit emit) { emit(strconv.FormatInt(v.Load(), 10)) })
	}
	counter("records_total", "Records read from the log, markers included.", &r.count.records)
	counter("rows_total", "Rows stored, those of transactions that had arrived before included.", &r.count.rows)
	counter("dead_letters_total", "Records set aside.", &r.count.letters)
	set.Sums("rewarder_dead_letters_by_reason_total", "Records set aside, by reason; one that has not occurred is not there.", []string{"reason"}, func(emit emit) {
		r.count.mu.Lock()
		defer r.count.mu.Unlock()
		for _, reason := range slices.Sorted(maps.Keys(r.count.reasons)) {
			emit(strconv.FormatInt(r.count.reasons[reason], 10), reason)
		}
	})
	counter("markers_taken_total", "Rule markers that took over.", &r.count.markersTaken)
	counter("markers_ignored_total", "Rule markers that changed nothing.", &r.count.markersIgnored)
	counter("markers_sent_total", "Rule markers sent.", &r.count.markersSent)
	counter("pauses_total", "Times that work on a partition had to wait for another system.", &r.count.pauses)
	counter("errors_total", "Errors of other systems.", &r.count.errors)
	r.showSums(set)
	r.showStatus(set)
	r.showPartitions(set)
	r.count.delay = set.Histogram("rewarder_delay_seconds", "From when a record was written into the log until its reward is durable; of a replay the age of what is read again.", delays).With()
	r.store = newTimedStore(r.store, set, r.clock)
	return set
}

// showSums shows what was spent and what it earned. No ledger: a transaction that arrives again, and what a replay
// reads again, is counted again, though its reward stays one.
func (r *rewarder) showSums(set *metrics.Set) {
	each := func(f func(p programme, s *sums)) {
		r.count.mu.Lock()
		defer r.count.mu.Unlock()
		for p, s := range r.count.sums {
			f(p, s)
		}
	}
	set.Sums("rewarder_transactions_total", "Transactions whose rows were stored, by programme and outcome.", []string{"programme", "unit", "outcome"}, func(emit emit) {
		each(func(p programme, s *sums) {
			for outcome, n := range s.outcomes {
				emit(strconv.FormatInt(n, 10), p.name, p.unit, string(outcome))
			}
		})
	})
	set.Sums("rewarder_spend_total", "Money in: what those transactions were worth in the home currency, purchases and refunds apart, without what is excluded.",
		[]string{"programme", "unit", "currency", "kind"}, func(emit emit) {
			each(func(p programme, s *sums) {
				emit(decimal(s.money.out(), p.exponent), p.name, p.unit, p.home, "purchase")
				emit(decimal(s.money.back(), p.exponent), p.name, p.unit, p.home, "refund")
			})
		})
	set.Sums("rewarder_units_total", "Units out: what those transactions earned, and what refunds took back.",
		[]string{"programme", "unit", "kind"}, func(emit emit) {
			each(func(p programme, s *sums) {
				emit(decimal(s.units.out(), int(p.digits)), p.name, p.unit, "earned")
				emit(decimal(s.units.back(), int(p.digits)), p.name, p.unit, "taken_back")
			})
		})
}

// showStatus shows how the rewarder as a whole is.
func (r *rewarder) showStatus(set *metrics.Set) {
	set.Gauge("rewarder_rules_age_seconds", "Since etcd last confirmed that the rules are its newest; above a minute they may not be.", nil, func(emit emit) {
		if at := r.status.confirmed.Load(); at > 0 {
			emit(strconv.FormatFloat(float64(max(0, r.clock().UnixMilli()-at))/1000, 'f', 3, 64))
		}
	})
	set.Gauge("rewarder_retention_seconds", "For how long the topic keeps a record; not there where that is for good, or Kafka does not say.", nil, func(emit emit) {
		if ms := r.status.retention.Load(); ms > 0 {
			emit(strconv.FormatInt(ms/1000, 10))
		}
	})
	set.Gauge("rewarder_state", "1 for what GET /health gives as the state, with or without partitions.", []string{"state"}, func(emit emit) {
		now := r.Status().State
		for _, state := range states {
			emit(flag(state == now), strings.ReplaceAll(state, " ", "_"))
		}
	})
}

// showPartitions shows how its partitions are.
func (r *rewarder) showPartitions(set *metrics.Set) {
	gauge := func(name, help string, of func(PartitionStatus) string) {
		set.Gauge("rewarder_"+name, help, []string{"partition"}, func(emit emit) {
			for _, p := range r.Status().Partitions {
				emit(of(p), strconv.Itoa(int(p.Partition)))
			}
		})
	}
	number := func(of func(PartitionStatus) int64) func(PartitionStatus) string {
		return func(p PartitionStatus) string { return strconv.FormatInt(of(p), 10) }
	}
	gauge("paused", "1 while work on a partition waits for another system.", func(p PartitionStatus) string { return flag(p.State == statePaused) })
	gauge("rule_change_refused", "1 while a change of the rules cannot be announced in a partition; GET /health says why.", func(p PartitionStatus) string { return flag(p.RuleChange != "") })
	gauge("read_offset", "The next offset to read.", number(func(p PartitionStatus) int64 { return p.Read }))
	gauge("durable_offset", "Everything below is stored or set aside.", number(func(p PartitionStatus) int64 { return p.Durable }))
	gauge("lag", "Records that are neither stored nor set aside yet, of those that were there at the last look (CheckEvery).",
		number(func(p PartitionStatus) int64 { return max(p.end-p.Durable, 0) }))
	gauge("oldest_unread_seconds", "Age of the oldest record that is neither stored nor set aside, as of the last look (CheckEvery); 0: there is none. The log keeps 90 days.",
		number(func(p PartitionStatus) int64 {
			if p.oldest == 0 || p.end <= p.Durable {
				return 0
			}
			return max(r.clock().UnixMilli()-p.oldest, 0) / 1000
		}))
}

func flag(is bool) string {
	if is {
		return "1"
	}
	return "0"
}

// delays are the bounds of how late a reward is. The goal is one of them.
var delays = []time.Duration{
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond,
	5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, time.Hour,
}

// calls are the bounds of how long a call of the store takes.
var calls = []time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 10 * time.Second,
}

// timedStore measures a store.
type timedStore struct {
	Store
	clock   func() time.Time
	rewards call
	markers call
	parts   call
	reads   call
}

// call is a kind of call.
type call struct {
	took   *metrics.Times
	failed *metrics.Count
}

func newTimedStore(s Store, set *metrics.Set, clock func() time.Time) *timedStore {
	took := set.Histogram("rewarder_store_seconds", "How long calls of the reward store took, those that failed included.", calls, "call")
	failed := set.Counter("rewarder_store_errors_total", "Calls of the reward store that failed for reasons of the system.", "call")
	of := func(name string) call { return call{took.With(name), failed.With(name)} }
	return &timedStore{s, clock, of("put_rewards"), of("put_marker"), of("put_parts"), of("read")}
}

func (c *call) end(began, now time.Time, err error) {
	c.took.Observe(now.Sub(began))
	if err != nil && !isAnswer(err) {
		c.failed.Add(1)
	}
}

// PutRewards is Store's.
func (s *timedStore) PutRewards(ctx context.Context, rows []loyalty.Row) error {
	began := s.clock()
	err := s.Store.PutRewards(ctx, rows)
	s.rewards.end(began, s.clock(), err)
	return err
}

// PutMarker is Store's.
func (s *timedStore) PutMarker(ctx context.Context, at loyalty.Position, m record.Marker) error {
	began := s.clock()
	err := s.Store.PutMarker(ctx, at, m)
	s.markers.end(began, s.clock(), err)
	return err
}

// PutParts is Store's.
func (s *timedStore) PutParts(ctx context.Context, parts []rules.Part) error {
	began := s.clock()
	err := s.Store.PutParts(ctx, parts)
	s.parts.end(began, s.clock(), err)
	return err
}

// Part is Store's.
func (s *timedStore) Part(ctx context.Context, hash loyalty.Hash) ([]byte, error) {
	began := s.clock()
	part, err := s.Store.Part(ctx, hash)
	s.reads.end(began, s.clock(), err)
	return part, err
}

// MarkerBefore is Store's.
func (s *timedStore) MarkerBefore(ctx context.Context, at loyalty.Position) (record.Marker, int64, error) {
	began := s.clock()
	m, offset, err := s.Store.MarkerBefore(ctx, at)
	s.reads.end(began, s.clock(), err)
	return m, offset, err
}
