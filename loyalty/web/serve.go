package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Server serves HTTP until its context ends, then drains.
type Server struct {
	// Settle is how long /health fails before the listener closes, so that a load balancer
	// looks elsewhere first. 0 on a laptop.
	Settle time.Duration
	// Drain is how long requests in flight may take after that.
	Drain time.Duration
	// Log takes what net/http says of broken connections; nil: nothing does.
	Log *slog.Logger
}

// Serve is Server{Drain: drain}.Serve.
func Serve(ctx context.Context, l net.Listener, h http.Handler, drain time.Duration) error {
	return Server{Drain: drain}.Serve(ctx, l, h)
}

// Serve serves h on l, which it closes, and GET /livez, until ctx ends: then /health answers 503, keep-alives go
// off, the listener closes and requests in flight end. It returns nil after a clean drain; past
// the drain's time it breaks what is left, and says so. A handler that writes for longer than two
// minutes sets its own deadlines by http.ResponseController.
func (s Server) Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	log := s.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var draining atomic.Bool
	// Requests outlive ctx, or a drain would break them.
	requests, breakOff := context.WithCancel(context.WithoutCancel(ctx))
	defer breakOff()
	srv := &http.Server{
		Handler:           unready(&draining, h),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}

	draining.Store(true)
	srv.SetKeepAlivesEnabled(false)
	if s.Settle > 0 {
		select {
		case err := <-ended:
			return fmt.Errorf("serving on %s: %w", l.Addr(), err)
		case <-time.After(s.Settle):
		}
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Drain)
	defer cancel()
	err := srv.Shutdown(deadline)
	if err != nil {
		breakOff()
		err = fmt.Errorf("draining %s for %s: %w", l.Addr(), s.Drain, errors.Join(err, srv.Close()))
	}
	<-ended // http.ErrServerClosed
	return err
}

// alive answers /livez: 200 for as long as the process answers at all, while it waits for a
// database and while it drains, too. Whoever restarts a process that hangs asks here; who sends
// it requests asks /health.
func alive(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/livez" {
		return false
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	secure(w.Header(), r, policyOfData)
	_, _ = io.WriteString(w, `{"status":"alive"}`+"\n")
	return true
}

// unready answers /livez, and /health and /readyz with 503 while the server drains.
func unready(draining *atomic.Bool, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if alive(w, r) {
			return
		}
		if (r.URL.Path == "/health" || r.URL.Path == "/readyz") && draining.Load() {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			secure(w.Header(), r, policyOfData)
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"status":"draining"}`+"\n")
			return
		}
		h.ServeHTTP(w, r)
	})
}
