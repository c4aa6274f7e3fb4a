//go:build unix

package enginestest_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/local/engines"
	"github.com/angelowl-loyalties/app/local/engines/enginestest"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// sarama's metrics tick for as long as the process lives.
	goleak.VerifyTestMain(enginestest.Main(m), goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	enginestest.Addr(t, engines.Postgres) // or skip all of it
	var first string
	t.Run("the first writes", func(t *testing.T) {
		first = enginestest.Database(t)
		query(t, first, "CREATE TABLE t (v text)")
	})
	t.Run("the second finds nothing", func(t *testing.T) {
		second := enginestest.Database(t)
		if second == first {
			t.Fatal("both have the same database")
		}
		query(t, second, "CREATE TABLE t (v text)")
	})
	if c, err := pgx.Connect(t.Context(), first); err == nil {
		_ = c.Close(t.Context())
		t.Error("the first test's database is there still")
	}
}

func TestATemplateIsPreparedOnceAndCopied(t *testing.T) {
	enginestest.Addr(t, engines.Postgres) // or skip all of it
	var prepared atomic.Int32
	template := enginestest.Template{Prepare: func(ctx context.Context, dsn string) error {
		prepared.Add(1)
		c, err := pgx.Connect(ctx, dsn)
		if err != nil {
			return err
		}
		defer c.Close(ctx)
		_, err = c.Exec(ctx, "CREATE TABLE t (v text PRIMARY KEY)")
		return err
	}}
	t.Run("copies", func(t *testing.T) {
		for _, name := range []string{"one", "another"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				query(t, template.Database(t), "INSERT INTO t VALUES ('x')")
			})
		}
	})
	if n := prepared.Load(); n != 1 {
		t.Errorf("it was prepared %d times", n)
	}
}

func query(t *testing.T, dsn, sql string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestAKeyspaceIsThereForTheTestAlone(t *testing.T) {
	enginestest.Addr(t, engines.Cassandra) // or skip all of it
	var addr, keyspace string
	has := func(t *testing.T) int {
		t.Helper()
		cfg := gocql.NewCluster(addr)
		cfg.NumConns, cfg.ReconnectionPolicy = 1, &gocql.ConstantReconnectionPolicy{MaxRetries: 1} // nothing outlives the session
		s, err := cfg.CreateSession()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		n := 0
		if err := s.Query("SELECT count(*) FROM system_schema.keyspaces WHERE keyspace_name = ?", keyspace).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Run("during", func(t *testing.T) {
		addr, keyspace = enginestest.Keyspace(t)
		if has(t) != 1 {
			t.Error("it is not there")
		}
	})
	if has(t) != 0 {
		t.Error("it is there still")
	}
}

func TestTopicsAreThereForTheTestAlone(t *testing.T) {
	enginestest.Addr(t, engines.Kafka) // or skip all of it
	var addr, prefix string
	has := func(t *testing.T, create bool) bool {
		t.Helper()
		cfg := sarama.NewConfig()
		cfg.Version = sarama.V3_6_0_0
		admin, err := sarama.NewClusterAdmin([]string{addr}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close()
		if create {
			if err := admin.CreateTopic(prefix+"t", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: -1}, false); err != nil {
				t.Fatal(err)
			}
		}
		topics, err := admin.ListTopics()
		if err != nil {
			t.Fatal(err)
		}
		_, ok := topics[prefix+"t"]
		return ok
	}
	t.Run("during", func(t *testing.T) {
		addr, prefix = enginestest.Topics(t)
		if !has(t, true) {
			t.Error("it is not there")
		}
	})
	if has(t, false) {
		t.Error("it is there still")
	}
}

func TestKeysAreSeenByTheTestAlone(t *testing.T) {
	a, b := enginestest.Keys(t), enginestest.Keys(t)
	if _, err := a.Put(t.Context(), "k", "a"); err != nil {
		t.Fatal(err)
	}
	got, err := b.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if got.Count != 0 {
		t.Errorf("the other test's key is seen as %q", got.Kvs[0].Value)
	}
}

func TestAnAddressThatIsSetIsUsed(t *testing.T) {
	t.Setenv("TEST_ETCD", "192.0.2.1:2379")
	if got := enginestest.Addr(t, engines.Etcd); got != "192.0.2.1:2379" {
		t.Errorf("the address is %s", got)
	}
}
