// Package profiler keeps what the bank knows of its cardholders. So far that is the card types:
// which kinds of cards there are and in which unit each earns. They are published to etcd as
// campaigns are.
package profiler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/web"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Deps are what the service stands on. Whoever made them closes them, but for the listener.
type Deps struct {
	Store    Store
	Etcd     *clientv3.Client
	Listener net.Listener
	Log      *slog.Logger
	Clock    func() time.Time
}

// Run serves until ctx ends, then drains: requests in flight are answered, and what they changed
// is published if etcd is there. It returns nil after a clean drain.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	if err := cfg.Validate(); err != nil {
		return errors.Join(fmt.Errorf("profiler: %w", err), deps.Listener.Close())
	}
	publisher := outbox.New(deps.Store, deps.Etcd, cfg.Outbox, deps.Log, deps.Clock)
	s := newService(cfg, deps, publisher)
	return publisher.While(ctx, func(ctx context.Context) error {
		server := web.Server{Settle: cfg.Settle, Drain: cfg.Drain, Log: deps.Log}
		if err := server.Serve(ctx, deps.Listener, s.routes()); err != nil {
			return fmt.Errorf("profiler: %w", err)
		}
		return nil
	})
}
