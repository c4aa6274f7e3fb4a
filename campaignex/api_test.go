package campaignex_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/campaignex"
	"github.com/angelowl-loyalties/app/campaignex/postgres"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/loyalty/web/webtest"
	"github.com/glebarez/sqlite"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Here the service runs without an etcd: what it answers is the same, but for "published". With
// one it is tested in local/rulesapitest.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api is a running service.
type api struct {
	t   *testing.T
	url string
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

var now = time.Date(2021, 9, 1, 18, 0, 0, 0, time.UTC) // 2 September in Singapore

// start starts it for an admin.
func start(t *testing.T) api {
	t.Helper()
	return startFor(t, webtest.As(token.Admin), webtest.Sessions)
}

func startFor(t *testing.T, identify func(*http.Request) (web.Caller, error), session func(context.Context, string) (profile.Session, error)) api {
	t.Helper()
	options := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(OFF)", "foreign_keys(ON)"}}
	db, err := gorm.Open(sqlite.Open("file:"+filepath.Join(t.TempDir(), "rules.db")+"?"+options.Encode()), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return now }
	store, err := postgres.Open(t.Context(), db, clock)
	if err != nil {
		t.Fatal(err)
	}
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{"127.0.0.1:1"}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := campaignex.DefaultConfig()
	cfg.PublishWait = time.Millisecond
	cfg.Outbox = outbox.Config{Reconcile: time.Hour, Poll: time.Hour, Timeout: 20 * time.Millisecond}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- campaignex.Run(ctx, cfg, campaignex.Deps{
			Store: store, Etcd: etcd, Listener: l, Log: slog.New(slog.DiscardHandler), Clock: clock,
			Identify: identify, Session: session,
		})
	}()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := etcd.Close(); err != nil {
			t.Error(err)
		}
		if pool, err := db.DB(); err != nil || pool.Close() != nil {
			t.Error("closing the database")
		}
	})
	return api{t, "http://" + l.Addr().String()}
}

// do sends a request; headers are "Name: value".
func (a api) do(method, path, body string, headers ...string) answer {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, b}
}

// want is do that checks the status.
func (a api) want(status int, method, path, body string, headers ...string) answer {
	a.t.Helper()
	got := a.do(method, path, body, headers...)
	if got.status != status {
		a.t.Fatalf("%s %s: %d, want %d: %s", method, path, got.status, status, got.body)
	}
	return got
}

// data reads {"data": …}.
func (r answer) data(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	var w struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(r.body, &w); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return w.Data
}

type failure struct {
	Error  string            `json:"error"`
	Code   string            `json:"code"`
	Fields map[string]string `json:"fields"`
}

func (r answer) failure(t *testing.T) (f failure) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil || f.Error == "" || f.Code == "" {
		t.Fatalf("not an error of ours (%v): %s", err, r.body)
	}
	return f
}

const (
	id       = "6a0ea1a5-7f1c-4a1b-9a4f-000000000001"
	kaligo   = `{"id":"` + id + `","name":"Kaligo","min_spend":0,"start_date":"2021-09-01T00:00:00Z","end_date":"2021-12-31T00:00:00Z","reward_program":"scis_platinummiles","reward_amount":10,"mcc":"0","merchant":"Kaligo","base_reward":false,"foreign_currency":false}`
	excluded = `{"id":"` + id + `","mcc":6051,"valid_from":"2021-09-01T00:00:00Z"}`
)

func TestARuleIsMadeReadChangedAndDeleted(t *testing.T) {
	tests := []struct {
		name, path, rule, field, value string
	}{
		{"campaign", "/campaign", kaligo, "name", `"Kaligo and friends"`},
		{"exclusion", "/exclusion", excluded, "mcc", `9399`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := start(t)
			one := test.path + "/" + id
			a.want(404, "GET", one, "")
			a.want(404, "PUT", one, test.rule)
			a.want(404, "DELETE", one, "")
			a.want(404, "GET", one+"/history", "")

			made := a.want(201, "POST", test.path, test.rule)
			if made.header.Get("ETag") != `"1"` || made.header.Get("Location") != one {
				t.Errorf("headers: %v", made.header)
			}
			want := strings.TrimSuffix(test.rule, "}") + `,"version":1,"published":false,"updated_at":"2021-09-01T18:00:00Z"}`
			if got := string(made.body); got != `{"data":`+want+"}\n" {
				t.Errorf("made:\n%swant\n%s", got, want)
			}
			if f := a.want(409, "POST", test.path, test.rule).failure(t); f.Code != "exists" {
				t.Errorf("%+v", f)
			}
			read := a.want(200, "GET", one, "")
			if read.header.Get("ETag") != `"1"` || !bytes.Equal(read.body, made.body) {
				t.Errorf("read: %s", read.body)
			}

			// What was answered can be sent back with one field changed.
			fields := read.data(t)
			fields[test.field] = json.RawMessage(test.value)
			body, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			changed := a.want(200, "PUT", one, string(body), `If-Match: "1"`)
			if got := changed.data(t); string(got[test.field]) != test.value || string(got["version"]) != "2" || changed.header.Get("ETag") != `"2"` {
				t.Errorf("changed: %s", changed.body)
			}
			if f := a.want(412, "PUT", one, test.rule, `If-Match: "1"`).failure(t); f.Code != "version_conflict" {
				t.Errorf("%+v", f)
			}
			a.want(412, "DELETE", one, "", `If-Match: "1"`)
			a.want(412, "DELETE", one, "", `If-Match: "theirs"`)
			a.want(400, "DELETE", one, "", `If-Match: 2`)
			a.want(200, "PUT", one, string(body), `If-Match: "1", W/"2"`)
			a.want(200, "PUT", one, string(body), `If-Match: *`)
			a.want(200, "PUT", one, string(body)) // the last write wins

			gone := a.want(204, "DELETE", one, "", `If-Match: "2"`)
			if len(gone.body) > 0 {
				t.Errorf("deleted: %s", gone.body)
			}
			a.want(404, "GET", one, "")
			var history struct {
				Total int `json:"total"`
				Data  []struct {
					Version       int
					Action, Who   string
					Before, After map[string]any
				} `json:"data"`
			}
			if err := json.Unmarshal(a.want(200, "GET", one+"/history", "").body, &history); err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, h := range history.Data {
				said = append(said, h.Action+" by "+h.Who)
			}
			if got := strings.Join(said, ", "); got != "deleted by admin, changed by admin, created by admin" || history.Total != 3 {
				t.Errorf("history: %s", got)
			}
			if h := history.Data; h[0].After != nil || h[0].Before == nil || h[2].Before != nil || h[1].Before[test.field] == h[1].After[test.field] {
				t.Errorf("history: %+v", h)
			}
			if again := a.want(201, "POST", test.path, test.rule); string(again.data(t)["version"]) != "4" {
				t.Errorf("made again: %s", again.body)
			}
		})
	}
}

func TestOfTwoAdminsTheSecondIsToldOfTheConflict(t *testing.T) {
	a := start(t)
	a.want(201, "POST", "/campaign", kaligo)
	ann, bob := a.want(200, "GET", "/campaign/"+id, ""), a.want(200, "GET", "/campaign/"+id, "")
	with := func(name string) string { return strings.Replace(kaligo, `"name":"Kaligo"`, `"name":"`+name+`"`, 1) }
	a.want(200, "PUT", "/campaign/"+id, with("Ann's"), "If-Match: "+ann.header.Get("ETag"))
	a.want(412, "PUT", "/campaign/"+id, with("Bob's"), "If-Match: "+bob.header.Get("ETag"))
	if got := a.want(200, "GET", "/campaign/"+id, "").data(t)["name"]; string(got) != `"Ann's"` {
		t.Errorf("the name is %s", got)
	}
}

func TestARuleWithoutAnIDGetsOne(t *testing.T) {
	a := start(t)
	for path, body := range map[string]string{"/campaign": kaligo, "/exclusion": excluded} {
		body = strings.Replace(body, `"id":"`+id+`",`, "", 1)
		for _, body := range []string{body, strings.Replace(body, "{", `{"id":"",`, 1), strings.Replace(body, "{", `{"id":null,`, 1)} {
			made := a.want(201, "POST", path, body)
			var got string
			if err := json.Unmarshal(made.data(t)["id"], &got); err != nil || len(got) != 36 || got[14] != '4' {
				t.Errorf("the id is %q", got)
			}
			a.want(200, "PUT", path+"/"+got, body) // nor does a PUT need it
		}
	}
}

func TestWhatIsWrongWithARuleIsSaidByField(t *testing.T) {
	a := start(t)
	a.want(201, "POST", "/campaign", kaligo)
	a.want(201, "POST", "/exclusion", excluded)
	with := func(rule, old, new string) string {
		if !strings.Contains(rule, old) {
			t.Fatalf("%s is not in the rule", old)
		}
		return strings.Replace(rule, old, new, 1)
	}
	tests := []struct {
		name, path, body string
		fields           []string
		words            string
	}{
		{"end before start", "/campaign", with(kaligo, `"end_date":"2021-12-31`, `"end_date":"2021-08-31`), []string{"end_date"}, "before the start date"},
		{"negative rate", "/campaign", with(kaligo, `"reward_amount":10`, `"reward_amount":-1`), []string{"reward_amount"}, "below 0"},
		{"rate that is no decimal", "/campaign", with(kaligo, `"reward_amount":10`, `"reward_amount":1e400`), []string{"reward_amount"}, "not a decimal"},
		{"negative least spend", "/campaign", with(kaligo, `"min_spend":0`, `"min_spend":-0.01`), []string{"min_spend"}, "below 0"},
		{"MCC range backwards", "/campaign", with(kaligo, `"mcc":"0"`, `"mcc":"3999-3500"`), []string{"mcc"}, "runs backwards"},
		{"MCC of letters", "/campaign", with(kaligo, `"mcc":"0"`, `"mcc":"abc"`), []string{"mcc"}, "not a merchant category code"},
		{"MCC too high", "/campaign", with(kaligo, `"mcc":"0"`, `"mcc":"10000"`), []string{"mcc"}, "not a merchant category code"},
		{"blank MCC", "/campaign", with(kaligo, `"mcc":"0"`, `"mcc":""`), []string{"mcc"}, "missing"},
		{"any among others", "/campaign", with(kaligo, `"mcc":"0"`, `"mcc":"5411,0"`), []string{"mcc"}, "stands alone"},
		{"a date that does not exist", "/campaign", with(kaligo, "2021-09-01", "2021-02-30"), []string{"start_date"}, "not a date"},
		{"no name", "/campaign", with(kaligo, `"name":"Kaligo"`, `"name":" "`), []string{"name"}, "missing"},
		{"a field that is none", "/campaign", with(kaligo, `"name"`, `"colour":"red","name"`), []string{"colour"}, "not a field of a campaign"},
		{"a text for a flag", "/campaign", with(kaligo, `"base_reward":false`, `"base_reward":"no"`), []string{"base_reward"}, "bool"},
		{"an id that is none", "/campaign", with(kaligo, id, "7"), []string{"id"}, "not a UUID"},
		{"several at once", "/campaign", `{"reward_amount":-1,"mcc":"x"}`, []string{"name", "start_date", "end_date", "reward_program", "reward_amount", "mcc"}, ""},
		{"a list", "/campaign", `[1]`, nil, "must be a JSON object"},
		{"no JSON", "/campaign", `{"name":`, nil, "not valid JSON"},
		{"nothing", "/campaign", ``, nil, "no body"},
		{"not UTF-8", "/campaign", with(kaligo, "Kaligo", "\xff"), nil, "UTF-8"},
		{"an exclusion of any MCC", "/exclusion", with(excluded, "6051", "0"), []string{"mcc"}, "missing"},
		{"an exclusion of an MCC too high", "/exclusion", with(excluded, "6051", "10000"), []string{"mcc"}, "not a merchant category code"},
		{"an exclusion without a day", "/exclusion", with(excluded, "2021-09-01T00:00:00Z", ""), []string{"valid_from"}, "missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, req := range []struct{ method, path string }{{"POST", test.path}, {"PUT", test.path + "/" + id}} {
				f := a.want(400, req.method, req.path, test.body).failure(t)
				for _, field := range test.fields {
					if f.Fields[field] == "" {
						t.Errorf("%s: %s is not named: %+v", req.method, field, f)
					}
				}
				if len(f.Fields) != len(test.fields) || !strings.Contains(f.Error, test.words) {
					t.Errorf("%s: %+v", req.method, f)
				}
			}
		})
	}
	f := a.want(400, "PUT", "/campaign/"+id, with(kaligo, id, "6a0ea1a5-7f1c-4a1b-9a4f-000000000002")).failure(t)
	if f.Fields["id"] == "" {
		t.Errorf("another id than that of the address: %+v", f)
	}
	a.want(413, "POST", "/campaign", with(kaligo, "Kaligo", strings.Repeat("x", 1<<20)))
	a.want(415, "POST", "/fx", "Date,USD\n2021-09-01,1\n", "Content-Type: text/plain")
	a.want(405, "PATCH", "/campaign/"+id, "")
}

func TestAnAddressThatIsNoneIsSaidByField(t *testing.T) {
	a := start(t)
	for _, path := range []string{"/campaign/7", "/exclusion/zzz", "/campaign/00000000-0000-0000-0000-000000000000"} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			if f := a.want(400, method, path, kaligo).failure(t); f.Fields["id"] == "" {
				t.Errorf("%s %s: %+v", method, path, f)
			}
		}
	}
	if f := a.want(400, "GET", "/fx/tomorrow", "").failure(t); f.Fields["date"] == "" {
		t.Errorf("%+v", f)
	}
	upper := a.want(404, "GET", "/campaign/"+strings.ToUpper(id), "")
	if f := upper.failure(t); !strings.Contains(f.Error, id) {
		t.Errorf("%+v", f)
	}
}

func TestLists(t *testing.T) {
	a := start(t)
	if got := string(a.want(200, "GET", "/campaign", "").body); got != `{"page_no":1,"page_size":100,"total":0,"data":[]}`+"\n" {
		t.Errorf("an empty list: %s", got)
	}
	for name, dates := range map[string]string{"ended": `2021-01-01 2021-09-01`, "live": `2021-09-02 2021-09-02`, "scheduled": `2021-09-03 2021-12-31`} {
		from, to, _ := strings.Cut(dates, " ")
		a.want(201, "POST", "/campaign", `{"name":"`+name+`","start_date":"`+from+`","end_date":"`+to+`","reward_program":"p","reward_amount":1,"mcc":"0"}`)
	}
	tests := []struct{ query, want string }{
		{"", "ended,live,scheduled"},
		{"?unknown=1", "ended,live,scheduled"},
		{"?state=live", "live"}, // it is the next day already at the bank
		{"?state=ended", "ended"},
		{"?state=scheduled", "scheduled"},
		{"?sort=-end_date&page_size=2", "scheduled,live"},
		{"?sort=-end_date&page_size=2&page_no=2", "ended"},
		{"?q=LIV", "live"},
		{"?programme=p&base_reward=false&q=e&sort=start_date", "ended,live,scheduled"},
		{"?programme=other", ""},
		{"?base_reward=true", ""},
	}
	for _, test := range tests {
		var w struct {
			Data []struct{ Name string } `json:"data"`
		}
		got := a.want(200, "GET", "/campaign"+test.query, "")
		if err := json.Unmarshal(got.body, &w); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range w.Data {
			names = append(names, c.Name)
		}
		if strings.Join(names, ",") != test.want {
			t.Errorf("%s: %v, want %s", test.query, names, test.want)
		}
	}
	for query, field := range map[string]string{
		"state=dead": "state", "sort=colour": "sort", "page_size=0": "page_size", "page_size=1001": "page_size",
		"page_no=x": "page_no", "base_reward=maybe": "base_reward", "q=%00": "q", "programme=%ff": "programme",
	} {
		if f := a.want(400, "GET", "/campaign?"+query, "").failure(t); f.Fields[field] == "" {
			t.Errorf("%s: %+v", query, f)
		}
	}
}

func TestWithoutEtcdNothingLiveCanBeTried(t *testing.T) {
	a := start(t)
	f := a.want(503, "POST", "/campaign/try", `{"transaction":{"merchant":"Kaligo","mcc":7011,"currency":"SGD","amount":1,"transaction_id":"1","transaction_date":"2021-09-02","card_type":"scis_platinummiles"}}`).failure(t)
	if f.Code != "rules_unavailable" {
		t.Errorf("%+v", f)
	}
}

func TestHealthAndSwagger(t *testing.T) {
	a := start(t)
	if got := string(a.want(200, "GET", "/health", "").body); got != `{"status":"OK"}`+"\n" {
		t.Error(got)
	}
	if got := a.want(200, "GET", "/swagger/index.html", ""); !bytes.Contains(got.body, []byte("swagger-ui")) {
		t.Errorf("%s", got.body)
	}
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(a.want(200, "GET", "/swagger/doc.json", "").body, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Paths["/campaign/{id}"]) != 3 || len(doc.Paths["/fx"]) != 2 || len(doc.Paths) != 11 {
		t.Errorf("described: %v", doc.Paths)
	}
}
