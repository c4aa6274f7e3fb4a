package web

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// held is a server with a request in flight that ends when told to.
type held struct {
	url     string
	release chan struct{}
	answer  chan string // of the request in flight; "" when it broke
	served  chan error
	stop    context.CancelFunc
	client  *http.Client
}

func hold(t *testing.T, s Server) *held {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	h := &held{
		url: "http://" + l.Addr().String(), release: make(chan struct{}),
		answer: make(chan string, 1), served: make(chan error, 1), stop: stop,
		client: &http.Client{Transport: &http.Transport{}},
	}
	t.Cleanup(h.client.CloseIdleConnections)
	began := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		close(began)
		select {
		case <-h.release:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "done")
	})
	go func() { h.served <- s.Serve(ctx, l, mux) }()
	go func() {
		_, body := h.get("/slow")
		h.answer <- body
	}()
	<-began
	return h
}

func (h *held) get(path string) (int, string) {
	resp, err := h.client.Get(h.url + path)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func TestServeDrains(t *testing.T) {
	h := hold(t, Server{Drain: time.Minute})
	if status, _ := h.get("/health"); status != 200 {
		t.Fatalf("health: %d", status)
	}
	h.stop()
	select {
	case err := <-h.served:
		t.Fatalf("ended with a request in flight: %v", err)
	case body := <-h.answer:
		t.Fatalf("the request in flight ended with %q", body)
	default:
	}
	close(h.release)
	if body := <-h.answer; body != "done" {
		t.Errorf("the request in flight got %q", body)
	}
	if err := <-h.served; err != nil {
		t.Errorf("a clean drain: %v", err)
	}
	if status, _ := h.get("/health"); status != 0 {
		t.Errorf("still answers %d", status)
	}
}

func TestReadinessFailsBeforeTheListenerCloses(t *testing.T) {
	h := hold(t, Server{Drain: time.Minute, Settle: 300 * time.Millisecond})
	h.stop()
	for {
		status, body := h.get("/health")
		if status == http.StatusServiceUnavailable {
			if !strings.Contains(body, "draining") {
				t.Error(body)
			}
			break
		}
		if status != 200 {
			t.Fatalf("the listener closed (%d) before readiness failed", status)
		}
	}
	close(h.release)
	if err := <-h.served; err != nil {
		t.Error(err)
	}
}

func TestServeBreaksWhatDoesNotEnd(t *testing.T) {
	h := hold(t, Server{Drain: 20 * time.Millisecond})
	h.stop()
	if err := <-h.served; err == nil || !strings.Contains(err.Error(), "draining") {
		t.Errorf("a drain that was cut short: %v", err)
	}
	<-h.answer
}

func TestServeSaysThatItsListenerFailed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := Serve(t.Context(), l, http.NotFoundHandler(), time.Second); err == nil {
		t.Error("no error")
	}
}

// TestAliveIsNotReady: who drains gets no more requests and is not restarted either.
func TestAliveIsNotReady(t *testing.T) {
	var draining atomic.Bool
	h := unready(&draining, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the service's") }))
	for _, tt := range []struct {
		path     string
		draining bool
		status   int
		body     string
	}{
		{"/livez", false, 200, `{"status":"alive"}` + "\n"},
		{"/health", false, 200, "the service's"},
		{"/readyz", false, 200, "the service's"},
		{"/livez", true, 200, `{"status":"alive"}` + "\n"},
		{"/health", true, 503, `{"status":"draining"}` + "\n"},
		{"/readyz", true, 503, `{"status":"draining"}` + "\n"},
		{"/campaign", true, 200, "the service's"},
	} {
		draining.Store(tt.draining)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", tt.path, nil))
		if w.Code != tt.status || w.Body.String() != tt.body {
			t.Errorf("%s, draining %t: %d %q, want %d %q", tt.path, tt.draining, w.Code, w.Body, tt.status, tt.body)
		}
	}
}
