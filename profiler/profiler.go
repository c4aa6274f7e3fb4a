// Package profiler keeps what the bank knows of its people: accounts, the cards of cardholders, and
// the card types, which say in which unit a card earns and are published to etcd as campaigns are.
//
// Of a card's number only its last four digits and an HMAC are kept, the HMAC's key outside the
// database. How accounts sign in is in package signin, which stands on the same database.
package profiler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/mail"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

// Deps are what the service stands on; all of it is needed but Public and ClientAddress. Whoever made them closes them,
// but for the listeners.
type Deps struct {
	Store    Store
	Etcd     *clientv3.Client
	Listener net.Listener
	Internal net.Listener // for other services; never on the gateway
	Log      *slog.Logger
	Clock    func() time.Time
	Traces   *tracing.Provider // nil: nothing is traced

	DataKey  DataKey
	Identify func(*http.Request) (web.Caller, error) // says who calls, as web.Bearer does
	SignIn   SignIn
	Public   []string // routes of SignIn, as they are registered, that need no token
	// ClientAddress says whose word on where a person comes from is taken; its zero value takes nobody's.
	ClientAddress web.ClientAddress
	Passwords
}

// SignIn is how accounts sign in, as much as accounts need of it. Its methods may be called at once.
type SignIn interface {
	// Run does what answers do not wait for, until ctx ends, and returns when that is done.
	Run(ctx context.Context)
	// Routes adds the routes of the API, each with its role check.
	Routes(r gin.IRouter)
	// InternalRoutes adds those of the internal port.
	InternalRoutes(r gin.IRouter)
	// Fresh refuses callers whose session has ended since they got their token. It stands before
	// every route that writes.
	Fresh() gin.HandlerFunc

	// EmailChanged tells the address old that its account has the address now in its place. It is called
	// when the change is made, which stands whatever becomes of the mail.
	EmailChanged(ctx context.Context, old mail.Address, now string)
	// SendFirstPassword mails a first password that was set just now, and returns when the mail system
	// has taken it. After an error the account stands, and whoever made it is told.
	SendFirstPassword(ctx context.Context, to mail.Address, plain string) error
	// UnsubscribeToken is what stands in the link of a mail by which an account ends such mails.
	UnsubscribeToken(userID string) (string, error)
}

// Passwords is how passwords are judged and hashed.
type Passwords struct {
	// Hash returns what is kept of a password. It may wait for its turn, and ends with ctx.
	Hash func(ctx context.Context, plain string) (string, error)
	// CheckPassword returns loyalty.FieldErrors of the field password for one that may not be used;
	// personal are words that it must not be made of.
	CheckPassword func(plain string, personal ...string) error
	// Random makes a password that nobody guesses.
	Random func() string
}

// check says what is missing: a service that does not know who calls must not run.
func (d Deps) check() error {
	var errs []error
	for _, need := range []struct {
		there bool
		name  string
	}{
		{d.Identify != nil, "Identify"}, {d.SignIn != nil, "SignIn"}, {d.Internal != nil, "Internal"}, {!d.DataKey.IsZero(), "DataKey"},
		{d.Hash != nil, "Hash"}, {d.CheckPassword != nil, "CheckPassword"}, {d.Random != nil, "Random"},
	} {
		if !need.there {
			errs = append(errs, fmt.Errorf("it needs Deps.%s", need.name))
		}
	}
	return errors.Join(errs...)
}

// Run serves until ctx ends, then drains: requests in flight are answered, and what they changed
// is published if etcd is there. It returns nil after a clean drain.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	if err := errors.Join(cfg.Validate(), deps.check()); err != nil {
		err = errors.Join(fmt.Errorf("profiler: %w", err), deps.Listener.Close())
		if deps.Internal != nil {
			err = errors.Join(err, deps.Internal.Close())
		}
		return err
	}
	publisher := outbox.New(deps.Store, deps.Etcd, cfg.Outbox, deps.Log, deps.Clock)
	s := newService(cfg, deps, publisher)
	set := metrics.New("service", "profiler")
	publisher.Measure(set)
	s.meter = web.NewMeter(set)
	web.MeasureCertificate(set, deps.Listener, deps.Clock)
	s.traces = deps.Traces
	// It outlives ctx: requests that drain still leave it work.
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		deps.SignIn.Run(working)
	}()
	defer func() {
		stop()
		<-worked
	}()
	return publisher.While(ctx, func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		serve := func(l net.Listener, h http.Handler) {
			group.Go(func() error {
				return web.Server{Settle: cfg.Settle, Drain: cfg.Drain, Log: deps.Log}.Serve(ctx, l, h)
			})
		}
		serve(deps.Listener, deps.ClientAddress.Handler(s.routes(deps), deps.Log, deps.Clock))
		serve(deps.Internal, s.internalRoutes(deps))
		if err := group.Wait(); err != nil {
			return fmt.Errorf("profiler: %w", err)
		}
		return nil
	})
}
