package web

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
)

// Shutdown says how a service ends.
type Shutdown struct {
	Delay   time.Duration `env:"SHUTDOWN_DELAY" default:"5s" max:"5m" help:"how long /health fails before the port closes, so that load balancers look elsewhere first"`
	Timeout time.Duration `env:"SHUTDOWN_TIMEOUT" default:"10s" min:"1s" max:"45s" help:"how long requests in flight may take after that"`
}

// Step is something that a service needs before it can serve.
type Step struct {
	Name  string                          // for people: "the database"
	Again func(error) bool                // whether an error may pass, so that it is worth trying again
	Do    func(ctx context.Context) error // is called again until it returns nil
}

const (
	stepPause  = 250 * time.Millisecond // after the first failure
	stepPauses = 10 * time.Second       // at most
)

// Start takes steps one after another. A service whose database is away must not end: it would be
// started again and again, the pauses between growing. So it waits, with a log line for each try,
// and says so on l: until Start returns, GET /health is 503 {"status":"starting","reason":…} and
// everything else but /livez 503 "starting". l stays open, and whoever connects between Start and the service
// waits. An error that does not pass is returned at once.
func Start(ctx context.Context, l *Listener, log *slog.Logger, steps ...Step) error {
	w := &waiting{reason: "it has just begun"}
	srv := &http.Server{
		Handler: w, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	srv.SetKeepAlivesEnabled(false)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(lent{l}) // ErrServerClosed
	}()
	err := w.take(ctx, log, steps)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if srv.Shutdown(last) != nil {
		_ = srv.Close()
	}
	<-served
	if err != nil {
		_ = l.Close()
		return err
	}
	if err := l.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("listening again: %w", err)
	}
	return nil
}

// Take is Start for a program that does not serve.
func Take(ctx context.Context, log *slog.Logger, steps ...Step) error {
	return new(waiting).take(ctx, log, steps)
}

// lent is a listener that a server gives back instead of closing it.
type lent struct{ *Listener }

func (l lent) Close() error { return l.SetDeadline(time.Unix(1, 0)) }

// waiting answers while a service starts.
type waiting struct {
	mu     sync.Mutex
	reason string
}

func (w *waiting) take(ctx context.Context, log *slog.Logger, steps []Step) error {
	for _, s := range steps {
		pause := stepPause
		for {
			err := s.Do(ctx)
			if ctx.Err() != nil {
				return fmt.Errorf("waiting for %s: %w", s.Name, context.Cause(ctx))
			}
			if err == nil {
				break
			}
			if !s.Again(err) {
				return err
			}
			w.mu.Lock()
			w.reason = "it waits for " + s.Name
			w.mu.Unlock()
			log.Warn("waiting for "+s.Name+"; trying again", "error", loyalty.StarPANs(err.Error()), "pause", pause)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			pause = min(2*pause, stepPauses)
		}
	}
	return nil
}

// ServeHTTP is http.Handler's.
func (w *waiting) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	reason := w.reason
	w.mu.Unlock()
	if alive(rw, r) {
		return
	}
	var body any = map[string]string{"error": "the service is starting: " + reason, "code": "starting"}
	if r.URL.Path == "/health" {
		body = map[string]string{"status": "starting", "reason": reason}
	}
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	secure(rw.Header(), r, policyOfData)
	rw.Header().Set("Retry-After", "5")
	rw.WriteHeader(http.StatusServiceUnavailable)
	_ = json.NewEncoder(rw).Encode(body)
}
