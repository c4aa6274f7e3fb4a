//go:build unix

package engines_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/local/engines"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/jackc/pgx/v5"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerOf); dir != "" {
		own(dir)
	}
	// sarama's metrics tick for as long as the process lives.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

// client writes into an engine and reads from it as AngelOwl does.
type client struct {
	write func(ctx context.Context, addr, value string) error
	read  func(ctx context.Context, addr string) ([]string, error)
}

var clients = map[engines.Kind]client{
	engines.Kafka:     {writeKafka, readKafka},
	engines.Cassandra: {writeCassandra, readCassandra},
	engines.Postgres:  {writePostgres, readPostgres},
	engines.Etcd:      {writeEtcd, readEtcd},
}

// needEngines skips what `make check` leaves out.
func needEngines(t *testing.T) {
	t.Helper()
	if os.Getenv("ANGELOWL_ENGINES") == "none" {
		t.Skip("SKIPPED: it needs a real engine, and ANGELOWL_ENGINES=none")
	}
}

// JMX is open to whoever is on the machine: only where a test asks for it.
func TestJMXIsOpenedWhereItIsAskedFor(t *testing.T) {
	needEngines(t)
	without := t.TempDir()
	dir := filepath.Join(without, string(engines.Cassandra))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "engine.json"), []byte(`{"nodes": [{"host": "127.0.0.1", "ports": [12001, 12002]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, says, dir string
		kind            engines.Kind
		options         engines.Options
	}{
		{"another engine", "JMX is Cassandra's", t.TempDir(), engines.Kafka, engines.Options{JMX: true}},
		{"data of one without", "without JMX, or without users; use another folder", without, engines.Cassandra, engines.Options{JMX: true}},
		{"certificates of other nodes", "2 certificates are not one for each of 1 nodes", t.TempDir(), engines.Etcd, engines.Options{Secure: make([]engines.Certificate, 2)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := engines.Start(t.Context(), c.dir, c.kind, c.options); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %v, want %q", err, c.says)
			}
		})
	}
	e, err := engines.Open(t.Context(), without, engines.Cassandra)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Nodes[0].Nodetool(); err == nil || !strings.Contains(err.Error(), "without JMX") {
		t.Errorf("nodetool for one without JMX: %v", err)
	}
}

// What an engine acknowledged is there after SIGKILL, at the same address, and nothing is left of it
// when it has stopped.
func TestAnEngineThatIsKilledKeepsWhatItAcknowledged(t *testing.T) {
	needEngines(t)
	for _, k := range engines.Kinds {
		t.Run(string(k), func(t *testing.T) {
			if testing.Short() && (k == engines.Kafka || k == engines.Cassandra) {
				t.Skip("SKIPPED: it starts Java twice; -short does not")
			}
			t.Parallel()
			ctx := t.Context()
			e, err := engines.Start(ctx, t.TempDir(), k, engines.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Kill() })
			addr, pid, c := e.Addr(), e.PID(), clients[k]
			for i := range 20 {
				if err := c.write(ctx, addr, fmt.Sprint("before ", i)); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.Kill(); err != nil {
				t.Fatal(err)
			}
			gone(t, e, pid)
			if err := c.write(ctx, addr, "while it is down"); err == nil {
				t.Fatal("it acknowledged a write while it was down")
			}

			if err := e.Start(ctx); err != nil {
				t.Fatal(err)
			}
			if e.Addr() != addr || e.PID() == pid || e.PID() == 0 {
				t.Fatalf("it was at %s as %d and is at %s as %d", addr, pid, e.Addr(), e.PID())
			}
			if err := c.write(ctx, addr, "after"); err != nil {
				t.Fatal(err)
			}
			got, err := c.read(ctx, addr)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				if want := fmt.Sprint("before ", i); !slices.Contains(got, want) {
					t.Errorf("%q was acknowledged and is gone", want)
				}
			}
			if !slices.Contains(got, "after") {
				t.Error("it is not there after the restart")
			}
			pid = e.PID()
			if err := e.Stop(ctx); err != nil {
				t.Fatal(err)
			}
			gone(t, e, pid)
		})
	}
}

// gone fails the test if a stopped engine has a process or listens.
func gone(t *testing.T, e *engines.Engine, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is there still: %v", pid, err)
	}
	for _, n := range e.Nodes {
		host := n.Addr
		if e.Kind == engines.Postgres {
			cfg, err := pgx.ParseConfig(n.Addr)
			if err != nil {
				t.Fatal(err)
			}
			host = fmt.Sprintf("%s:%d", cfg.Host, cfg.Port)
		}
		if c, err := net.DialTimeout("tcp", host, time.Second); err == nil {
			_ = c.Close()
			t.Errorf("%s is listened on still", host)
		}
	}
}

func kafkaConfig() *sarama.Config {
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V3_6_0_0
	cfg.Metadata.Retry.Max = 1
	cfg.Producer.RequiredAcks = sarama.WaitForAll
	cfg.Producer.Return.Successes = true
	return cfg
}

const topic = "engines-test"

func writeKafka(_ context.Context, addr, value string) error {
	addrs := strings.Split(addr, ",")
	admin, err := sarama.NewClusterAdmin(addrs, kafkaConfig())
	if err != nil {
		return err
	}
	defer admin.Close()
	err = admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: -1}, false)
	if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return err
	}
	p, err := sarama.NewSyncProducer(addrs, kafkaConfig())
	if err != nil {
		return err
	}
	_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)})
	return errors.Join(err, p.Close())
}

func readKafka(ctx context.Context, addr string) ([]string, error) {
	c, err := sarama.NewClient(strings.Split(addr, ","), kafkaConfig())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	end, err := c.GetOffset(topic, 0, sarama.OffsetNewest)
	if err != nil {
		return nil, err
	}
	consumer, err := sarama.NewConsumerFromClient(c)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	p, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	var all []string
	for {
		select {
		case m := <-p.Messages():
			all = append(all, string(m.Value))
			if m.Offset == end-1 {
				return all, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func cassandraSession(addr string) (*gocql.Session, error) {
	cfg := gocql.NewCluster(strings.Split(addr, ",")...)
	cfg.Consistency = gocql.Quorum
	cfg.NumConns, cfg.ReconnectionPolicy = 1, &gocql.ConstantReconnectionPolicy{MaxRetries: 1} // nothing outlives the session
	cfg.Timeout, cfg.ConnectTimeout = 10*time.Second, 10*time.Second
	return cfg.CreateSession()
}

func writeCassandra(ctx context.Context, addr, value string) error {
	s, err := cassandraSession(addr)
	if err != nil {
		return err
	}
	defer s.Close()
	replicas := len(strings.Split(addr, ","))
	for _, ddl := range []string{
		fmt.Sprintf("CREATE KEYSPACE IF NOT EXISTS engines_test WITH replication = {'class': 'SimpleStrategy', 'replication_factor': %d}", replicas),
		"CREATE TABLE IF NOT EXISTS engines_test.t (v text PRIMARY KEY)",
	} {
		if err := s.Query(ddl).ExecContext(ctx); err != nil {
			return err
		}
	}
	return s.Query("INSERT INTO engines_test.t (v) VALUES (?)", value).ExecContext(ctx)
}

func readCassandra(ctx context.Context, addr string) ([]string, error) {
	s, err := cassandraSession(addr)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var all []string
	var v string
	rows := s.Query("SELECT v FROM engines_test.t").IterContext(ctx)
	for rows.Scan(&v) {
		all = append(all, v)
	}
	return all, rows.Close()
}

func writePostgres(ctx context.Context, addr, value string) error {
	c, err := pgx.Connect(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, "CREATE TABLE IF NOT EXISTS t (v text)"); err != nil {
		return err
	}
	_, err = c.Exec(ctx, "INSERT INTO t VALUES ($1)", value)
	return err
}

func readPostgres(ctx context.Context, addr string) ([]string, error) {
	c, err := pgx.Connect(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer c.Close(ctx)
	rows, err := c.Query(ctx, "SELECT v FROM t")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func etcdClient(addr string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: strings.Split(addr, ","), DialTimeout: 5 * time.Second})
}

func writeEtcd(ctx context.Context, addr, value string) error {
	c, err := etcdClient(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	_, err = c.Put(ctx, "engines-test/"+value, value)
	return err
}

func readEtcd(ctx context.Context, addr string) ([]string, error) {
	c, err := etcdClient(addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	got, err := c.Get(ctx, "engines-test/", clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	var all []string
	for _, kv := range got.Kvs {
		all = append(all, string(kv.Value))
	}
	return all, nil
}
