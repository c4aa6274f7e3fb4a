package token_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/token/tokentest"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func claims() token.Claims {
	return token.Claims{Subject: "u1", Role: token.Bank, Session: 3, ID: "t1", Issued: now, Expires: now.Add(token.Lifetime)}
}

func verifier(keys token.KeySource) *token.Verifier {
	return &token.Verifier{Party: token.DefaultParty, Keys: keys, Clock: func() time.Time { return now }}
}

func TestATokenSaysWhatWasSigned(t *testing.T) {
	s := tokentest.NewSigner(t)
	for _, must := range []token.Must{token.MustNothing, token.MustChangePassword, token.MustEnrolTOTP} {
		c := claims()
		c.Must = must
		got, err := verifier(token.Fixed{s.Key()}).Verify(t.Context(), s.Sealed(t, c))
		got.Issued, got.Expires = got.Issued.UTC(), got.Expires.UTC()
		if err != nil || got != c {
			t.Errorf("%+v, %v\nwant %+v", got, err, c)
		}
	}
}

func part(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// What RFC 8725 warns of, and what else a stranger may send.
func TestForgedTokensAreRefused(t *testing.T) {
	s, other := tokentest.NewSigner(t), tokentest.NewSigner(t)
	good := s.Sealed(t, claims())
	parts := strings.Split(good, ".")
	with := func(change func(*token.Claims)) string {
		c := claims()
		change(&c)
		return s.Sealed(t, c)
	}
	party := func(p token.Party) string {
		raw, err := p.Sign(t.Context(), s, claims())
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	public := s.Key()
	hmac := func() string {
		point, err := s.Private.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: point}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", public.KeyID))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := jwt.Signed(signer).Claims(map[string]any{"sub": "u1", "role": "admin", "iss": "angelowl", "aud": "angelowl-api", "exp": now.Add(time.Hour).Unix()}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for name, raw := range map[string]string{
		"nothing":                     "",
		"no JWT":                      "abc",
		"alg none":                    part(t, map[string]string{"alg": "none", "typ": "JWT", "kid": s.ID}) + "." + parts[1] + ".",
		"alg none with the signature": part(t, map[string]string{"alg": "none", "typ": "JWT", "kid": s.ID}) + "." + parts[1] + "." + parts[2],
		"HMAC with the public key":    hmac(),
		"another audience":            party(token.Party{Issuer: "angelowl", Audience: "other"}),
		"another issuer":              party(token.Party{Issuer: "other", Audience: "angelowl-api"}),
		"expired":                     with(func(c *token.Claims) { c.Expires = now.Add(-6 * time.Second) }),
		"not yet valid":               with(func(c *token.Claims) { c.Issued = now.Add(6 * time.Second) }),
		"unknown key":                 other.Sealed(t, claims()),
		"another key under the id":    (&tokentest.Signer{ID: s.ID, Private: other.Private}).Sealed(t, claims()),
		"changed claims":              parts[0] + "." + part(t, map[string]any{"sub": "u1", "role": "admin"}) + "." + parts[2],
		"no signature":                parts[0] + "." + parts[1] + ".",
		"no third part":               parts[0] + "." + parts[1],
		"unknown role":                with(func(c *token.Claims) { c.Role = "root" }),
		"no subject":                  with(func(c *token.Claims) { c.Subject = "" }),
		"very long":                   good + strings.Repeat("A", 4096),
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := verifier(token.Fixed{public}).Verify(t.Context(), raw); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
	if _, err := verifier(token.Fixed{public}).Verify(t.Context(), good); err != nil {
		t.Error("the one they were made from:", err)
	}
}

// published is where profiler's keys are read.
type published struct {
	asked int
	keys  []jose.JSONWebKey
	away  bool
	at    time.Time
}

func remote(t *testing.T) (*published, *token.Remote) {
	t.Helper()
	p := &published{at: now}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked++
		if p.away {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: p.keys})
	}))
	t.Cleanup(srv.Close)
	return p, token.NewRemote(srv.URL, srv.Client(), func() time.Time { return p.at })
}

func TestKeysAreRememberedAndReadAgain(t *testing.T) {
	first, second := tokentest.NewSigner(t), tokentest.NewSigner(t)
	p, keys := remote(t)
	p.keys = []jose.JSONWebKey{first.Key()}
	expect := func(what string, s *tokentest.Signer, want error, asked int) {
		t.Helper()
		k, err := keys.Key(t.Context(), s.ID)
		if !errors.Is(err, want) || p.asked != asked {
			t.Errorf("%s: %v, asked %d times, want %v, %d times", what, err, p.asked, want, asked)
		}
		if pub := s.Key(); err == nil && !same(t, k, pub) {
			t.Errorf("%s: another key", what)
		}
	}
	p.away = true
	expect("away, nothing known", first, token.ErrUnavailable, 1)
	p.away = false
	expect("within the minute nobody asks again", first, token.ErrUnavailable, 1)
	p.at = p.at.Add(time.Minute)
	expect("back", first, nil, 2)
	expect("known", first, nil, 2)
	expect("unknown, within a minute", second, token.ErrInvalid, 2)
	p.at = p.at.Add(time.Minute)
	expect("unknown, a minute later", second, token.ErrInvalid, 3)
	p.keys = append(p.keys, second.Key())
	expect("added, within the minute", second, token.ErrInvalid, 3)
	p.at = p.at.Add(time.Minute)
	expect("added", second, nil, 4)
	p.away = true
	p.at = p.at.Add(time.Hour)
	expect("known and away", first, nil, 5)
	expect("unknown and away", tokentest.NewSigner(t), token.ErrInvalid, 5)
	p.away, p.keys = false, p.keys[1:]
	p.at = p.at.Add(time.Hour)
	expect("withdrawn", first, token.ErrInvalid, 6)
	expect("the other stays", second, nil, 6)
}

func same(t *testing.T, a, b jose.JSONWebKey) bool {
	t.Helper()
	x, err1 := a.Thumbprint(5) // crypto.SHA256
	y, err2 := b.Thumbprint(5)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

func TestOneWhoGoesAwayKeepsNobodyElseFromAsking(t *testing.T) {
	s := tokentest.NewSigner(t)
	p, keys := remote(t)
	p.keys = []jose.JSONWebKey{s.Key()}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := keys.Key(gone, s.ID); !errors.Is(err, token.ErrUnavailable) {
		t.Error(err)
	}
	if _, err := keys.Key(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
}

func TestKeysOfOtherKindsAreNotTaken(t *testing.T) {
	s := tokentest.NewSigner(t)
	p, keys := remote(t)
	private := jose.JSONWebKey{Key: s.Private, KeyID: s.ID, Algorithm: "ES256", Use: "sig"}
	symmetric := jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: s.ID, Algorithm: "HS256", Use: "sig"}
	p.keys = []jose.JSONWebKey{private, symmetric}
	if _, err := keys.Key(t.Context(), s.ID); !errors.Is(err, token.ErrUnavailable) {
		t.Error(err)
	}
}
