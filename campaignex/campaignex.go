// Package campaignex keeps the rules that a bank's people write: campaigns, exclusions and the
// quotes of currencies. It serves them over HTTP, remembers every version of them, and publishes
// them to etcd, from where rewarders follow them.
package campaignex

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
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
	Traces   *tracing.Provider // nil: nothing is traced
	// Identify says who calls: a web.Bearer.
	Identify func(*http.Request) (web.Caller, error)
	// Session says whether the session of whoever writes still holds: a profile.Client's.
	Session func(ctx context.Context, account string) (profile.Session, error)
}

// Run serves until ctx ends, then drains: requests in flight are answered, and what they changed
// is published if etcd is there. It returns nil after a clean drain.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	err := cfg.Validate()
	if deps.Identify == nil || deps.Session == nil {
		err = errors.Join(err, errors.New("who calls cannot be told: Identify and Session are needed"))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("campaignex: %w", err), deps.Listener.Close())
	}
	publisher := outbox.New(deps.Store, deps.Etcd, cfg.Outbox, deps.Log, deps.Clock)
	s := newService(cfg, deps, publisher)
	set := metrics.New("service", "campaignex")
	publisher.Measure(set)
	s.meter = web.NewMeter(set)
	web.MeasureCertificate(set, deps.Listener, deps.Clock)
	s.traces = deps.Traces
	return publisher.While(ctx, func(ctx context.Context) error {
		server := web.Server{Settle: cfg.Settle, Drain: cfg.Drain, Log: deps.Log}
		if err := server.Serve(ctx, deps.Listener, s.routes()); err != nil {
			return fmt.Errorf("campaignex: %w", err)
		}
		return nil
	})
}
