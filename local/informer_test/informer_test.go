// Package informer_test runs informer as it is, over HTTP, on the embedded reward store.
package informer_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/local/pebble"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/loyalty/web/webtest"
	"github.com/google/uuid"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is 2021-09-02 00:30 in Singapore, and still the 1st in UTC.
var now = time.Date(2021, 9, 1, 16, 30, 0, 0, time.UTC)

type service struct {
	t                *testing.T
	store            *pebble.Store
	public, internal string // base addresses
	client           *http.Client
	offset           int64
}

func start(t *testing.T) *service {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Singapore")
	if err != nil {
		t.Fatal(err)
	}
	store, err := pebble.Open(t.TempDir(), pebble.Options{Zone: zone, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{t: t, store: store, client: &http.Client{Transport: &http.Transport{}}}
	deps := informer.Deps{Store: store, Log: slog.New(slog.DiscardHandler), Clock: func() time.Time { return now },
		Owner: func(context.Context, uuid.UUID) (string, error) { return "", nil },
		Identify: func(r *http.Request) (web.Caller, error) {
			if "http://"+r.Host == s.internal {
				return webtest.As(token.Service)(r)
			}
			return webtest.As(token.Admin)(r)
		},
	}
	for _, l := range []struct {
		listener *net.Listener
		address  *string
	}{{&deps.Listener, &s.public}, {&deps.Internal, &s.internal}} {
		if *l.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		*l.address = "http://" + (*l.listener).Addr().String()
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- informer.Run(ctx, informer.Config{Home: loyalty.MustCurrency("SGD"), Timezone: zone}, deps)
	}()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the drain was not clean: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// row is a reward of the next record.
func (s *service) row(card uuid.UUID, date loyalty.Date) loyalty.Row {
	s.offset++
	r := loyalty.Row{Position: loyalty.Position{Incarnation: 1, Partition: 1, Offset: s.offset}}
	r.Transaction = loyalty.Transaction{
		ID: uuid.NewSHA1(card, fmt.Append(nil, s.offset)), CardID: card, Merchant: "Kaligo", MCC: 4722, Currency: loyalty.MustCurrency("SGD"),
		Amount: 10000, Reference: fmt.Sprint("ref", s.offset), Date: date, CardPAN: "************1234", CardType: "scis_shopping",
	}
	r.Units, r.Remarks = loyalty.Units{Value: 10}, "1 point per dollar"
	r.CreatedAt = now
	r.Trace = loyalty.Trace{Outcome: loyalty.Rewarded, Programme: "Shopping", Unit: "points", Converted: &loyalty.Conversion{Amount: r.Money().Number(), Currency: r.Currency, Source: loyalty.HomeSpend}}
	return r
}

func (s *service) put(rows ...loyalty.Row) {
	s.t.Helper()
	if err := s.store.PutRewards(context.Background(), rows); err != nil {
		s.t.Fatal(err)
	}
}

func (s *service) get(address string) (int, http.Header, []byte) {
	s.t.Helper()
	resp, err := s.client.Get(address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, body
}

type page struct {
	PageNo int    `json:"page_no"`
	Total  *int   `json:"total_rewards"`
	Next   string `json:"next"`
	Data   []struct {
		ID      string `json:"id"`
		Date    string `json:"transaction_date"`
		CardPAN string `json:"card_pan"`
	} `json:"data"`
}

func (s *service) page(address string) page {
	s.t.Helper()
	status, _, body := s.get(address)
	var p page
	if err := json.Unmarshal(body, &p); err != nil || status != 200 {
		s.t.Fatalf("%s: %d %s", address, status, body)
	}
	if p.Data == nil || p.Total == nil && !strings.Contains(address, "merchant=") {
		s.t.Fatalf("%s: %s", address, body)
	}
	return p
}

func (s *service) history(card uuid.UUID, query string) string {
	return s.public + "/reward/" + card.String() + "?" + query
}

func TestAnUnknownCardHasNothing(t *testing.T) {
	s := start(t)
	card := uuid.NewString()
	for path, want := range map[string]string{
		"/reward/" + card:                         `{"page_no":1,"total_rewards":0,"data":[],"next":""}`,
		"/reward/total/" + card:                   `{"data":0,"by_programme":[]}`,
		"/reward/summary/" + card:                 `{"data":{"home_currency":"SGD","months":[]}}`,
		"/reward/" + card + "?x=y":                `{"page_no":1,"total_rewards":0,"data":[],"next":""}`, // unknown parameters are ignored
		"/health":                                 `{"status":"OK"}`,
		"/reward/" + card + "?page_no=1000000000": `{"page_no":1000000000,"total_rewards":0,"data":[],"next":""}`,
	} {
		if status, _, body := s.get(s.public + path); status != 200 || strings.TrimSpace(string(body)) != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, body := s.get(s.internal + "/reward/today"); status != 200 || strings.TrimSpace(string(body)) != `{"day":"2021-09-02","data":[],"next":""}` {
		t.Errorf("today: %d %s", status, body)
	}
}

func TestBadRequestsNameTheField(t *testing.T) {
	s := start(t)
	card := "/reward/" + uuid.NewString()
	for _, tt := range []struct{ path, field string }{
		{"/reward/total", "card_id"},
		{"/reward/today", "card_id"}, // it is on the internal port alone
		{"/reward/summary", "card_id"},
		{"/reward/123", "card_id"},
		{"/reward/00000000-0000-0000-0000-000000000000", "card_id"},
		{"/reward/total/x", "card_id"},
		{"/reward/summary/x", "card_id"},
		{card + "?page_size=0", "page_size"},
		{card + "?page_size=-1", "page_size"},
		{card + "?page_size=1001", "page_size"},
		{card + "?page_size=1000000000", "page_size"},
		{card + "?page_size=99999999999999999999", "page_size"},
		{card + "?page_size=abc", "page_size"},
		{card + "?page_size=1.5", "page_size"},
		{card + "?page_no=0", "page_no"},
		{card + "?page_no=-1", "page_no"},
		{card + "?page_no=abc", "page_no"},
		{card + "?page_no=99999999999999999999", "page_no"},
		{card + "?from=yesterday", "from"},
		{card + "?from=2021-02-30", "from"},
		{card + "?to=1880-01-01", "to"},
		{card + "?from=2021-09-02&to=2021-09-01", "to"},
		{card + "?outcome=lost", "outcome"},
		{card + "?format=xml", "format"},
		{card + "?merchant=" + strings.Repeat("x", 257), "merchant"},
		{card + "?merchant=%ff", "merchant"},
		{card + "?cursor=abc", "cursor"},
		{card + "?cursor=abc&format=csv", "cursor"},
		{"/reward/summary/" + uuid.NewString() + "?from=x", "from"},
	} {
		t.Run(tt.path[:min(len(tt.path), 80)], func(t *testing.T) {
			status, _, body := s.get(s.public + tt.path)
			var got struct {
				Code   string
				Fields map[string]string
			}
			if err := json.Unmarshal(body, &got); err != nil || status != 400 || got.Code != "invalid" || len(got.Fields) != 1 || got.Fields[tt.field] == "" {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	for _, path := range []string{"?day=x", "?page_size=0", "?cursor=x"} {
		if status, _, body := s.get(s.internal + "/reward/today" + path); status != 400 {
			t.Errorf("today%s: %d %s", path, status, body)
		}
	}
	for _, address := range []string{s.internal + card, s.internal + "/reward/total/" + uuid.NewString(), s.public + "/nowhere"} {
		if status, _, _ := s.get(address); status != 404 {
			t.Errorf("%s: %d", address, status)
		}
	}
}

func TestPages(t *testing.T) {
	s := start(t)
	card := uuid.New()
	first := loyalty.DateOf(2021, 9, 1)
	for i := range 45 {
		s.put(s.row(card, first+loyalty.Date(i)))
	}
	s.put(s.row(uuid.New(), first))
	newest := first + 44
	at := func(p page) (days []int) {
		for _, r := range p.Data {
			d, err := loyalty.ParseDate(r.Date)
			if err != nil {
				t.Fatal(err)
			}
			days = append(days, int(newest-d))
		}
		return days
	}
	span := func(from, to int) (days []int) {
		for ; from < to; from++ {
			days = append(days, from)
		}
		return days
	}
	for _, tt := range []struct {
		query  string
		want   []int // days before the newest
		total  int
		goesOn bool
		pageNo int
	}{
		{"", span(0, 20), 45, true, 1},
		{"page_no=2", span(20, 40), 45, true, 2},
		{"page_no=3", span(40, 45), 45, false, 3},
		{"page_no=4", nil, 45, false, 4},
		{"page_no=2147483647&page_size=1000", nil, 45, false, 2147483647},
		{"page_size=45", span(0, 45), 45, false, 1},
		{"page_size=44&page_no=2", span(44, 45), 45, false, 2},
		{"page_size=1&page_no=45", span(44, 45), 45, false, 45},
		{"page_size=1000", span(0, 45), 45, false, 1},
		{"from=2021-09-03&to=2021-09-05", span(40, 43), 3, false, 1},
		{"from=03-09-2021&to=05-09-21&page_size=2&page_no=2", span(42, 43), 3, false, 2},
		{"outcome=excluded", nil, 0, false, 1},
		{"outcome=rewarded&merchant=KAL&page_no=3&page_size=15", span(30, 45), 45, false, 3},
		{"merchant=nobody", nil, 0, false, 1},
	} {
		t.Run(tt.query, func(t *testing.T) {
			p := s.page(s.history(card, tt.query))
			if got := at(p); !reflect.DeepEqual(got, tt.want) || *p.Total != tt.total || (p.Next != "") != tt.goesOn || p.PageNo != tt.pageNo {
				t.Errorf("page %d of %d: %v, next %q", p.PageNo, *p.Total, got, p.Next)
			}
		})
	}

	t.Run("by cursor while rows are written", func(t *testing.T) {
		var got []int
		for cursor := ""; ; {
			p := s.page(s.history(card, "page_size=7&cursor="+url.QueryEscape(cursor)))
			got = append(got, at(p)...)
			for _, r := range p.Data {
				if r.CardPAN != "************1234" {
					t.Errorf("PAN %s", r.CardPAN)
				}
			}
			if cursor = p.Next; cursor == "" {
				break
			}
			s.put(s.row(card, newest+loyalty.Date(1+len(got))))
		}
		if !reflect.DeepEqual(got, span(0, 45)) {
			t.Errorf("%v", got)
		}
	})
}

func TestDeepPages(t *testing.T) {
	s := start(t)
	card := uuid.New()
	rows := make([]loyalty.Row, 12_000)
	for i := range rows {
		rows[i] = s.row(card, loyalty.DateOf(2021, 9, 1))
	}
	rows[0].Date -= 2 // the oldest
	rows[0].Trace.Outcome = loyalty.Excluded
	s.put(rows...)
	if p := s.page(s.history(card, "page_no=11&page_size=1000")); len(p.Data) != 1000 || *p.Total != 12_000 {
		t.Errorf("10,000 deep: %d rows of %d", len(p.Data), *p.Total)
	}
	if status, _, body := s.get(s.history(card, "page_no=12&page_size=1000")); status != 400 || !strings.Contains(string(body), `"page_no"`) {
		t.Errorf("11,000 deep: %d %s", status, body)
	}
	if p := s.page(s.history(card, "page_no=13&page_size=1000")); len(p.Data) != 0 {
		t.Errorf("past the end: %d rows", len(p.Data))
	}
	if status, _, body := s.get(s.history(card, "page_no=2&page_size=1&outcome=excluded")); status != 400 || !strings.Contains(string(body), `"page_no"`) {
		t.Errorf("past what a filter reads: %d %s", status, body)
	}
	// A filter goes on by its cursor to what lies far off.
	address, requests := s.history(card, "merchant=k&outcome=excluded"), 1
	p := s.page(address)
	for ; p.Next != ""; requests++ {
		if len(p.Data) > 0 {
			t.Fatal("too soon")
		}
		p = s.page(address + "&cursor=" + p.Next)
	}
	if len(p.Data) != 1 || p.Total != nil || requests != 6 {
		t.Errorf("%d rows, total %v, in %d requests", len(p.Data), p.Total, requests)
	}
}

func TestDownload(t *testing.T) {
	s := start(t)
	card := uuid.New()
	first := loyalty.DateOf(2021, 9, 1)
	formula := s.row(card, first+1)
	formula.Merchant, formula.Remarks, formula.Amount = `=HYPERLINK("http://x","y")`, "-1, \"two\"\nthree", -1250
	formula.Units = loyalty.Units{Value: -134, Digits: 1}
	formula.HomeAmount, _ = loyalty.ParseNumber("-13.5")
	s.put(formula)
	rows := make([]loyalty.Row, 2500)
	for i := range rows {
		rows[i] = s.row(card, first)
	}
	s.put(rows...)
	status, header, body := s.get(s.history(card, "format=csv&page_size=3"))
	if status != 200 || header.Get("Content-Type") != "text/csv; charset=utf-8" || header.Get("Content-Disposition") != `attachment; filename="rewards-`+card.String()+`.csv"` {
		t.Errorf("%d %v", status, header)
	}
	records, err := csv.NewReader(strings.NewReader(string(body))).ReadAll()
	if err != nil || len(records) != 2502 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	if got, want := strings.Join(records[0], ","), "id,card_id,merchant,mcc,currency,amount,sgd_amount,transaction_id,transaction_date,card_pan,card_type,reward_amount,reward_unit,programme,outcome,remarks,created_at"; got != want {
		t.Errorf("columns %s", got)
	}
	if want := []string{
		formula.ID.String(), card.String(), `'=HYPERLINK("http://x","y")`, "4722", "SGD", "-12.50", "-13.5", "ref1", "2021-09-02", "************1234", "scis_shopping",
		"-13.4", "points", "Shopping", "rewarded", "'-1, \"two\"\nthree", "2021-09-01T16:30:00.000Z",
	}; !reflect.DeepEqual(records[1], want) {
		t.Errorf("%q\nnot %q", records[1], want)
	}
	if _, _, body := s.get(s.history(card, "format=csv&from=2021-09-02")); strings.Count(string(body), card.String()) != 1 {
		t.Errorf("of one day: %s", body)
	}
	if _, _, body := s.get(s.history(uuid.New(), "format=csv")); strings.Count(string(body), "\n") != 1 {
		t.Errorf("of an unknown card: %s", body)
	}
}

// spend is a row with what the totals look at.
func (s *service) spend(card uuid.UUID, date loyalty.Date, mcc loyalty.MCC, money, home string, units int64, digits uint8) loyalty.Row {
	s.t.Helper()
	r := s.row(card, date)
	code, amount, _ := strings.Cut(money, " ")
	m, err := loyalty.ParseMoney(amount, loyalty.MustCurrency(code))
	if err != nil {
		s.t.Fatal(err)
	}
	r.MCC, r.Currency, r.Amount = mcc, m.Currency, m.Minor
	r.Units, r.Trace.Decimals = loyalty.Units{Value: units, Digits: digits}, digits
	if home == "" {
		r.Trace.Converted, r.Trace.Outcome = nil, loyalty.Excluded
	} else {
		n, err := loyalty.ParseNumber(home)
		if err != nil {
			s.t.Fatal(err)
		}
		r.Trace.Converted = &loyalty.Conversion{Amount: n, Currency: loyalty.MustCurrency("SGD"), Source: loyalty.QuoteRate}
	}
	return r
}

func TestTotalsAndSummary(t *testing.T) {
	s := start(t)
	card := uuid.New()
	sep, oct := loyalty.DateOf(2021, 9, 30), loyalty.DateOf(2021, 10, 1)
	s.put(
		s.spend(card, sep, 3000, "USD 100.00", "134.50", 1345, 1),
		s.spend(card, sep, 3001, "USD -40.00", "-53.80", -538, 1),
		s.spend(card, sep, 3299, "JPY 1000", "12.25", 123, 1),
		s.spend(card, sep, 5411, "SGD 0.10", "0.10", 1, 1),
		s.spend(card, sep, 0, "EUR 5.00", "", 0, 1), // excluded: never converted
		s.spend(card, sep, 0, "SGD 7.00", "", 0, 1), // excluded, and in the home currency
		s.spend(card, oct, 5812, "SGD 20.05", "20.05", 201, 1),
	)
	miles := s.spend(card, oct+1, 7011, "BHD 1.234", "4.40", 44000, 4)
	miles.CardType, miles.Trace.Programme, miles.Trace.Unit = "travel_miles", "PlatinumMiles", "miles"
	s.put(miles)

	want := map[string]string{
		"/reward/total/" + card.String(): `{"data":4.4,"by_programme":[
			{"card_type":"travel_miles","programme":"PlatinumMiles","unit":"miles","decimals":4,"units":4.4,"rewards":1},
			{"card_type":"scis_shopping","programme":"Shopping","unit":"points","decimals":1,"units":113.2,"rewards":7}]}`,
		"/reward/summary/" + card.String(): `{"data":{"home_currency":"SGD","months":[
			{"month":"2021-10","groups":[
				{"group":"hotels","rewards":1,"units":[{"card_type":"travel_miles","unit":"miles","units":4.4}],"spend":[{"currency":"BHD","amount":1.234}],"spend_home":4.4,"unconverted":0},
				{"group":"restaurants","rewards":1,"units":[{"card_type":"scis_shopping","unit":"points","units":20.1}],"spend":[{"currency":"SGD","amount":20.05}],"spend_home":20.05,"unconverted":0}]},
			{"month":"2021-09","groups":[
				{"group":"airlines","rewards":3,"units":[{"card_type":"scis_shopping","unit":"points","units":93}],"spend":[{"currency":"JPY","amount":1000},{"currency":"USD","amount":60}],"spend_home":92.95,"unconverted":0},
				{"group":"groceries","rewards":1,"units":[{"card_type":"scis_shopping","unit":"points","units":0.1}],"spend":[{"currency":"SGD","amount":0.1}],"spend_home":0.1,"unconverted":0},
				{"group":"unknown","rewards":2,"units":[{"card_type":"scis_shopping","unit":"points","units":0}],"spend":[{"currency":"EUR","amount":5},{"currency":"SGD","amount":7}],"spend_home":7,"unconverted":1}]}]}}`,
		"/reward/summary/" + card.String() + "?from=2021-10-02": `{"data":{"home_currency":"SGD","months":[
			{"month":"2021-10","groups":[
				{"group":"hotels","rewards":1,"units":[{"card_type":"travel_miles","unit":"miles","units":4.4}],"spend":[{"currency":"BHD","amount":1.234}],"spend_home":4.4,"unconverted":0}]}]}}`,
	}
	for path, want := range want {
		status, _, body := s.get(s.public + path)
		want = strings.NewReplacer("\n", "", "\t", "").Replace(want)
		if got := strings.TrimSpace(string(body)); status != 200 || got != want {
			t.Errorf("%s: %d\n%s\nnot\n%s", path, status, got, want)
		}
	}
}

func TestToday(t *testing.T) {
	s := start(t)
	card := uuid.UUID{1}
	date := loyalty.DateOf(2021, 8, 1)
	at := func(hour, minute int) loyalty.Row { // of the 1st in UTC
		r := s.row(card, date)
		r.CreatedAt = time.Date(2021, 9, 1, hour, minute, 0, 0, time.UTC)
		return r
	}
	before, first, second := at(15, 59), at(16, 0), at(16, 30)
	second.Date++
	s.put(before, first, second)
	again := before // the file is sent again after midnight
	again.Position.Offset, again.CreatedAt = 100, now
	s.put(again)
	ids := func(query string) (out []string, next string) {
		status, _, body := s.get(s.internal + "/reward/today" + query)
		var p struct {
			page
			Day string `json:"day"`
		}
		if err := json.Unmarshal(body, &p); err != nil || status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		for _, r := range p.Data {
			out = append(out, r.ID)
		}
		return out, p.Next
	}
	if got, _ := ids(""); !reflect.DeepEqual(got, []string{first.ID.String(), second.ID.String()}) {
		t.Errorf("today: %v", got)
	}
	if got, _ := ids("?day=2021-09-01"); !reflect.DeepEqual(got, []string{before.ID.String()}) {
		t.Errorf("yesterday: %v", got)
	}
	got, next := ids("?page_size=1")
	if next == "" || !reflect.DeepEqual(got, []string{first.ID.String()}) {
		t.Errorf("the first page: %v, next %q", got, next)
	}
	if got, next = ids("?page_size=1&cursor=" + next); next != "" || !reflect.DeepEqual(got, []string{second.ID.String()}) {
		t.Errorf("the second page: %v, next %q", got, next)
	}
}

func TestSwagger(t *testing.T) {
	s := start(t)
	if status, _, body := s.get(s.public + "/swagger/index.html"); status != 200 || !strings.Contains(string(body), "swagger-ui") {
		t.Errorf("%d %.200s", status, body)
	}
	status, _, body := s.get(s.public + "/swagger/doc.json")
	var doc struct {
		Paths map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(body, &doc); err != nil || status != 200 {
		t.Fatalf("%d %.200s", status, body)
	}
	for _, path := range []string{"/reward/{cardId}", "/reward/total/{cardId}", "/reward/summary/{cardId}", "/reward/today"} {
		if doc.Paths[path] == nil {
			t.Errorf("%s is not documented", path)
		}
	}
}
