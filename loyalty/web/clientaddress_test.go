package web_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

func TestWhoTheLimitsCount(t *testing.T) {
	const key = "the key that the portal has, and profiler has"
	now := time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	sign := func(alg jose.SignatureAlgorithm, key string, claims jwt.Claims) string {
		t.Helper()
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: []byte(key)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := jwt.Signed(signer).Claims(claims).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tt := range []struct {
		name   string
		key    string
		change func(*jwt.Claims)
		header func(signed string) []string // in place of the signed one
		want   string
	}{
		{name: "the portal vouches", want: "203.0.113.9"},
		{name: "of IPv6", change: func(c *jwt.Claims) { c.Subject = "2001:db8::9" }, want: "2001:db8::9"},
		{name: "nobody says anything", header: func(string) []string { return nil }, want: "192.0.2.1"},
		{name: "another key", key: strings.Repeat("k", 40), want: "192.0.2.1"},
		{name: "it has expired", change: func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(now.Add(-6 * time.Second)) }, want: "192.0.2.1"},
		{name: "it never expires", change: func(c *jwt.Claims) { c.Expiry = nil }, want: "192.0.2.1"},
		{name: "it lives for a day", change: func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(now.Add(24 * time.Hour)) }, want: "192.0.2.1"},
		{name: "for somebody else", change: func(c *jwt.Claims) { c.Audience = jwt.Audience{"angelowl"} }, want: "192.0.2.1"},
		{name: "no address", change: func(c *jwt.Claims) { c.Subject = "203.0.113.9, 10.0.0.1" }, want: "192.0.2.1"},
		{name: "an address with a zone", change: func(c *jwt.Claims) { c.Subject = "fe80::1%eth0" }, want: "192.0.2.1"},
		{name: "an address without a signature", header: func(string) []string { return []string{"203.0.113.9"} }, want: "192.0.2.1"},
		{name: "two", header: func(s string) []string { return []string{s, s} }, want: "192.0.2.1"},
		{name: "without an algorithm", header: func(s string) []string {
			return []string{"eyJhbGciOiJub25lIn0." + strings.Split(s, ".")[1] + "."}
		}, want: "192.0.2.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			claims := jwt.Claims{Audience: jwt.Audience{"angelowl client address"}, Subject: "203.0.113.9", Expiry: jwt.NewNumericDate(now.Add(time.Minute))}
			if tt.change != nil {
				tt.change(&claims)
			}
			by := key
			if tt.key != "" {
				by = tt.key
			}
			said := []string{sign(jose.HS256, by, claims)}
			if tt.header != nil {
				said = tt.header(said[0])
			}
			for _, has := range []string{key, ""} {
				want, refused := tt.want, len(said) > 0 && tt.want == "192.0.2.1"
				if has == "" {
					want, refused = "192.0.2.1", false // without a key nobody is believed
				}
				var log bytes.Buffer
				s := web.ClientAddress{Key: config.NewSecret(has)}
				var got http.Header
				h := s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }), slog.New(slog.NewJSONHandler(&log, nil)), func() time.Time { return now })
				r := httptest.NewRequest("POST", "/auth/login", http.NoBody)
				r.Header.Set(web.SourceIPHeader, "192.0.2.1")
				r.Header.Set(web.RequestIDHeader, "r-1")
				r.Header[web.ClientAddressHeader] = slices.Clone(said)
				h.ServeHTTP(httptest.NewRecorder(), r)
				if from := got.Values(web.SourceIPHeader); !slices.Equal(from, []string{want}) || got.Values(web.ClientAddressHeader) != nil {
					t.Errorf("with the key %q it comes from %q, want %q; %v", has, from, want, got)
				}
				told := events(t, &log)
				switch {
				case refused != (len(told) == 1):
					t.Errorf("events: %v", told)
				case refused && (told[0]["security_event"] != "client_address_refused" || told[0]["source_ip"] != "192.0.2.1" || told[0]["request_id"] != "r-1"):
					t.Errorf("the event is %v", told[0])
				}
			}
		})
	}
}

func TestAKeyIsLongEnough(t *testing.T) {
	for key, problems := range map[string]int{"": 0, strings.Repeat("k", 31): 1, strings.Repeat("k", 32): 0} {
		s := web.ClientAddress{Key: config.NewSecret(key)}
		if got := s.Check(); len(got) != problems {
			t.Errorf("%q: %v", key, got)
		}
	}
}

func FuzzClientAddress(f *testing.F) {
	for _, s := range []string{"", "203.0.113.9", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiJ9.e30.AA", "\x00", "eyJhbGciOiJIUzI1NiIsImVuYyI6IngifQ.bnVsbA."} {
		f.Add(s)
	}
	s := web.ClientAddress{Key: config.NewSecret(strings.Repeat("k", 32))}
	f.Fuzz(func(t *testing.T, said string) {
		h := s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get(web.SourceIPHeader); got != "" {
				t.Errorf("%q is believed: %s", said, got)
			}
		}), slog.New(slog.NewJSONHandler(io.Discard, nil)), time.Now)
		r := httptest.NewRequest("POST", "/auth/login", http.NoBody)
		r.Header[web.ClientAddressHeader] = []string{said}
		h.ServeHTTP(httptest.NewRecorder(), r)
	})
}
