package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/angelowl-loyalties/app/local/kafka"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	"github.com/angelowl-loyalties/app/rewarder/cassandra"
)

type postgresSettings struct {
	DSN        string        `env:"DB_CONN_STRING" help:"PostgreSQL's server: postgres://host:5432/postgres"`
	User       string        `env:"DB_USER" help:"a user who may make others"`
	Password   config.Secret `env:"DB_PASS" help:"that user's password"`
	Campaignex config.Secret `env:"CAMPAIGNEX_DB_PASS" help:"the password that the user campaignex gets"`
	Profiler   config.Secret `env:"PROFILER_DB_PASS" help:"the password that the user profiler gets"`
}

// preparePostgres makes a user and a database of that user's for each service that has one.
func preparePostgres(ctx context.Context, s *postgresSettings, log *slog.Logger) (err error) {
	conf, err := pgx.ParseConfig(s.DSN)
	if err != nil {
		return errors.New("DB_CONN_STRING cannot be read") // err would show it
	}
	conf.User, conf.Password = s.User, s.Password.Reveal()
	var conn *pgx.Conn
	if err := again(ctx, log, "PostgreSQL", func(ctx context.Context) (err error) {
		conn, err = pgx.ConnectConfig(ctx, conf)
		return err
	}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	for name, password := range map[string]config.Secret{"campaignex": s.Campaignex, "profiler": s.Profiler} {
		var user, database bool
		err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1), EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).
			Scan(&user, &database)
		if err != nil {
			return fmt.Errorf("looking for the database %s: %w", name, err)
		}
		ident := pgx.Identifier{name}.Sanitize()
		verb := "CREATE"
		if user { // the secrets may be newer than the data
			verb = "ALTER"
		}
		// No statement about a user takes parameters; quote_literal is the server's own.
		var literal string
		if err := conn.QueryRow(ctx, "SELECT quote_literal($1::text)", password.Reveal()).Scan(&literal); err != nil {
			return fmt.Errorf("making the user %s: %w", name, err)
		}
		if _, err := conn.Exec(ctx, verb+" ROLE "+ident+" LOGIN PASSWORD "+literal); err != nil {
			return fmt.Errorf("making the user %s: %w", name, err)
		}
		if !database {
			if _, err := conn.Exec(ctx, "CREATE DATABASE "+ident+" OWNER "+ident+" ENCODING 'UTF8' TEMPLATE template0"); err != nil {
				return fmt.Errorf("making the database %s: %w", name, err)
			}
		}
		log.Info("a database is there", "name", name, "made", !database)
	}
	return nil
}

type cassandraSettings struct {
	Zone  *time.Location `env:"BANK_TIMEZONE" default:"Asia/Singapore" help:"the bank's time zone; the same as the rewarders'"`
	Store rewarddb.Settings
}

// prepareCassandra makes the keyspace, with one replica, and the tables in it as rewarder would.
func prepareCassandra(ctx context.Context, s *cassandraSettings, log *slog.Logger) error {
	return again(ctx, log, "Cassandra", func(ctx context.Context) error {
		store, err := cassandra.Open(ctx, s.Store.Config(), cassandra.Options{Zone: s.Zone, CreateKeyspace: true, Log: log})
		if err != nil {
			return err
		}
		store.Close()
		return nil
	})
}

type kafkaSettings struct {
	Topic      string `env:"TOPIC" default:"transaction" help:"the topic of transactions"`
	Partitions int    `env:"PARTITIONS" default:"4" min:"1" max:"256" help:"its partitions, fixed for life"`
	Kafka      kafkaconn.Settings
}

// prepareKafka makes the topics of transactions and of dead letters.
func prepareKafka(ctx context.Context, s *kafkaSettings, log *slog.Logger) error {
	return again(ctx, log, "Kafka", func(context.Context) error {
		n, err := kafka.EnsureTopics(s.Kafka.Brokers, s.Topic, s.Partitions)
		if err == nil {
			log.Info("the topics are there", "partitions", n)
		}
		return err
	})
}
