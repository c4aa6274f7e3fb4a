// Command profiler serves card types from PostgreSQL and publishes them to etcd.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/daemon"
	"github.com/angelowl-loyalties/app/loyalty/etcdconn"
	"github.com/angelowl-loyalties/app/loyalty/pgsql"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/angelowl-loyalties/app/profiler/postgres"
	clientv3 "go.etcd.io/etcd/client/v3"
)

//go:generate go test -run ^TestDocs$ -update

const about = "keeps what the bank knows of its cardholders: so far the card types, which it publishes."

type settings struct {
	Port     config.Port `env:"PORT" default:"8080" help:"TCP port of the API"`
	Database pgsql.Settings
	Etcd     etcdconn.Settings
	Shutdown web.Shutdown
}

func main() { daemon.Main("profiler", about, run) }

func run(ctx context.Context, s *settings, log *slog.Logger) (err error) {
	l, err := net.Listen("tcp", s.Port.Address())
	if err != nil {
		return fmt.Errorf("listening: %w", err)
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
	)
	err = web.Start(ctx, l.(*net.TCPListener), log,
		web.Step{Name: "the database", Again: ruledb.Unavailable, Do: func(ctx context.Context) (err error) {
			store, err = postgres.Open(ctx, db, time.Now)
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
	cfg := profiler.DefaultConfig()
	cfg.Settle, cfg.Drain = s.Shutdown.Delay, s.Shutdown.Timeout
	return profiler.Run(ctx, cfg, profiler.Deps{Store: store, Etcd: etcd, Listener: l, Log: log, Clock: time.Now})
}
