package frontdoor

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// door is a front door whose services answer with the path that they were asked for; profiler is
// away.
func door(t *testing.T) *httptest.Server {
	t.Helper()
	dir := t.TempDir()
	socket := func(name string) string {
		path := filepath.Join(dir, name)
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			io.WriteString(w, name+" "+r.URL.RequestURI())
		})}
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })
		return path
	}
	h, err := New(Backends{Campaignex: socket("c"), Informer: socket("i"), Profiler: filepath.Join(dir, "away")},
		func(context.Context) Page { return Page{Home: "CAD", Cards: []string{"<script>"}} }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

func TestFrontDoor(t *testing.T) {
	srv := door(t)
	for _, tc := range []struct {
		name, method, path, host string
		header                   map[string]string
		status                   int
		body                     string
	}{
		{"a service's route", "GET", "/campaign?page_size=1", "127.0.0.1:8080", nil, 200, "c /campaign?page_size=1"},
		{"below a service's route", "GET", "/reward/total/x", "localhost:8080", nil, 200, "i /reward/total/x"},
		{"its documentation", "GET", "/docs/informer/index.html", "localhost", nil, 200, "i /swagger/index.html"},
		{"a service that is away", "GET", "/card/type", "127.0.0.1", nil, 502, "service_away"},
		{"no such address", "GET", "/nothing", "127.0.0.1", nil, 404, "not_found"},
		{"the page, its values as text", "GET", "/", "127.0.0.1", nil, 200, "&lt;script&gt;"},
		{"IPv6 loopback", "GET", "/campaign", "[::1]:8080", nil, 200, "c /campaign"},
		{"localhost in capitals with a dot", "GET", "/campaign", "LOCALHOST.:8080", nil, 200, "c /campaign"},
		{"a name that was pointed here", "GET", "/campaign", "evil.example:8080", nil, 403, "wrong_host"},
		{"an address of another machine", "GET", "/campaign", "10.0.0.1", nil, 403, "wrong_host"},
		{"a form of another site", "POST", "/campaign", "127.0.0.1:8080", map[string]string{"Origin": "http://evil.example"}, 403, "cross_origin"},
		{"a script of another site", "POST", "/campaign", "127.0.0.1:8080", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, "cross_origin"},
		{"a program", "POST", "/campaign", "127.0.0.1:8080", nil, 200, "c /campaign"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), tc.method, srv.URL+tc.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = tc.host
			for k, v := range tc.header {
				r.Header.Set(k, v)
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tc.status || !strings.Contains(string(body), tc.body) {
				t.Errorf("%d %s, want %d with %q", res.StatusCode, body, tc.status, tc.body)
			}
			if got := len(res.Header.Values("X-Request-Id")); got != 1 {
				t.Errorf("%d request ids", got)
			}
		})
	}
}
