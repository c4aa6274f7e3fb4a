package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	informercassandra "github.com/angelowl-loyalties/app/informer/cassandra"
	ingestorcassandra "github.com/angelowl-loyalties/app/ingestor/cassandra"
	"github.com/angelowl-loyalties/app/local/engines"
	"github.com/angelowl-loyalties/app/local/frontdoor"
	"github.com/angelowl-loyalties/app/local/kafka"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/etcdconn"
	"github.com/angelowl-loyalties/app/loyalty/pgsql"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	rewardercassandra "github.com/angelowl-loyalties/app/rewarder/cassandra"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// Keyspace is that of the reward store.
const Keyspace = "angelowl"

// EnginesDir is the folder of the real engines, in the data folder; see package engines.
const EnginesDir = "engines"

// openReal starts the real engines on the data folder and connects to them.
func (s *Stack) openReal(ctx context.Context, e *engineSet, log *slog.Logger) error {
	native, err := s.startNative(ctx, e)
	if err != nil {
		return err
	}
	settings := etcdconn.Settings{Endpoints: strings.Split(native[engines.Etcd], ",")}
	if e.etcd, err = settings.Open(log.With("service", "etcd")); err != nil {
		return err
	}
	e.later(e.etcd.Close)
	e.brokers = strings.Split(native[engines.Kafka], ",")
	if e.partitions, err = kafka.EnsureTopics(e.brokers, record.Topic, s.Partitions); err != nil {
		return err
	}
	rewards, err := openCassandra(ctx, rewarddb.Config{Hosts: strings.Split(native[engines.Cassandra], ","), Keyspace: Keyspace}, s.Timezone, log.With("service", "cassandra"))
	if err != nil {
		return err
	}
	e.rewards = rewards
	e.later(rewards.close)
	e.addresses = append(e.addresses, frontdoor.Address{Name: "Cassandra", Where: native[engines.Cassandra] + ", keyspace " + Keyspace})
	if conf, err := pgx.ParseConfig(native[engines.Postgres]); err == nil {
		e.addresses = append(e.addresses, frontdoor.Address{Name: "PostgreSQL", Where: fmt.Sprintf("%s:%d, user %s (password in %s)", conf.Host, conf.Port, conf.User,
			filepath.Join(s.Data, EnginesDir, string(engines.Postgres), "engine.json"))})
	}
	for _, name := range []string{campaignexDatabase, profilerDatabase} {
		dsn, err := makeDatabase(ctx, native[engines.Postgres], name)
		if err != nil {
			return err
		}
		at, err := pgsql.ParseDSN(dsn)
		if err != nil {
			return fmt.Errorf("opening the database %s: %w", name, err)
		}
		db, err := at.Open(name)
		if err != nil {
			return err
		}
		e.later(func() error { return closeDB(db) })
		e.sql[name] = db
	}
	return nil
}

// startNative starts the engines and returns their addresses. They end when e is closed, and with
// this process at the latest. One that runs there already is used, and goes on.
func (s *Stack) startNative(ctx context.Context, e *engineSet) (map[engines.Kind]string, error) {
	dir := filepath.Join(s.Data, EnginesDir)
	var mu sync.Mutex
	addrs := map[engines.Kind]string{}
	var g errgroup.Group
	for _, k := range engines.Kinds {
		g.Go(func() error {
			engine, err := engines.Start(ctx, dir, k, engines.Options{})
			theirs := errors.Is(err, engines.ErrRuns)
			if theirs {
				engine, err = engines.Open(ctx, dir, k)
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			addrs[k] = engine.Addr()
			if !theirs {
				e.later(func() error { return engine.Stop(context.WithoutCancel(ctx)) })
			}
			return nil
		})
	}
	return addrs, g.Wait()
}

// makeDatabase makes a database if it is not there, and returns its connection string.
func makeDatabase(ctx context.Context, dsn, name string) (_ string, err error) {
	conf, err := pgx.ParseConfig(dsn)
	if err != nil {
		return "", errors.New("the connection string of PostgreSQL cannot be read") // err would show it
	}
	conn, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return "", fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil {
		return "", fmt.Errorf("looking for the database %s: %w", name, err)
	}
	if !there {
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
			return "", fmt.Errorf("making the database %s: %w", name, err)
		}
	}
	return withDatabase(dsn, name)
}

// cassandra is both services' stores in one keyspace.
type cassandra struct {
	*rewardercassandra.Store
	reads   *informercassandra.Store
	points  *ingestorcassandra.Store
	session *gocql.Session // for All
	cards   string
}

func openCassandra(ctx context.Context, cfg rewarddb.Config, zone *time.Location, log *slog.Logger) (_ *cassandra, err error) {
	c := &cassandra{cards: "SELECT DISTINCT card_id FROM " + cfg.Rewards()}
	defer func() {
		if err != nil {
			_ = c.close()
		}
	}()
	if c.Store, err = rewardercassandra.Open(ctx, cfg, rewardercassandra.Options{Zone: zone, CreateKeyspace: true, Log: log}); err != nil {
		return nil, err
	}
	if c.reads, err = informercassandra.Open(ctx, cfg, log); err != nil {
		return nil, err
	}
	if c.points, err = ingestorcassandra.Open(ctx, cfg, log); err != nil {
		return nil, err
	}
	if c.session, err = rewarddb.Open(ctx, cfg, log); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *cassandra) close() error {
	if c.session != nil {
		c.session.Close()
	}
	if c.points != nil {
		c.points.Close()
	}
	if c.reads != nil {
		c.reads.Close()
	}
	if c.Store != nil {
		c.Store.Close()
	}
	return nil
}

// Reward is ingestor.RewardStore's.
func (c *cassandra) Reward(ctx context.Context, k loyalty.Key) (loyalty.Row, bool, error) {
	return c.points.Reward(ctx, k)
}

// Rewards is informer.Store's.
func (c *cassandra) Rewards(ctx context.Context, q informer.Query) (informer.Page, error) {
	return c.reads.Rewards(ctx, q)
}

// Day is informer.Store's.
func (c *cassandra) Day(ctx context.Context, q informer.DayQuery) (informer.Page, error) {
	return c.reads.Day(ctx, q)
}

// All is RewardStore's. It reads card after card, in the order of their tokens.
func (c *cassandra) All(ctx context.Context, f func(loyalty.Row) error) error {
	cards := c.session.Query(c.cards).IterContext(ctx)
	var id gocql.UUID
	for cards.Scan(&id) {
		for q := (informer.Query{Card: uuid.UUID(id), Limit: 1000}); ; {
			page, err := c.reads.Rewards(ctx, q)
			for i := 0; err == nil && i < len(page.Rows); i++ {
				err = f(page.Rows[i])
			}
			if err != nil {
				return errors.Join(err, cards.Close())
			}
			if page.Next == "" {
				break
			}
			q.After = page.Next
		}
	}
	if err := cards.Close(); err != nil {
		return fmt.Errorf("reading the cards of the reward store: %w", err)
	}
	return nil
}

// withDatabase is a connection string with another database.
func withDatabase(dsn, name string) (string, error) {
	if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		return dsn + " dbname=" + name, nil // of two the last counts
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return "", errors.New("the connection string of PostgreSQL is no URL") // err would show it
	}
	u.Path = "/" + name
	return u.String(), nil
}
