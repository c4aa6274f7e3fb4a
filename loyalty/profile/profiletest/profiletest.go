// Package profiletest is a profiler for the tests of services that ask it: it signs tokens, publishes
// its keys and answers the internal routes, over HTTP, for the accounts and cards that a test gives it.
package profiletest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/token/tokentest"
)

// Secret is the secret of every service.
const Secret = "a secret of a service"

// Profiler is a running one.
type Profiler struct {
	URL    string
	Signer *tokentest.Signer

	t        testing.TB
	mu       sync.Mutex
	sessions map[string]profile.Session
	cards    map[string]profile.Card
	away     bool
	asked    []Question
}

// Question is a request that it was asked on an internal route.
type Question struct{ Path, RequestID string }

// Start starts one, which ends with the test.
func Start(t testing.TB) *Profiler {
	t.Helper()
	p := &Profiler{t: t, Signer: tokentest.NewSigner(t), sessions: map[string]profile.Session{}, cards: map[string]profile.Card{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{p.Signer.Key()}})
	})
	mux.HandleFunc("POST /auth/token", func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if plain, err := url.QueryUnescape(secret); err != nil || plain != Secret || r.PostFormValue("grant_type") != "client_credentials" {
			answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client", "code": "invalid_client"})
			return
		}
		answer(w, http.StatusOK, map[string]any{"access_token": p.Signer.Token(t, id, token.Service), "token_type": "Bearer", "expires_in": 1200})
	})
	mux.HandleFunc("GET /internal/session/{id}", p.internal(func(id string) (any, bool) {
		s, ok := p.sessions[id]
		return s, ok
	}))
	mux.HandleFunc("GET /internal/card/{id}", p.internal(func(id string) (any, bool) {
		c, ok := p.cards[id]
		return c, ok
	}))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	p.URL = srv.URL
	return p
}

// internal answers services.
func (p *Profiler) internal(find func(id string) (any, bool)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		raw := r.Header.Get("Authorization")
		if claims, err := p.Signer.Verifier().Verify(r.Context(), raw[min(len("Bearer "), len(raw)):]); err != nil || claims.Role != token.Service {
			answer(w, http.StatusUnauthorized, map[string]string{"error": "no", "code": "invalid_token"})
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked = append(p.asked, Question{r.URL.Path, r.Header.Get("X-Request-Id")})
		if p.away {
			panic(http.ErrAbortHandler)
		}
		data, ok := find(r.PathValue("id"))
		if !ok {
			answer(w, http.StatusNotFound, map[string]string{"error": "there is none", "code": "not_found"})
			return
		}
		answer(w, http.StatusOK, map[string]any{"data": data})
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // whoever asked has gone
}

// Account makes an account, whose session is the first, and returns a token for it.
func (p *Profiler) Account(t testing.TB, id string, role token.Role) string {
	t.Helper()
	p.SetSession(id, profile.Session{Role: role, Version: 1})
	return p.Signer.Token(t, id, role)
}

// NewAccount is Account of one that has something to do first.
func (p *Profiler) NewAccount(t testing.TB, id string, role token.Role, must token.Must) string {
	t.Helper()
	p.SetSession(id, profile.Session{Role: role, Version: 1})
	now := time.Now()
	return p.Signer.Sealed(t, token.Claims{Subject: id, Role: role, Must: must, Session: 1, ID: uuid.NewString(), Issued: now, Expires: now.Add(token.Lifetime)})
}

// SetSession changes what an account is.
func (p *Profiler) SetSession(id string, s profile.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions[id] = s
}

// Delete deletes an account.
func (p *Profiler) Delete(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, id)
}

// Give makes a card of an account's.
func (p *Profiler) Give(card uuid.UUID, user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cards[card.String()] = profile.Card{ID: card.String(), UserID: user, CardType: "gold"}
}

// Away makes its internal routes break off, or answer again.
func (p *Profiler) Away(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

// Asked is what it was asked since the last time.
func (p *Profiler) Asked() []Question {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = nil
	return asked
}

// Client is a service's client of it.
func (p *Profiler) Client(service string) *profile.Client {
	client := new(profile.Settings).HTTPClient()
	p.t.Cleanup(client.CloseIdleConnections)
	s := profile.Settings{Endpoint: p.URL, Internal: p.URL, ClientSecret: config.NewSecret(Secret)}
	return s.Client(service, client, time.Now)
}
