// Command profiler serves accounts, cards and card types from PostgreSQL, and publishes card types to etcd.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/daemon"
	"github.com/angelowl-loyalties/app/loyalty/etcdconn"
	"github.com/angelowl-loyalties/app/loyalty/mail/mailer"
	"github.com/angelowl-loyalties/app/loyalty/pgsql"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/angelowl-loyalties/app/profiler/keys"
	"github.com/angelowl-loyalties/app/profiler/password"
	"github.com/angelowl-loyalties/app/profiler/postgres"
	"github.com/angelowl-loyalties/app/profiler/signin"
	clientv3 "go.etcd.io/etcd/client/v3"
)

//go:generate go test -run ^TestDocs$ -update

const about = "keeps accounts, cards and card types, publishes card types, and lets people and programs in."

type settings struct {
	Port     config.Port   `env:"PORT" default:"8080" help:"TCP port of the API"`
	Internal config.Port   `env:"INTERNAL_PORT" default:"8081" help:"TCP port of what other services ask; never on the gateway"`
	DataKey  config.Secret `env:"DATA_KEY" help:"32 random bytes in base64, as openssl rand -base64 32 makes them, that protect what is in the database: cards are found by their numbers and second factors read with it, so it never changes; keep a copy apart from the database's"`
	Admin    profiler.AdminSettings
	Zone     *time.Location `env:"BANK_TIMEZONE" default:"Asia/Singapore" help:"the bank's time zone: merchants' daily sums are of the day there"`
	MFA      bool           `env:"REQUIRE_MFA" default:"true" help:"whether bank and admin need a second factor (TOTP)"`
	Services config.Secret  `env:"SERVICE_SECRETS,optional" help:"what the system's own services sign in with, NAME=SECRET with commas between, each 32 characters or more: campaignex=…,emailer=…,informer=…,passworder=…,pet-rock=…,publish-single=…,rewarder=…,uploads=…"`
	Portal   web.Portal
	TLS      web.TLS
	Address  web.ClientAddress
	Party    token.Party
	Keys     keys.Settings
	Mail     mailer.Settings
	Database pgsql.Settings
	Migrate  bool `env:"DB_MIGRATE" default:"true" help:"whether the schema is brought up to date at the start; false: the command migrate does it, and the start waits until it has"`
	Etcd     etcdconn.Settings
	Shutdown web.Shutdown
	Tracing  tracing.Settings

	key      profiler.DataKey
	services map[string]config.Secret
}

// Check is config.Checker's.
func (s *settings) Check() (out []config.Problem) {
	if s.Port == s.Internal {
		out = append(out, config.Problem{Name: "INTERNAL_PORT", Reason: "is the same as PORT; what other services ask must not be had on the port of the API"})
	}
	var err error
	if s.key, err = profiler.ParseDataKey(s.DataKey.Reveal()); err != nil {
		out = append(out, config.Problem{Name: "DATA_KEY", Reason: err.Error()})
	}
	if s.services, err = signin.ParseServiceSecrets(s.Services); err != nil {
		out = append(out, config.Problem{Name: "SERVICE_SECRETS", Reason: "cannot be used: " + err.Error()})
	}
	if s.Portal.Origin == "" {
		out = append(out, config.Problem{Name: "PORTAL_ORIGIN", Reason: "is missing: the portal, https://host, to which links in mails lead"})
	}
	return out
}

func main() {
	daemon.Main("profiler", about, run, daemon.NewCommand("migrate", "brings the database's schema up to date, and ends.", migrate))
}

// migration are the settings of a program that does nothing but migrate.
type migration struct{ Database pgsql.Settings }

// migrate waits for the database as run does.
func migrate(ctx context.Context, s *migration, log *slog.Logger) (err error) {
	db, err := s.Database.Open("profiler")
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
	db, err := s.Database.Open("profiler")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ruledb.Close(db)) }()
	var (
		store *postgres.Store
		etcd  *clientv3.Client
		ring  *keys.Ring
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
		web.Step{Name: "the keys of tokens", Again: keys.Unavailable, Do: func(ctx context.Context) (err error) {
			ring, err = s.Keys.Open(ctx)
			return err
		}},
	)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, etcd.Close()) }()
	sender, err := mailer.Open(ctx, &s.Mail, time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sender.Close()) }()
	signInConfig := signin.DefaultConfig()
	signInConfig.Party, signInConfig.PortalOrigin, signInConfig.RequireMFA = s.Party, s.Portal.Origin, s.MFA
	signInConfig.Subkey, signInConfig.Zone = s.key.Subkey("totp"), s.Zone
	signIn, err := signin.New(signInConfig, signin.Deps{Store: store.SignIn(), Keys: ring, Mail: sender, Log: log, Clock: time.Now})
	if err != nil {
		return err
	}
	if err := signIn.EnsureServices(ctx, s.services); err != nil {
		return err
	}
	traces, err := s.Tracing.Open(ctx, "profiler")
	if err != nil {
		return err
	}
	defer traces.Done(log)
	cfg := profiler.DefaultConfig()
	cfg.Settle, cfg.Drain, cfg.Portal = s.Shutdown.Delay, s.Shutdown.Timeout, s.Portal.Origin
	deps := profiler.Deps{
		Store: store, Etcd: etcd, Listener: l, Log: log, Clock: time.Now, Traces: traces, DataKey: s.key, ClientAddress: s.Address,
		Identify: web.Bearer(signIn.Verifier()), SignIn: signIn, Public: signin.PublicRoutes,
		Passwords: profiler.Passwords{Hash: password.Hash, CheckPassword: password.Check, Random: password.Random},
	}
	if err := firstAdmin(ctx, s.Admin, deps, os.Stdout); err != nil {
		return err
	}
	if deps.Internal, err = s.TLS.Listen(ctx, s.Internal, log); err != nil {
		return fmt.Errorf("for other services: %w", err)
	}
	return profiler.Run(ctx, cfg, deps)
}

// firstAdmin makes the first admin. A password that was made up goes to out, where whoever starts the
// program for the first time sees it, and not to the log, which is kept.
func firstAdmin(ctx context.Context, s profiler.AdminSettings, deps profiler.Deps, out io.Writer) error {
	generated, made, err := profiler.FirstAdmin(ctx, deps.Store, s, deps.Passwords, deps.Clock())
	switch {
	case err != nil:
		return fmt.Errorf("making the first admin: %w", err)
	case made:
		deps.Log.Info("made the first admin, who has to change the password within 7 days")
	}
	if generated == "" {
		return nil
	}
	if _, err := fmt.Fprintf(out, "The first admin is %s with the password %s\nIt is shown this once, has to be changed at the first sign-in, and expires in 7 days.\n", s.Email, generated); err != nil {
		return fmt.Errorf("showing the first admin's password: %w", err)
	}
	return nil
}
