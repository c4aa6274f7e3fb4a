// Command campaignex serves campaigns, exclusions and quotes from PostgreSQL and publishes them to
// etcd.
package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/angelowl-loyalties/app/campaignex"
	"github.com/angelowl-loyalties/app/campaignex/postgres"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/daemon"
	"github.com/angelowl-loyalties/app/loyalty/etcdconn"
	"github.com/angelowl-loyalties/app/loyalty/pgsql"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
	"github.com/angelowl-loyalties/app/loyalty/web"
	clientv3 "go.etcd.io/etcd/client/v3"
)

//go:generate go test -run ^TestDocs$ -update

const about = "keeps campaigns, exclusions and quotes of currencies, and publishes them."

type settings struct {
	Port     config.Port      `env:"PORT" default:"8080" help:"TCP port of the API"`
	Home     loyalty.Currency `env:"HOME_CURRENCY" default:"SGD" help:"the bank's currency, ISO 4217"`
	Timezone *time.Location   `env:"BANK_TIMEZONE" default:"Asia/Singapore" help:"the bank's time zone: what is live today is what is live there"`
	Database pgsql.Settings
	Migrate  bool `env:"DB_MIGRATE" default:"true" help:"whether the schema is brought up to date at the start; false: the command migrate does it, and the start waits until it has"`
	Etcd     etcdconn.Settings
	Identity web.Identity
	Profiler profile.Settings
	Portal   web.Portal
	TLS      web.TLS
	Shutdown web.Shutdown
	Tracing  tracing.Settings
}

func main() {
	daemon.Main("campaignex", about, run, daemon.NewCommand("migrate", "brings the database's schema up to date, and ends.", migrate))
}

// migration are the settings of a program that does nothing but migrate.
type migration struct{ Database pgsql.Settings }

// migrate waits for the database as run does.
func migrate(ctx context.Context, s *migration, log *slog.Logger) (err error) {
	db, err := s.Database.Open("campaignex")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ruledb.Close(db)) }()
	return web.Take(ctx, log, web.Step{Name: "the database", Again: ruledb.Unavailable, Do: func(ctx context.Context) error {
		return postgres.Migrate(ctx, db, time.Now)
	}})
}

func run(ctx context.Context, s *settings, log *slog.Logger) (err error) {
	l, err := s.TLS.Listen(ctx, s.Port, log)
	if err != nil {
		return err
	}
	defer l.Close()
	db, err := s.Database.Open("campaignex")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ruledb.Close(db)) }()
	var (
		store *postgres.Store
		etcd  *clientv3.Client
	)
	err = web.Start(ctx, l, log,
		web.Step{Name: "the database", Again: ruledb.MayPass, Do: func(ctx context.Context) (err error) {
			open := postgres.Open
			if !s.Migrate {
				open = postgres.OpenMigrated
			}
			store, err = open(ctx, db, time.Now)
			return err
		}},
		web.Step{Name: "etcd", Again: etcdconn.Unavailable, Do: func(context.Context) (err error) {
			etcd, err = s.Etcd.Open(log)
			return err
		}},
	)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, etcd.Close()) }()
	traces, err := s.Tracing.Open(ctx, "campaignex")
	if err != nil {
		return err
	}
	defer traces.Done(log)
	cfg := campaignex.DefaultConfig()
	cfg.Home, cfg.Location = s.Home, s.Timezone
	cfg.Settle, cfg.Drain, cfg.Portal = s.Shutdown.Delay, s.Shutdown.Timeout, s.Portal.Origin
	client := s.Profiler.HTTPClient()
	defer client.CloseIdleConnections()
	return campaignex.Run(ctx, cfg, campaignex.Deps{
		Store: store, Etcd: etcd, Listener: l, Log: log, Clock: time.Now, Traces: traces,
		Identify: s.Identity.Bearer(client, time.Now), Session: s.Profiler.Client("campaignex", client, time.Now).Session,
	})
}
