// Command informer serves cardholders' rewards from Cassandra.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/informer/cassandra"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/daemon"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

//go:generate go test -run ^TestDocs$ -update

const about = "tells cardholders what they earned, and why."

type settings struct {
	Port     config.Port      `env:"PORT" default:"8080" help:"TCP port of the API"`
	Internal config.Port      `env:"INTERNAL_PORT" default:"8081" help:"TCP port of what other services ask; never on the gateway"`
	Home     loyalty.Currency `env:"HOME_CURRENCY" default:"SGD" help:"the bank's currency, ISO 4217"`
	Timezone *time.Location   `env:"BANK_TIMEZONE" default:"Asia/Singapore" help:"the bank's time zone: today is the day there"`
	Store    rewarddb.Settings
	Identity web.Identity
	Profiler profile.Settings
	Portal   web.Portal
	TLS      web.TLS
	Shutdown web.Shutdown
	Tracing  tracing.Settings
}

// Check is config.Checker's.
func (s *settings) Check() []config.Problem {
	if s.Port == s.Internal {
		return []config.Problem{{Name: "INTERNAL_PORT", Reason: "is the same as PORT; what other services ask must not be had on the port of the API"}}
	}
	return nil
}

func main() {
	daemon.Main("informer", about, run,
		daemon.NewProgram("earned", "[--config FILE] CAMPAIGN_ID FROM TO", "adds up what a campaign has given, and ends.", earned))
}

func run(ctx context.Context, s *settings, log *slog.Logger) error {
	l, err := s.TLS.Listen(ctx, s.Port, log)
	if err != nil {
		return err
	}
	defer l.Close()
	var store *cassandra.Store
	err = web.Start(ctx, l, log,
		web.Step{Name: "the reward store", Again: rewarddb.MayPass, Do: func(ctx context.Context) (err error) {
			store, err = cassandra.Open(ctx, s.Store.Config(), log)
			return err
		}})
	if err != nil {
		return err
	}
	defer store.Close()
	internal, err := s.TLS.Listen(ctx, s.Internal, log)
	if err != nil {
		return fmt.Errorf("for other services: %w", err)
	}
	traces, err := s.Tracing.Open(ctx, "informer")
	if err != nil {
		return err
	}
	defer traces.Done(log)
	client := s.Profiler.HTTPClient()
	defer client.CloseIdleConnections()
	owners := profile.NewOwners(s.Profiler.Client("informer", client, time.Now).Card, time.Now)
	return informer.Run(ctx,
		informer.Config{Home: s.Home, Timezone: s.Timezone, Settle: s.Shutdown.Delay, Drain: s.Shutdown.Timeout, Portal: s.Portal.Origin},
		informer.Deps{
			Store: store, Listener: l, Internal: internal, Log: log, Clock: time.Now, Traces: traces,
			Identify: s.Identity.Bearer(client, time.Now), Owner: owners.Owner,
		})
}
