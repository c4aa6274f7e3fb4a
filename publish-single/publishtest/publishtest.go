// Package publishtest is what the tests of publish-single ask in profiler's place, over HTTP: keys,
// tokens for services, sessions, limits, and daily sums that are counted as profiler promises.
package publishtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/token/tokentest"
)

const secret = "the secret of publish-single"

// Profiler answers what publish-single asks.
type Profiler struct {
	Signer *tokentest.Signer
	URL    string

	t         testing.TB
	client    *http.Client
	mu        sync.Mutex
	now       time.Time
	away      bool
	merchants map[string]string // the answer's data
	sessions  map[string]profile.Session
	sums      map[string]loyalty.Number
	counted   map[string]loyalty.Money // by merchant and transaction
	asked     []string                 // METHOD path, request id
}

// Start serves one until the test ends. Its clock stands until it is moved.
func Start(t testing.TB) *Profiler {
	t.Helper()
	p := &Profiler{
		Signer: tokentest.NewSigner(t), t: t, now: time.Now().Truncate(time.Second),
		merchants: map[string]string{}, sessions: map[string]profile.Session{},
		sums: map[string]loyalty.Number{}, counted: map[string]loyalty.Money{},
	}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	p.URL, p.client = srv.URL, srv.Client()
	return p
}

// Now is the clock.
func (p *Profiler) Now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// Move moves the clock.
func (p *Profiler) Move(d time.Duration) { p.set(func() { p.now = p.now.Add(d) }) }

// Away says whether it cannot be reached.
func (p *Profiler) Away(away bool) { p.set(func() { p.away = away }) }

// Merchant makes a merchant's account, whose limits are JSON or "null".
func (p *Profiler) Merchant(id, limits string) {
	p.set(func() { p.merchants[id] = `{"role":"merchant","locked":false,"limits":` + limits + `}` })
}

// Account makes an account of which the answer is data; "" deletes it.
func (p *Profiler) Account(id, data string) { p.set(func() { p.merchants[id] = data }) }

// Session is what the tokens of an account are worth.
func (p *Profiler) Session(id string, s profile.Session) { p.set(func() { p.sessions[id] = s }) }

// Sum is the daily sum of a merchant in SGD.
func (p *Profiler) Sum(id, amount string) {
	n, err := loyalty.ParseNumber(amount)
	if err != nil {
		p.t.Fatal(err)
	}
	p.set(func() { p.sums[id] = n })
}

// Spent is what a merchant's transactions come to, in cents.
func (p *Profiler) Spent(id string) (sum int64) {
	p.set(func() { sum = p.spent(id) })
	return sum
}

// Asked is what was asked on internal routes since it was last called.
func (p *Profiler) Asked() (asked []string) {
	p.set(func() { asked, p.asked = p.asked, nil })
	return asked
}

func (p *Profiler) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *Profiler) spent(id string) (sum int64) {
	for key, m := range p.counted {
		if strings.HasPrefix(key, id+" ") {
			sum += m.Minor
		}
	}
	return sum
}

// Verifier is one that reads the keys here.
func (p *Profiler) Verifier() *token.Verifier {
	return &token.Verifier{Party: token.DefaultParty, Keys: token.NewRemote(p.URL+"/.well-known/jwks.json", p.client, p.Now), Clock: p.Now}
}

// Client asks here, as publish-single does.
func (p *Profiler) Client() *profile.Client {
	s := profile.Settings{Endpoint: p.URL, Internal: p.URL, ClientSecret: config.NewSecret(secret)}
	return s.Client("publish-single", p.client, p.Now)
}

// Bearer is the Authorization header of an account whose session is 1.
func (p *Profiler) Bearer(id string, role token.Role, must token.Must) string {
	now := p.Now()
	return "Bearer " + p.Signer.Sealed(p.t, token.Claims{Subject: id, Role: role, Must: must, Session: 1, ID: "t", Issued: now, Expires: now.Add(token.Lifetime)})
}

// ServeHTTP is http.Handler's.
func (p *Profiler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	switch {
	case r.URL.Path == "/.well-known/jwks.json":
		p.answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{p.Signer.Key()}})
		return
	case r.URL.Path == "/auth/token":
		p.answer(w, http.StatusOK, map[string]any{
			"token_type": "Bearer", "expires_in": 1200,
			"access_token": p.Signer.Sealed(p.t, token.Claims{
				Subject: profile.ServiceID("publish-single"), Role: token.Service, ID: "s", Issued: p.now, Expires: p.now.Add(token.Lifetime),
			}),
		})
		return
	}
	v := token.Verifier{Party: token.DefaultParty, Keys: token.Fixed{p.Signer.Key()}, Clock: func() time.Time { return p.now }}
	if c, err := v.Verify(r.Context(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); err != nil || c.Role != token.Service {
		p.t.Errorf("%s was asked without a service's token: %v", r.URL.Path, err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	p.asked = append(p.asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Request-Id"))
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.Method == "GET" && len(parts) == 3 && parts[1] == "merchant" && p.merchants[parts[2]] != "":
		p.answer(w, http.StatusOK, map[string]any{"data": json.RawMessage(p.merchants[parts[2]])})
	case r.Method == "GET" && len(parts) == 3 && parts[1] == "session" && p.sessions[parts[2]] != (profile.Session{}):
		p.answer(w, http.StatusOK, map[string]any{"data": p.sessions[parts[2]]})
	case r.Method == "POST" && len(parts) == 4 && parts[1] == "merchant" && parts[3] == "spend":
		p.spend(w, r, parts[2])
	default:
		p.answer(w, http.StatusNotFound, map[string]string{"error": "there is none", "code": "not_found"})
	}
}

func (p *Profiler) spend(w http.ResponseWriter, r *http.Request, id string) {
	var s struct {
		CardID string          `json:"card_id"`
		Date   string          `json:"transaction_date"`
		ID     string          `json:"id"`
		Amount json.RawMessage `json:"amount"`
	}
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		p.t.Errorf("a spend that is none: %v", err)
	}
	amount, err := loyalty.ParseMoney(string(s.Amount), loyalty.MustCurrency("SGD"))
	if err != nil {
		p.t.Errorf("a spend that is none: %v", err)
	}
	key := id + " " + s.CardID + " " + s.Date + " " + s.ID
	limit, _, _ := p.sums[id].Scaled(2)
	if _, again := p.counted[key]; !again {
		if p.spent(id)+amount.Minor > limit {
			p.answer(w, http.StatusForbidden, map[string]string{"error": "the day's sum does not reach", "code": "not_your_merchant"})
			return
		}
		p.counted[key] = amount
	}
	p.answer(w, http.StatusOK, map[string]any{"data": map[string]any{"currency": "SGD", "spent": json.RawMessage(fmt.Sprint(p.spent(id))), "limit": 0}})
}

func (p *Profiler) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.t.Error(err)
	}
}
