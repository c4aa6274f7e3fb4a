package informer

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/mcc"
	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"
)

const (
	// exactRows is how many rows a card may have for its sums to be made anew for each request.
	exactRows = 5000

	// maxAge is how old the sums of a larger card may be.
	maxAge = time.Minute

	// maxTallies is how many large cards' sums are kept at once.
	maxTallies = 256

	// tallyTime is the most that a large card's sums may take.
	tallyTime = time.Minute
)

// tally is what the rows of a card in a range of dates add up to.
type tally struct {
	home   loyalty.Currency
	count  int
	newest programmeKey
	by     map[programmeKey]*programmeTotal
	spent  map[month]map[int]*groupTotal // by the index of the group of codes
}

// programmeKey tells what may be added up: units of one kind on one type of card.
type programmeKey struct{ cardType, unit string }

type programmeTotal struct {
	CardType  string `json:"card_type"`
	Programme string `json:"programme"`
	Unit      string `json:"unit"`
	Decimals  uint8  `json:"decimals"`
	Units     exact  `json:"units"`
	Rewards   int    `json:"rewards"`
}

// month is a month of the calendar; it orders as months do.
type month struct {
	year int
	of   time.Month
}

type groupTotal struct {
	rewards     int
	units       map[programmeKey]*exact
	spend       map[loyalty.Currency]*exact
	home        exact
	unconverted int
}

func newTally(home loyalty.Currency) *tally {
	return &tally{home: home, by: map[programmeKey]*programmeTotal{}, spent: map[month]map[int]*groupTotal{}}
}

// add adds a row. Rows come newest first.
func (t *tally) add(r *loyalty.Row) {
	key := programmeKey{r.CardType, r.Trace.Unit}
	if t.count == 0 {
		t.newest = key
	}
	t.count++
	p := t.by[key]
	if p == nil { // its newest row names it
		p = &programmeTotal{CardType: r.CardType, Programme: r.Trace.Programme, Unit: r.Trace.Unit, Decimals: r.Trace.Decimals, Units: exact{digits: unitDigits}}
		t.by[key] = p
	}
	p.Rewards++
	p.Units.add(r.Units.Value, int(r.Units.Digits))

	year, of, _ := r.Date.Time().Date()
	groups := t.spent[month{year, of}]
	if groups == nil {
		groups = map[int]*groupTotal{}
		t.spent[month{year, of}] = groups
	}
	g := groups[mcc.GroupOf(r.MCC)]
	if g == nil {
		g = &groupTotal{units: map[programmeKey]*exact{}, spend: map[loyalty.Currency]*exact{}, home: exact{digits: t.home.Digits()}}
		groups[mcc.GroupOf(r.MCC)] = g
	}
	g.rewards++
	units := g.units[key]
	if units == nil {
		units = &exact{digits: unitDigits}
		g.units[key] = units
	}
	units.add(r.Units.Value, int(r.Units.Digits))
	spend := g.spend[r.Currency]
	if spend == nil {
		spend = &exact{digits: r.Currency.Digits()}
		g.spend[r.Currency] = spend
	}
	spend.addMoney(r.Money())
	if m, ok := t.inHome(r); ok {
		g.home.addMoney(m)
	} else {
		g.unconverted++
	}
}

// inHome is a row's spend in the home currency, where that is known.
func (t *tally) inHome(r *loyalty.Row) (loyalty.Money, bool) {
	if r.Currency == t.home {
		return r.Money(), true
	}
	if c := r.Trace.Converted; c != nil && c.Currency == t.home {
		m, err := c.Amount.Money(t.home)
		return m, err == nil
	}
	return loyalty.Money{}, false
}

// programmes are the totals, that of the card's present programme first, the others by name.
func (t *tally) programmes() []programmeTotal {
	out := make([]programmeTotal, 0, len(t.by))
	for _, key := range t.keys(t.by) {
		out = append(out, *t.by[key])
	}
	return out
}

func (t *tally) keys(by map[programmeKey]*programmeTotal) []programmeKey {
	keys := make([]programmeKey, 0, len(by))
	for key := range by {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b programmeKey) int {
		switch {
		case a == b:
			return 0
		case a == t.newest:
			return -1
		case b == t.newest:
			return 1
		}
		return cmp.Or(strings.Compare(a.cardType, b.cardType), strings.Compare(a.unit, b.unit))
	})
	return keys
}

type monthSummary struct {
	Month  string         `json:"month"` // YYYY-MM
	Groups []groupSummary `json:"groups"`
}

type groupSummary struct {
	Group       string         `json:"group"`
	Rewards     int            `json:"rewards"`
	Units       []unitSummary  `json:"units"`
	Spend       []moneySummary `json:"spend"`
	SpendHome   exact          `json:"spend_home"`
	Unconverted int            `json:"unconverted"` // rewards that spend_home lacks
}

type unitSummary struct {
	CardType string `json:"card_type"`
	Unit     string `json:"unit"`
	Units    exact  `json:"units"`
}

type moneySummary struct {
	Currency string `json:"currency"`
	Amount   exact  `json:"amount"`
}

// months are the summaries, newest first, with groups in the order of their table.
func (t *tally) months() []monthSummary {
	months := make([]month, 0, len(t.spent))
	for m := range t.spent {
		months = append(months, m)
	}
	slices.SortFunc(months, func(a, b month) int { return cmp.Or(b.year-a.year, int(b.of-a.of)) })
	out := make([]monthSummary, 0, len(months))
	for _, m := range months {
		s := monthSummary{Month: time.Date(m.year, m.of, 1, 0, 0, 0, 0, time.UTC).Format("2006-01"), Groups: []groupSummary{}}
		for i := range mcc.Groups() + 1 {
			if g := t.spent[m][i]; g != nil {
				s.Groups = append(s.Groups, t.groupSummary(mcc.GroupName(i), g))
			}
		}
		out = append(out, s)
	}
	return out
}

func (t *tally) groupSummary(name string, g *groupTotal) groupSummary {
	s := groupSummary{Group: name, Rewards: g.rewards, SpendHome: g.home, Unconverted: g.unconverted, Units: []unitSummary{}, Spend: []moneySummary{}}
	for _, key := range t.keys(t.by) {
		if units := g.units[key]; units != nil {
			s.Units = append(s.Units, unitSummary{key.cardType, key.unit, *units})
		}
	}
	for currency, amount := range g.spend {
		s.Spend = append(s.Spend, moneySummary{currency.String(), *amount})
	}
	slices.SortFunc(s.Spend, func(a, b moneySummary) int { return strings.Compare(a.Currency, b.Currency) })
	return s
}

// tallies adds cards up. Cards of fewer than exactRows rows are read for every request; the sums
// of larger ones are kept for maxAge, and made once for all who ask at once.
type tallies struct {
	home  loyalty.Currency
	store Store
	clock func() time.Time
	once  singleflight.Group

	mu   sync.Mutex
	kept map[tallyKey]keptTally // at most maxTallies
}

type tallyKey struct {
	card     uuid.UUID
	from, to loyalty.Date
}

type keptTally struct {
	*tally
	at time.Time // when it was begun
}

func newTallies(cfg Config, store Store, clock func() time.Time) *tallies {
	return &tallies{home: cfg.Home, store: store, clock: clock, kept: map[tallyKey]keptTally{}}
}

// of is the tally of a card in the query's dates, which nobody may change.
func (ts *tallies) of(ctx context.Context, q Query) (*tally, error) {
	key := tallyKey{q.Card, q.From, q.To}
	if t := ts.keptOf(key); t != nil {
		return t, nil
	}
	t := newTally(ts.home)
	whole, err := ts.each(ctx, q, exactRows, t.add)
	if err != nil || whole {
		return t, err
	}
	done := ts.once.DoChan(question(key), func() (any, error) {
		if t := ts.keptOf(key); t != nil {
			return t, nil // made while we counted
		}
		// Whoever asked first may go away while others wait.
		work, cancel := context.WithTimeout(context.WithoutCancel(ctx), tallyTime)
		defer cancel()
		at := ts.clock()
		t := newTally(ts.home)
		if _, err := ts.each(work, q, 0, t.add); err != nil {
			return nil, err
		}
		ts.keep(key, keptTally{t, at})
		return t, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*tally), nil
	}
}

func question(k tallyKey) string { return k.card.String() + k.from.String() + k.to.String() }

// count is how many rows a query has. With a filter it is nil where more than exactRows rows
// would have to be read to know.
func (ts *tallies) count(ctx context.Context, q Query) (*int, error) {
	if !q.Filtered() {
		t, err := ts.of(ctx, q)
		if err != nil {
			return nil, err
		}
		return &t.count, nil
	}
	if ts.keptOf(tallyKey{q.Card, q.From, q.To}) != nil {
		return nil, nil // a large one
	}
	n, match := 0, q.Match()
	whole, err := ts.each(ctx, Query{Card: q.Card, From: q.From, To: q.To}, exactRows, func(r *loyalty.Row) {
		if match(r) {
			n++
		}
	})
	if err != nil || !whole {
		return nil, err
	}
	return &n, nil
}

// each calls f with the rows of a card in the query's dates, newest first, and says whether it
// came to the end before it had read as many rows as most (0: any number).
func (ts *tallies) each(ctx context.Context, q Query, most int, f func(*loyalty.Row)) (whole bool, err error) {
	q = Query{Card: q.Card, From: q.From, To: q.To, Limit: maxPageSize}
	for read := 0; most == 0 || read < most; read += maxPageSize {
		page, err := ts.store.Rewards(ctx, q)
		if err != nil {
			return false, err
		}
		for i := range page.Rows {
			f(&page.Rows[i])
		}
		if q.After = page.Next; page.Next == "" {
			return true, nil
		}
	}
	return false, nil
}

func (ts *tallies) keptOf(key tallyKey) *tally {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if k, ok := ts.kept[key]; ok && ts.clock().Sub(k.at) < maxAge {
		return k.tally
	}
	return nil
}

// keep keeps a tally in place of the oldest where there is no room.
func (ts *tallies) keep(key tallyKey, t keptTally) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if _, ok := ts.kept[key]; !ok && len(ts.kept) >= maxTallies {
		var oldest tallyKey
		first := true
		for k, v := range ts.kept {
			if first || v.at.Before(ts.kept[oldest].at) {
				oldest, first = k, false
			}
		}
		delete(ts.kept, oldest)
	}
	ts.kept[key] = t
}
