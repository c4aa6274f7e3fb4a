package profile

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/config/tlstest"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

const secret = "a secret: with marks &+%"

// profiler is the part of profiler that is asked, over HTTP.
type profiler struct {
	t       *testing.T
	signIns atomic.Int64
	mu      sync.Mutex
	now     time.Time
	life    int
	good    string // the token that is taken; "" takes the last
	last    string
	status  int
	answer  string
	request *http.Request
	body    string
}

func start(t *testing.T) (*profiler, *Client) {
	t.Helper()
	p := &profiler{t: t, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), life: 1200, status: 200, answer: `{"data":{}}`}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	s := Settings{Endpoint: srv.URL + "/", Internal: srv.URL + "/", ClientSecret: config.NewSecret(secret)}
	if problems := s.Check(); len(problems) > 0 {
		t.Fatal(problems)
	}
	return p, s.Client("informer", srv.Client(), func() time.Time {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.now
	})
}

func TestAProfilerThatServesTLS(t *testing.T) {
	a := tlstest.New(t)
	pair, err := tls.LoadX509KeyPair(a.Issue("profiler", "127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(&profiler{t: t, now: time.Now(), life: 1200, status: 200, answer: `{"data":{}}`})
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	for _, tt := range []struct{ name, ca, wrong string }{
		{"of the authority that is named", a.CA(), ""},
		{"of one that nobody named", "", "unknown authority"},
		{"of another", tlstest.New(t).CA(), "unknown authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Settings{Endpoint: srv.URL, Internal: srv.URL, CA: tt.ca, ClientSecret: config.NewSecret(secret)}
			if problems := s.Check(); len(problems) > 0 {
				t.Fatal(problems)
			}
			client := s.HTTPClient()
			t.Cleanup(client.CloseIdleConnections)
			_, err := s.Credentials("informer", client, time.Now).Token(t.Context())
			if tt.wrong == "" && err != nil || tt.wrong != "" && (!errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), tt.wrong)) {
				t.Errorf("%v, want %q", err, tt.wrong)
			}
		})
	}
	s := Settings{Endpoint: srv.URL, Internal: srv.URL, CA: "client_test.go"}
	if problems := s.Check(); len(problems) != 1 || problems[0].Name != "PROFILER_CA_FILE" || !strings.Contains(problems[0].Reason, "no certificate in PEM") {
		t.Error(problems)
	}
}

func (p *profiler) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *profiler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Error(err)
	}
	if r.URL.Path == "/auth/token" {
		id, pass, _ := r.BasicAuth()
		id, _ = url.QueryUnescape(id)
		pass, _ = url.QueryUnescape(pass)
		if form, err := url.ParseQuery(string(body)); err != nil || form.Get("grant_type") != "client_credentials" || id != ServiceID("informer") || pass != secret {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		p.last = "token" + string(rune('0'+p.signIns.Add(1)))
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": p.last, "token_type": "Bearer", "expires_in": p.life})
		return
	}
	if want := p.good; r.Header.Get("Authorization") != "Bearer "+p.last || want != "" && p.last != want {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	p.request, p.body = r, string(body)
	w.WriteHeader(p.status)
	_, _ = io.WriteString(w, p.answer)
}

func TestATokenIsKeptUntilShortlyBeforeItsEnd(t *testing.T) {
	p, c := start(t)
	for _, step := range []struct {
		name    string
		later   time.Duration
		life    int
		signIns int64
	}{
		{"the first", 0, 1200, 1},
		{"again", 18 * time.Minute, 1200, 1},
		{"a minute before its end", time.Minute, 1200, 2},
		{"short ones are used for half their life", 19 * time.Minute, 60, 3},
		{"not longer", 29 * time.Second, 60, 3},
		{"and then a new one", time.Second, 60, 4},
	} {
		p.set(func() { p.now, p.life = p.now.Add(step.later), step.life })
		if _, err := c.Merchant(t.Context(), "m"); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if got := p.signIns.Load(); got != step.signIns {
			t.Errorf("%s: signed in %d times, want %d", step.name, got, step.signIns)
		}
	}
}

func TestManyAtOnceSignInOnce(t *testing.T) {
	p, c := start(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := c.Merchant(t.Context(), "m"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := p.signIns.Load(); got != 1 {
		t.Errorf("signed in %d times", got)
	}
}

func TestATokenThatIsNotTakenIsRenewedOnce(t *testing.T) {
	p, c := start(t)
	p.good = "token2"
	if _, err := c.Merchant(t.Context(), "m"); err != nil || p.signIns.Load() != 2 {
		t.Error(err, p.signIns.Load())
	}
	p.set(func() { p.good = "never" })
	if _, err := c.Merchant(t.Context(), "m"); !errors.Is(err, ErrUnavailable) || p.signIns.Load() != 3 {
		t.Error(err, p.signIns.Load())
	}
}

func TestWhatProfilerAnswers(t *testing.T) {
	refused := &Refused{}
	for _, tt := range []struct {
		name   string
		status int
		answer string
		want   error // nil: none
	}{
		{"known", 200, `{"data":{"role":"merchant","locked":false,"limits":null}}`, nil},
		{"unknown", 404, `{"error":"there is none","code":"not_found"}`, ErrNotFound},
		{"refused", 403, `{"error":"no room for 4462-0971-1327-7064","code":"not_your_merchant"}`, refused},
		{"we are not a service", 403, `{"error":"your account may not do this","code":"forbidden"}`, ErrUnavailable},
		{"too often", 429, `{"error":"later","code":"too_many_requests"}`, ErrUnavailable},
		{"broken", 500, `{"error":"x","code":"internal"}`, ErrUnavailable},
		{"away", 503, ``, ErrUnavailable},
		{"a redirect", 307, ``, ErrUnavailable},
		{"no JSON", 200, `<html>`, ErrUnavailable},
		{"another shape", 200, `{"data":[1]}`, ErrUnavailable},
		{"no data", 200, `{}`, ErrUnavailable},
		{"limits that are not understood", 200, `{"data":{"role":"merchant","limits":{"mccs":["x"]}}}`, ErrUnavailable},
		{"a currency that is not known", 200, `{"data":{"role":"merchant","limits":{"currencies":["XXQ"]}}}`, ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, c := start(t)
			p.status, p.answer = tt.status, tt.answer
			_, err := c.Merchant(t.Context(), "m")
			switch {
			case tt.want == nil && err == nil:
			case tt.want == refused:
				var r *Refused
				if !errors.As(err, &r) || r.Status != 403 || r.Code != "not_your_merchant" || r.Message != "no room for ****-****-****-7064" {
					t.Errorf("%#v", err)
				}
			case !errors.Is(err, tt.want):
				t.Errorf("%v, want %v", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Error("the error has the secret")
			}
		})
	}
}

func TestAMerchantsLimits(t *testing.T) {
	p, c := start(t)
	p.answer = `{"data":{"role":"merchant","locked":true,"limits":{"merchants":["Kaligo"],"mccs":["5411","3500-3999"],"currencies":["sgd"],"daily_sums":[{"currency":"SGD","amount":10000.00}]}}}`
	m, err := c.Merchant(profileContext(t), "a/../b")
	if err != nil {
		t.Fatal(err)
	}
	if m.Role != token.Merchant || !m.Locked || m.Limits.Merchants[0] != "Kaligo" || m.Limits.MCCs.String() != "5411,3500-3999" ||
		m.Limits.Currencies[0] != loyalty.MustCurrency("SGD") || m.Limits.DailySums[0].Amount != "10000.00" {
		t.Errorf("%+v", m)
	}
	if p.request.URL.EscapedPath() != "/internal/merchant/a%2F..%2Fb" || p.request.Header.Get("X-Request-Id") != "request-1" || p.request.Header.Values("Idempotency-Key") != nil {
		t.Errorf("%s %v", p.request.URL.EscapedPath(), p.request.Header)
	}
}

func profileContext(t *testing.T) context.Context { return WithRequestID(t.Context(), "request-1") }

func TestASpend(t *testing.T) {
	p, c := start(t)
	card, id := uuid.MustParse("01eca9de-9ff3-4d16-be03-75f228fc207f"), uuid.MustParse("00000001-467d-48aa-96ab-d79394710a2b")
	date, err := loyalty.ParseDate("2021-09-01")
	if err != nil {
		t.Fatal(err)
	}
	spend := Spend{CardID: card, Date: date, ID: id, Currency: loyalty.MustCurrency("BHD"), Amount: loyalty.Money{Minor: -1234, Currency: loyalty.MustCurrency("BHD")}.Number()}
	if err := c.Spend(t.Context(), "m", spend); err != nil {
		t.Fatal(err)
	}
	want := `{"card_id":"01eca9de-9ff3-4d16-be03-75f228fc207f","transaction_date":"2021-09-01","id":"00000001-467d-48aa-96ab-d79394710a2b","currency":"BHD","amount":-1.234}`
	if p.request.Method != "POST" || p.request.URL.Path != "/internal/merchant/m/spend" || p.body != want {
		t.Errorf("%s %s %s\nwant %s", p.request.Method, p.request.URL.Path, p.body, want)
	}
}

func TestProfilerAway(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	addr := srv.URL
	srv.Close()
	s := Settings{Endpoint: addr, Internal: addr, ClientID: "x", ClientSecret: config.NewSecret(secret)}
	c := s.Client("informer", &http.Client{}, time.Now)
	if _, err := c.Merchant(t.Context(), "m"); !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), secret) {
		t.Error(err)
	}
}

func TestAWrongSecretSaysSo(t *testing.T) {
	p, _ := start(t)
	srv := httptest.NewServer(p)
	defer srv.Close()
	c := NewCredentials(srv.URL+"/auth/token", ServiceID("informer"), config.NewSecret("wrong"), srv.Client(), time.Now)
	if _, err := c.Token(t.Context()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "CLIENT_SECRET") || strings.Contains(err.Error(), "wrong") {
		t.Error(err)
	}
}

func TestWhoWaitsForATokenMayGo(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-release
		_, _ = io.WriteString(w, `{"access_token":"t","expires_in":60}`)
	}))
	defer srv.Close()
	c := NewCredentials(srv.URL, "x", config.NewSecret(secret), srv.Client(), time.Now)
	first := make(chan error, 1)
	go func() {
		_, err := c.Token(context.Background())
		first <- err
	}()
	<-asked
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Token(gone); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	for value, good := range map[string]bool{
		"http://profiler:8080": true, "https://p": true, "profiler:8080": false, "http://": false, "http://user:pass@p": false, "ftp://p": false,
	} {
		s := Settings{Endpoint: value, Internal: "http://p"}
		if got := len(s.Check()) == 0; got != good {
			t.Errorf("%q: %v", value, got)
		}
	}
}
