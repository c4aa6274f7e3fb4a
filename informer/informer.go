// Package informer tells cardholders what they earned: pages of a card's history, its totals and
// its summary by month and kind of merchant, and other services a day's rewards. It reads the
// reward store and writes nothing.
package informer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// Deps are what the service stands on. Whoever made them closes them, but for the listeners.
type Deps struct {
	Store    Store
	Listener net.Listener
	Internal net.Listener // for the routes of other services, never on the gateway; nil: none
	Log      *slog.Logger
	Clock    func() time.Time
	Traces   *tracing.Provider // nil: nothing is traced
	// Identify says who calls: a web.Bearer.
	Identify func(*http.Request) (web.Caller, error)
	// Owner says whose a card is, "" where nobody's: a profile.Owners'.
	Owner func(ctx context.Context, card uuid.UUID) (string, error)
}

// Run serves until ctx ends, then drains. It returns nil after a clean drain.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	cfg = cfg.withDefaults()
	err := cfg.Validate()
	if deps.Identify == nil || deps.Owner == nil {
		err = errors.Join(err, errors.New("who calls cannot be told: Identify and Owner are needed"))
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("informer: %w", err), deps.Listener.Close())
		if deps.Internal != nil {
			err = errors.Join(err, deps.Internal.Close())
		}
		return err
	}
	s := newService(cfg, deps)
	set := metrics.New("service", "informer")
	s.meter = web.NewMeter(set)
	web.MeasureCertificate(set, deps.Listener, deps.Clock)
	s.traces = deps.Traces
	group, ctx := errgroup.WithContext(ctx)
	serve := func(l net.Listener, h http.Handler) {
		group.Go(func() error {
			return web.Server{Settle: cfg.Settle, Drain: cfg.Drain, Log: deps.Log}.Serve(ctx, l, h)
		})
	}
	serve(deps.Listener, s.routes())
	if deps.Internal != nil {
		serve(deps.Internal, s.internalRoutes())
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("informer: %w", err)
	}
	return nil
}
