//go:build unix

// Package enginestest gives tests the real engines, and in them a database, keyspace, topics or keys
// of the test's own.
//
// Where an engine's variable (engines.Kind.Variable) is set, as `engines run` and people do, that
// engine is used; else one is started for as long as the test binary lives. A package that uses this
// has
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(enginestest.Main(m)) }
//
// An engine that is neither there nor named fails the test with words that say what to do. With
// ANGELOWL_ENGINES=none, which `make check` says, such tests are skipped instead.
package enginestest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/local/engines"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/jackc/pgx/v5"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.uber.org/goleak"
)

// own are the engines that this test binary started.
var own struct {
	sync.Mutex
	addrs map[engines.Kind]func() (string, error)
	dir   string
	ends  []func() error // what Main does when the tests have run, the last first
}

// Addr returns the address of a running engine, in the form of engines.Engine.Addr. Tests share it:
// who kills one takes Start.
func Addr(t testing.TB, k engines.Kind) string {
	t.Helper()
	if addr := os.Getenv(k.Variable()); addr != "" {
		return addr
	}
	skip(t)
	own.Lock()
	start, ok := own.addrs[k]
	if !ok {
		start = sync.OnceValues(func() (string, error) { return startOwn(k) })
		if own.addrs == nil {
			own.addrs = map[engines.Kind]func() (string, error){}
		}
		own.addrs[k] = start
	}
	own.Unlock()
	addr, err := start()
	if err != nil {
		t.Fatalf("This test needs a real %s. %v", k, err)
	}
	return addr
}

func startOwn(k engines.Kind) (string, error) {
	dir, err := ownDir()
	if err != nil {
		return "", err
	}
	e, err := engines.Start(context.Background(), dir, k, engines.Options{})
	if err != nil {
		return "", err
	}
	return e.Addr(), nil
}

func ownDir() (string, error) {
	own.Lock()
	defer own.Unlock()
	if own.dir == "" {
		dir, remove, err := engines.Temp(context.Background())
		if err != nil {
			return "", err
		}
		own.dir, own.ends = dir, append(own.ends, remove)
	}
	return own.dir, nil
}

// Start runs an engine for this test alone, which may kill it, and stops it when the test ends.
func Start(t testing.TB, k engines.Kind, o engines.Options) *engines.Engine {
	t.Helper()
	skip(t)
	e, err := engines.Start(t.Context(), t.TempDir(), k, o)
	if err != nil {
		t.Fatalf("This test needs a real %s of its own. %v", k, err)
	}
	t.Cleanup(func() {
		if err := e.Kill(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func skip(t testing.TB) {
	t.Helper()
	if os.Getenv("ANGELOWL_ENGINES") == "none" {
		t.Skip("SKIPPED: it needs a real engine, and ANGELOWL_ENGINES=none")
	}
}

// Main wraps the tests of a package: when they have run it ends the engines that they started.
func Main(m *testing.M) goleak.TestingM { return tests{m} }

type tests struct{ m *testing.M }

func (t tests) Run() int {
	code := t.m.Run()
	own.Lock()
	defer own.Unlock()
	for _, end := range slices.Backward(own.ends) {
		if err := end(); err != nil {
			fmt.Fprintln(os.Stderr, "cleaning up after the tests:", err)
			code = max(code, 1)
		}
	}
	return code
}

// name is one that nothing else has in an engine.
func name() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	return "angelowl_test_" + hex.EncodeToString(b)
}

// cleanup runs when the test ends, with a context of its own.
func cleanup(t testing.TB, what string, f func(context.Context) error) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := f(ctx); err != nil {
			t.Errorf("removing %s: %v", what, err)
		}
	})
}

// Database makes an empty PostgreSQL database, returns its connection string, and drops it when the
// test ends.
func Database(t testing.TB) string {
	t.Helper()
	dsn := Addr(t, engines.Postgres)
	db := name()
	if err := createDatabase(t.Context(), dsn, db, ""); err != nil {
		t.Fatal(err)
	}
	cleanup(t, "the database "+db, func(ctx context.Context) error { return dropDatabase(ctx, dsn, db) })
	return within(t, dsn, db)
}

// Template is a PostgreSQL database that is prepared once for a test binary and copied for each
// test, which is sooner done than migrating each.
type Template struct {
	// Prepare migrates the empty database of the connection string, and leaves no connection to it.
	Prepare func(ctx context.Context, dsn string) error

	once sync.Once
	db   string
	err  error
}

// Database copies the template, returns the copy's connection string, and drops the copy when the
// test ends.
func (p *Template) Database(t testing.TB) string {
	t.Helper()
	dsn := Addr(t, engines.Postgres)
	p.once.Do(func() {
		p.db = name()
		if p.err = createDatabase(t.Context(), dsn, p.db, ""); p.err != nil {
			return
		}
		own.Lock()
		own.ends = append(own.ends, func() error { return dropDatabase(context.Background(), dsn, p.db) })
		own.Unlock()
		p.err = p.Prepare(t.Context(), within(t, dsn, p.db))
	})
	if p.err != nil {
		t.Fatalf("preparing the template database: %v", p.err)
	}
	db := name()
	if err := createDatabase(t.Context(), dsn, db, p.db); err != nil {
		t.Fatal(err)
	}
	cleanup(t, "the database "+db, func(ctx context.Context) error { return dropDatabase(ctx, dsn, db) })
	return within(t, dsn, db)
}

func createDatabase(ctx context.Context, dsn, db, template string) error {
	sql := "CREATE DATABASE " + db
	if template != "" {
		sql += " TEMPLATE " + template
	}
	return execute(ctx, dsn, sql)
}

func dropDatabase(ctx context.Context, dsn, db string) error {
	return execute(ctx, dsn, "DROP DATABASE "+db+" WITH (FORCE)")
}

func execute(ctx context.Context, dsn, sql string) error {
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// within returns the connection string of another database of the same server.
func within(t testing.TB, dsn, db string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" {
		t.Fatalf("%s has to be a URL, postgres://user:password@host:port/postgres", engines.Postgres.Variable())
	}
	u.Path = "/" + db
	return u.String()
}

// Keyspace makes a Cassandra keyspace, on as many replicas as there are nodes but on three at most,
// and drops it when the test ends. It returns the nodes' host:port with commas between, and the
// keyspace's name.
func Keyspace(t testing.TB) (addr, keyspace string) {
	t.Helper()
	addr = Addr(t, engines.Cassandra)
	return addr, KeyspaceAt(t, addr)
}

// KeyspaceAt is Keyspace for an engine of the test's own.
func KeyspaceAt(t testing.TB, addr string) string {
	t.Helper()
	keyspace := name()
	s := session(t, addr)
	defer s.Close()
	peers := 0
	if err := s.Query("SELECT count(*) FROM system.peers").Scan(&peers); err != nil {
		t.Fatalf("asking Cassandra at %s for its nodes: %v", addr, err)
	}
	ddl := fmt.Sprintf("CREATE KEYSPACE %s WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': %d}", keyspace, min(peers+1, 3))
	if err := s.Query(ddl).Exec(); err != nil {
		t.Fatalf("%s: %v", ddl, err)
	}
	cleanup(t, "the keyspace "+keyspace, func(ctx context.Context) error {
		s := session(t, addr)
		defer s.Close()
		return s.Query("DROP KEYSPACE " + keyspace).ExecContext(ctx)
	})
	return keyspace
}

func session(t testing.TB, addr string) *gocql.Session {
	t.Helper()
	cfg := gocql.NewCluster(strings.Split(addr, ",")...)
	if _, port, err := net.SplitHostPort(strings.Split(addr, ",")[0]); err == nil {
		cfg.Port, _ = strconv.Atoi(port) // nodes that are found have the port of the first
	}
	// One connection that is tried once: what the driver does besides outlives the session for a while.
	cfg.NumConns, cfg.ReconnectionPolicy = 1, &gocql.ConstantReconnectionPolicy{MaxRetries: 1}
	cfg.ProtoVersion, cfg.Timeout, cfg.ConnectTimeout = 4, 30*time.Second, 10*time.Second
	s, err := cfg.CreateSession()
	if err != nil {
		t.Fatalf("connecting to Cassandra at %s: %v", addr, err)
	}
	return s
}

// Topics returns the brokers' host:port with commas between and a prefix for names of topics and
// groups that nothing else has. Topics with the prefix are deleted when the test ends.
func Topics(t testing.TB) (addr, prefix string) {
	t.Helper()
	addr, prefix = Addr(t, engines.Kafka), name()+"_"
	cleanup(t, "the topics "+prefix+"…", func(context.Context) error {
		cfg := sarama.NewConfig()
		cfg.Version = sarama.V3_6_0_0
		admin, err := sarama.NewClusterAdmin(strings.Split(addr, ","), cfg)
		if err != nil {
			return err
		}
		defer admin.Close()
		topics, err := admin.ListTopics()
		if err != nil {
			return err
		}
		for topic := range topics {
			if strings.HasPrefix(topic, prefix) {
				if err := admin.DeleteTopic(topic); err != nil {
					return fmt.Errorf("%s: %w", topic, err)
				}
			}
		}
		return nil
	})
	return addr, prefix
}

// Keys returns a client of etcd that sees keys of its own alone, from the root on, and removes them
// and closes when the test ends. Its watches, transactions and leases are of those keys; a lease's
// number is not.
func Keys(t testing.TB) *clientv3.Client {
	t.Helper()
	addr := Addr(t, engines.Etcd)
	c, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(addr, ","), DialTimeout: 5 * time.Second})
	if err != nil {
		t.Fatalf("connecting to etcd at %s: %v", addr, err)
	}
	prefix := name() + "/"
	all := c.KV
	c.KV = namespace.NewKV(c.KV, prefix)
	c.Watcher = namespace.NewWatcher(c.Watcher, prefix)
	c.Lease = namespace.NewLease(c.Lease, prefix)
	cleanup(t, "the keys "+prefix+"…", func(ctx context.Context) error {
		defer c.Close()
		_, err := all.Delete(ctx, prefix, clientv3.WithPrefix())
		return err
	})
	return c
}
