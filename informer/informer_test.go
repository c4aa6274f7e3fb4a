package informer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web/webtest"
	"github.com/google/uuid"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a store with one card of n equal rows.
type fake struct {
	mu    sync.Mutex
	n     int
	reads int           // pages
	gate  chan struct{} // where not nil, a page waits for it
	err   error
}

func (f *fake) Rewards(ctx context.Context, q Query) (Page, error) {
	f.mu.Lock()
	f.reads++
	n, gate, err := f.n, f.gate, f.err
	f.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return Page{}, ctx.Err()
		}
	}
	at := 0
	if q.After != "" {
		if _, scanErr := fmt.Sscan(q.After, &at); scanErr != nil {
			return Page{}, ErrCursor
		}
	}
	var p Page
	for ; at < n && len(p.Rows) < q.Limit; at++ {
		r := loyalty.Row{}
		r.CardType, r.Units, r.Currency, r.Amount, r.MCC = "p", loyalty.Units{Value: 15, Digits: 1}, loyalty.MustCurrency("SGD"), 5, 4722
		p.Rows = append(p.Rows, r)
	}
	if at < n {
		p.Next = fmt.Sprint(at)
	}
	return p, err
}

func (f *fake) Day(context.Context, DayQuery) (Page, error) { return Page{}, f.err }

func (f *fake) set(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n = n
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func testTallies(f *fake) (*tallies, *clock) {
	c := &clock{now: time.Unix(1_700_000_000, 0)}
	return newTallies(Config{Home: loyalty.MustCurrency("SGD")}, f, c.Now), c
}

func TestSumsOfASmallCardAreExact(t *testing.T) {
	f := &fake{n: 4999}
	ts, _ := testTallies(f)
	for range 3 {
		got, err := ts.of(t.Context(), Query{})
		if err != nil || got.count != f.n {
			t.Fatalf("%d of %d, %v", got.count, f.n, err)
		}
		f.set(f.n - 1)
	}
}

func TestSumsOfALargeCardAreAMinuteOldAtMost(t *testing.T) {
	f := &fake{n: 6000}
	ts, c := testTallies(f)
	count := func() int {
		t.Helper()
		n, err := ts.count(t.Context(), Query{})
		if err != nil {
			t.Fatal(err)
		}
		return *n
	}
	if n := count(); n != 6000 {
		t.Fatal(n)
	}
	f.set(7000)
	reads := f.reads
	c.add(maxAge - time.Nanosecond)
	if n := count(); n != 6000 || f.reads != reads {
		t.Errorf("%d, %d pages read, before a minute was over", n, f.reads-reads)
	}
	c.add(time.Nanosecond)
	if n := count(); n != 7000 {
		t.Errorf("%d after a minute", n)
	}
	f.set(10) // erased
	c.add(maxAge)
	if n := count(); n != 10 {
		t.Errorf("%d of a card that became small", n)
	}
	if n, err := ts.count(t.Context(), Query{Outcome: loyalty.Excluded}); err != nil || *n != 0 {
		t.Errorf("a filter of a small card counts %v, %v", n, err)
	}
	f.set(5001)
	if n, err := ts.count(t.Context(), Query{Outcome: loyalty.Excluded}); err != nil || n != nil {
		t.Errorf("a filter of a large card counts %v, %v", n, err)
	}
}

func TestSumsOfALargeCardAreMadeOnceForAll(t *testing.T) {
	f := &fake{n: 20_000}
	ts, _ := testTallies(f)
	synctest.Test(t, func(t *testing.T) {
		f.gate = make(chan struct{})
		first, leave := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for i := range 10 {
			ctx := t.Context()
			if i == 0 {
				ctx = first
			}
			group.Go(func() {
				got, err := ts.of(ctx, Query{})
				if i == 0 {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("who went away: %v", err)
					}
				} else if err != nil || got.count != f.n {
					t.Errorf("%v", err)
				}
			})
			// The first is at work on it when the others come.
			for range 5 {
				f.gate <- struct{}{}
			}
			synctest.Wait()
		}
		leave()
		synctest.Wait()
		close(f.gate)
		group.Wait()
	})
	if want := 10*exactRows/maxPageSize + f.n/maxPageSize; f.reads != want {
		t.Errorf("%d pages read, not %d", f.reads, want)
	}
}

func TestTalliesAreBounded(t *testing.T) {
	f := &fake{}
	ts, c := testTallies(f)
	keys := make([]tallyKey, maxTallies+1)
	for i := range keys {
		keys[i].card = uuid.New()
		ts.keep(keys[i], keptTally{newTally(ts.home), c.Now()})
		ts.keep(keys[i], keptTally{newTally(ts.home), c.Now()})
		c.add(time.Millisecond)
	}
	if len(ts.kept) != maxTallies || ts.keptOf(keys[0]) != nil || ts.keptOf(keys[1]) == nil || ts.keptOf(keys[maxTallies]) == nil {
		t.Errorf("%d kept; the oldest %v", len(ts.kept), ts.keptOf(keys[0]))
	}
}

func TestExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := exact{digits: 4}
		want := new(big.Rat)
		for range rapid.IntRange(0, 50).Draw(t, "terms") {
			v, digits := rapid.Int64().Draw(t, "v"), rapid.IntRange(0, 4).Draw(t, "digits")
			e.add(v, digits)
			den := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
			want.Add(want, new(big.Rat).SetFrac(big.NewInt(v), den))
		}
		got, ok := new(big.Rat).SetString(e.String())
		if !ok || got.Cmp(want) != 0 {
			t.Fatalf("%s, not %s", e.String(), want.FloatString(4))
		}
		if b, err := json.Marshal(e); err != nil || !json.Valid(b) {
			t.Fatalf("%s, %v", b, err)
		}
	})
	for _, tt := range []struct {
		v    int64
		n    int
		want string
	}{{0, 2, "0"}, {5, 2, "0.05"}, {-5, 2, "-0.05"}, {100, 2, "1"}, {12340, 3, "12.34"}, {7, 0, "7"}, {70, 0, "70"}, {math.MinInt64, 2, "-92233720368547758.08"}} {
		e := exact{digits: tt.n}
		if e.add(tt.v, tt.n); e.String() != tt.want {
			t.Errorf("%d by 10^-%d is %s", tt.v, tt.n, e.String())
		}
	}
}

func TestSpreadsheetText(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "Kaligo": "Kaligo", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "a=1": "a=1", "'": "'",
	} {
		if got := spreadsheetText(in); got != want {
			t.Errorf("%q is %q", in, got)
		}
	}
}

func TestCursors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Query
		copy(q.Card[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "card"))
		q.Merchant = rapid.String().Draw(t, "merchant")
		q.From = loyalty.Date(rapid.Int32().Draw(t, "from"))
		k := loyalty.Key{CardID: q.Card, Date: loyalty.Date(rapid.Int32().Draw(t, "date")), ID: uuid.New()}
		q.After = FormatCursor(q, k)
		if got, err := ParseCursor(q); err != nil || got != k {
			t.Fatalf("%v, %v", got, err)
		}
		if strings.ContainsAny(q.After, "+/=&?#% ") {
			t.Fatalf("%q is not safe in an address", q.After)
		}
		q.Merchant += "x"
		if _, err := ParseCursor(q); !errors.Is(err, ErrCursor) {
			t.Fatalf("another query: %v", err)
		}
	})
}

// FuzzCursor holds that a cursor that was changed, or is another question's, is refused.
func FuzzCursor(f *testing.F) {
	q := Query{Card: uuid.UUID{1}}
	f.Add(FormatCursor(q, loyalty.Key{CardID: q.Card, Date: 1}), 0, byte(0))
	f.Add(FormatCursor(q, loyalty.Key{CardID: q.Card, Date: -1, ID: uuid.UUID{2}}), 7, byte('A'))
	f.Add(FormatCursor(Query{Card: q.Card, Merchant: "x"}, loyalty.Key{CardID: q.Card}), 59, byte(1))
	f.Add("", 0, byte(0))
	f.Add("AQ", 1, byte('='))
	f.Fuzz(func(t *testing.T, s string, at int, with byte) {
		q.After = s
		k, err := ParseCursor(q)
		if err == nil && (FormatCursor(q, k) != s || k.CardID != q.Card) {
			t.Errorf("%q was taken", s)
		}
		day := DayQuery{After: s}
		if k, err := ParseDayCursor(day); err == nil && FormatDayCursor(day, k) != s {
			t.Errorf("%q was taken for a day's", s)
		}
		if err == nil && at >= 0 && at < len(s) && s[at] != with {
			q.After = s[:at] + string(rune(with)) + s[at+1:]
			if _, err := ParseCursor(q); !errors.Is(err, ErrCursor) {
				t.Errorf("%q was changed to %q, and taken: %v", s, q.After, err)
			}
		}
	})
}

// asked keeps what it is asked for.
type asked struct {
	fake
	t *testing.T
}

func (a *asked) Rewards(ctx context.Context, q Query) (Page, error) {
	text := utf8.ValidString(q.Merchant) && utf8.RuneCountInString(q.Merchant) <= loyalty.MaxFieldRunes
	dates := (q.From == 0 || q.From >= loyalty.MinDate && q.From <= loyalty.MaxDate) && (q.To == 0 || q.To >= q.From && q.To <= loyalty.MaxDate)
	outcome := q.Outcome == "" || q.Outcome == loyalty.Rewarded || q.Outcome == loyalty.NoCampaign || q.Outcome == loyalty.Excluded
	if q.Card == uuid.Nil || !text || !dates || !outcome {
		a.t.Errorf("the store is asked for %+v", q)
	}
	if q.After != "" {
		if _, err := ParseCursor(q); err != nil {
			return Page{}, ErrCursor
		}
		q.After = ""
	}
	return a.fake.Rewards(ctx, q)
}

func (a *asked) Day(_ context.Context, q DayQuery) (Page, error) {
	if q.After != "" {
		return Page{}, ErrCursor
	}
	if q.Day < loyalty.MinDate || q.Day > loyalty.MaxDate {
		a.t.Errorf("the store is asked for the day %s", q.Day)
	}
	return Page{}, nil
}

// FuzzRequest holds that whatever stands in an address is answered or refused in JSON, and that the
// store is asked for nothing that makes no sense.
func FuzzRequest(f *testing.F) {
	card := "5f3377d6-488d-52f4-b114-73a7f7efb6a5"
	for _, s := range [][2]string{
		{card, "page_size=20&page_no=1&from=2019-01-01&to=31-12-2019&merchant=Uber&outcome=rewarded"}, {card, "format=csv&merchant=%ff"},
		{card, "cursor=AQ&page_no=-1"}, {"00000000-0000-0000-0000-000000000000", ""}, {card, "page_size=1001;page_no=%zz&from=2019-13-01"},
		{card, "page_no=9223372036854775807&page_size=1000"}, {card + "x", "day=2019-01-02"}, {card, "day=2019-01-02&cursor=x"}, {card, "from=2019-02-01&to=2019-01-01"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, card, query string) {
		store := &asked{fake: fake{n: 3}, t: t}
		s := newService(Config{Home: loyalty.MustCurrency("SGD"), Timezone: time.UTC}, Deps{Store: store, Log: slog.New(slog.DiscardHandler), Clock: time.Now, Identify: webtest.As(token.Admin)})
		internal := *s
		internal.identify = webtest.As(token.Service)
		for _, ask := range []struct {
			h    http.Handler
			path string
		}{
			{s.routes(), "/reward/" + url.PathEscape(card)}, {s.routes(), "/reward/total/" + url.PathEscape(card)},
			{s.routes(), "/reward/summary/" + url.PathEscape(card)}, {internal.internalRoutes(), "/reward/today"},
		} {
			r := httptest.NewRequest("GET", "/", nil)
			r.URL = &url.URL{Path: ask.path, RawQuery: query}
			if path, err := url.PathUnescape(ask.path); err == nil {
				r.URL.Path, r.URL.RawPath = path, ask.path
			}
			w := httptest.NewRecorder()
			ask.h.ServeHTTP(w, r)
			kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
			switch {
			case w.Code == 200 && kind == "text/csv":
			case w.Code == 301 || w.Code == 307: // a path with a slash too many
			case (w.Code != 200 && w.Code != 400 && w.Code != 404) || kind != "application/json" || !json.Valid(w.Body.Bytes()):
				t.Errorf("%s?%s: %d %s %s", ask.path, query, w.Code, kind, w.Body)
			}
		}
	})
}

// A store that fails is the caller's 500, and its inside is not shown.
func TestAStoreThatFails(t *testing.T) {
	f := &fake{err: errors.New("node 10.0.0.7 is down")}
	s := newService(Config{Home: loyalty.MustCurrency("SGD"), Timezone: time.UTC}, Deps{Store: f, Log: slog.New(slog.DiscardHandler), Clock: time.Now, Identify: webtest.As(token.Admin)})
	internal := *s
	internal.identify = webtest.As(token.Service)
	card := uuid.NewString()
	for path, h := range map[string]http.Handler{
		"/reward/" + card: s.routes(), "/reward/" + card + "?format=csv": s.routes(), "/reward/total/" + card: s.routes(),
		"/reward/summary/" + card: s.routes(), "/reward/today": internal.internalRoutes(),
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 500 || strings.Contains(w.Body.String(), "10.0.0.7") || !strings.Contains(w.Body.String(), `"code":"internal"`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	var ls [2]net.Listener
	for i := range ls {
		var err error
		if ls[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	err := Run(t.Context(), Config{Drain: -1}, Deps{Listener: ls[0], Internal: ls[1]})
	for _, want := range []string{"home currency", "time zone", "below 0", "Identify and Owner are needed"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	for _, l := range ls {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a listener was left open: %v", err)
		}
	}
}
