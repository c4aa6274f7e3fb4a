package frontdoor

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// services answer with who and what was asked for; profiler is away.
type services struct{}

func (services) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "profiler" {
		return nil, errors.New("away")
	}
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", r.Header.Get("X-Request-Id"))
	w.Header().Set("Content-Security-Policy", "default-src 'self'")
	_, _ = io.WriteString(w, r.URL.Host+" "+r.URL.RequestURI())
	return w.Result(), nil
}

func TestFrontDoor(t *testing.T) {
	box := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "box")
		w.Header().Set("Content-Security-Policy", "sandbox")
		_, _ = io.WriteString(w, "mails at "+r.URL.Path)
	})
	h, err := New(services{}, func(context.Context) Page {
		return Page{Home: "CAD", Cards: []string{"<script>"}, Samples: []Account{{"admin", "a@<b>"}}}
	}, box, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const strict = "default-src 'none'; frame-ancestors 'none'"
	page := "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	for _, tc := range []struct {
		name, method, path string
		status             int
		body, policy       string
	}{
		{"the page, its values as text", "GET", "/", 200, "&lt;script&gt;", page},
		{"its sample users, too", "GET", "/", 200, "a@&lt;b&gt;", page},
		{"a service's description", "GET", "/docs/informer/index.html", 200, "informer /swagger/index.html", "default-src 'self'"},
		{"of a service that is away", "GET", "/docs/profiler/index.html", 502, "does not answer", ""},
		{"of a service that there is not", "GET", "/docs/rewarder/index.html", 404, "not_found", strict},
		{"the mailbox", "GET", "/mail/7", 200, "mails at /mail/7", "sandbox"},
		{"the mailbox's address without its slash", "GET", "/mail", 301, "", strict},
		{"the API is not here", "GET", "/campaign", 404, "not_found", strict},
		{"nobody may write", "POST", "/", 405, "method_not_allowed", strict},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), tc.method, tc.path, nil))
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.body) {
				t.Errorf("%d %s, want %d with %q", w.Code, w.Body, tc.status, tc.body)
			}
			if got := w.Header().Values("Content-Security-Policy"); tc.policy == "" && len(got) > 0 || tc.policy != "" && (len(got) != 1 || got[0] != tc.policy) {
				t.Errorf("Content-Security-Policy %q, want %q", got, tc.policy)
			}
		})
	}
}
