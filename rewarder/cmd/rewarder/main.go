// Command rewarder turns transactions in Kafka into rewards in Cassandra.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/daemon"
	"github.com/angelowl-loyalties/app/loyalty/etcdconn"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/rewarder"
	"github.com/angelowl-loyalties/app/rewarder/cassandra"
	"github.com/angelowl-loyalties/app/rewarder/ops"
	clientv3 "go.etcd.io/etcd/client/v3"
)

//go:generate go test -run ^TestDocs$ -update

const about = "turns transactions into rewards."

type settings struct {
	Port     config.Port      `env:"PORT" default:"8080" help:"TCP port of /health, /readyz, /livez, /metrics and, for admins, /ops"`
	Home     loyalty.Currency `env:"HOME_CURRENCY" default:"SGD" help:"the bank's currency, ISO 4217; it is part of every rule set"`
	Timezone *time.Location   `env:"BANK_TIMEZONE" default:"Asia/Singapore" help:"the bank's time zone, fixed for the life of a reward store: its days are those of the index"`
	Topic    string           `env:"TOPIC" default:"transaction" help:"the topic of transactions; its dead letters go to the topic of that name with .dlq, its rule sets to that with .rules"`
	Group    string           `env:"CONSUMER_GROUP" default:"rewarder" help:"the consumer group of all rewarders"`
	Instance string           `env:"GROUP_INSTANCE_ID,optional" help:"makes the rewarder a static member of the group; one of its own for each"`
	Session  time.Duration    `env:"GROUP_SESSION_TIMEOUT" default:"10s" min:"6s" max:"30m" help:"how long the group waits for a rewarder that is silent before others get its partitions; with GROUP_INSTANCE_ID longer than a restart takes"`
	Name     string           `env:"REWARDER_NAME,optional" help:"what it is called in the status; default: the host's name"`
	Drain    time.Duration    `env:"SHUTDOWN_TIMEOUT" default:"10s" min:"1s" max:"45s" help:"how long writes under way may take when a partition is given back"`
	Kafka    kafkaconn.Settings
	Etcd     etcdconn.Settings
	Store    rewarddb.Settings
	Identity web.Identity
	Profiler profile.Settings
	Portal   web.Portal
	TLS      web.TLS
	Migrate  bool `env:"DB_MIGRATE" default:"true" help:"whether the reward store's tables are brought up to date at the start; false: the command migrate does it, and the start waits until it has"`
	Tracing  tracing.Settings
}

func main() {
	daemon.Main("rewarder", about, run,
		daemon.NewCommand("migrate", "brings the reward store's tables up to date, and ends.", migrate),
		daemon.NewProgram("erase", "[--config FILE] CARD_ID…", "erases cards' rewards for good, and ends.", erase))
}

// migration are the settings of a program that does nothing but migrate.
type migration struct{ Store rewarddb.Settings }

// migrate waits for the reward store as run does.
func migrate(ctx context.Context, s *migration, log *slog.Logger) error {
	return web.Take(ctx, log, web.Step{Name: "the reward store", Again: rewarddb.MayPass, Do: func(ctx context.Context) error {
		return cassandra.Migrate(ctx, s.Store.Config(), log)
	}})
}

func run(ctx context.Context, s *settings, log *slog.Logger) (err error) {
	if s.Name == "" {
		if s.Name, err = os.Hostname(); err != nil {
			return fmt.Errorf("finding the host's name: %w", err)
		}
	}
	l, err := s.TLS.Listen(ctx, s.Port, log)
	if err != nil {
		return err
	}
	defer l.Close()
	var (
		store *cassandra.Store
		etcd  *clientv3.Client
	)
	defer func() {
		if store != nil {
			store.Close()
		}
	}()
	// Kafka is not among them: the rewarder waits for it by itself.
	err = web.Start(ctx, l, log,
		web.Step{Name: "the reward store", Again: rewarddb.MayPass, Do: func(ctx context.Context) (err error) {
			store, err = cassandra.Open(ctx, s.Store.Config(), cassandra.Options{Zone: s.Timezone, Migrated: !s.Migrate, Log: log})
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
	traces, err := s.Tracing.Open(ctx, "rewarder")
	if err != nil {
		return err
	}
	defer traces.Done(log)
	desk := ops.New(ops.Config{Home: s.Home, Topic: s.Topic, Group: s.Group, MaxRecords: ops.MaxRecords}, ops.Deps{
		Etcd: etcd, Clock: time.Now,
		Kafka: func() (sarama.Client, error) { return ops.Connect(s.Kafka.Brokers, "angelowl-ops", s.Kafka.Apply) },
	})
	defer func() { err = errors.Join(err, desk.Close()) }()
	client := s.Profiler.HTTPClient()
	defer client.CloseIdleConnections()
	counted := metrics.New("service", "rewarder")
	web.MeasureCertificate(counted, l, time.Now)
	service := ops.Service{
		Desk: desk, Log: log, Portal: s.Portal.Origin, Meter: web.NewMeter(counted), Traces: traces,
		Identify: s.Identity.Bearer(client, time.Now), Session: s.Profiler.Client("rewarder", client, time.Now).Session,
	}
	return rewarder.Run(ctx, rewarder.Config{
		Brokers: s.Kafka.Brokers, Group: s.Group, Name: s.Name, Home: s.Home, Topic: s.Topic, InstanceID: s.Instance, SessionTimeout: s.Session, DrainTimeout: s.Drain,
	}, rewarder.Deps{Store: store, Etcd: etcd, Listener: l, Log: log, Clock: time.Now, Kafka: s.Kafka.Apply, Ops: service.Handler(), More: counted, Traces: traces})
}
