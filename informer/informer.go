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

	"github.com/angelowl-loyalties/app/loyalty/web"
	"golang.org/x/sync/errgroup"
)

// Deps are what the service stands on. Whoever made them closes them, but for the listeners.
type Deps struct {
	Store    Store
	Listener net.Listener
	Internal net.Listener // for the routes of other services, never on the gateway; nil: none
	Log      *slog.Logger
	Clock    func() time.Time
}

// Run serves until ctx ends, then drains. It returns nil after a clean drain.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		err = errors.Join(fmt.Errorf("informer: %w", err), deps.Listener.Close())
		if deps.Internal != nil {
			err = errors.Join(err, deps.Internal.Close())
		}
		return err
	}
	s := newService(cfg, deps)
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
