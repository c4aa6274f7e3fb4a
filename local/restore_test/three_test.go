//go:build unix

package restore_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	informercassandra "github.com/angelowl-loyalties/app/informer/cassandra"
	"github.com/angelowl-loyalties/app/local/engines"
	"github.com/angelowl-loyalties/app/local/engines/enginestest"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	"github.com/angelowl-loyalties/app/rewarder/cassandra"
	"github.com/angelowl-loyalties/app/rewarder/storetest"
	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// All of a cluster of three nodes is lost. Each new node takes the copy of another one, as the runbook says it
// may; what was written after the copies comes by writing all of it again, as a replay does, and what was
// erased before them stays erased.
func TestThreeNodesOfCassandraAreLostAndRestored(t *testing.T) {
	if os.Getenv("ANGELOWL_LONG") == "" {
		t.Skip("SKIPPED without ANGELOWL_LONG=1: three nodes of Cassandra take their time to start, twice")
	}
	e := enginestest.Start(t, engines.Cassandra, engines.Options{Nodes: 3, JMX: true})
	dir := t.TempDir()
	each := func(backup func(int) string, script string) {
		t.Helper()
		var g errgroup.Group
		for i, n := range e.Nodes {
			bin := filepath.Join(dir, fmt.Sprint("bin", i))
			check(t, os.MkdirAll(bin, 0o755))
			nodetool(t, bin, n)
			g.Go(func() error {
				_, err := sh(t.Context(), dir, []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "DATA=" + n.Data(), "BACKUP=" + backup(i), "TAG=tonight"}, script)
				return err
			})
		}
		check(t, g.Wait())
	}
	own := func(i int) string { return filepath.Join(dir, fmt.Sprint("backup", i)) }
	others := func(i int) string { return own((i + 1) % 3) }

	var rows []loyalty.Row
	for n := range 60 {
		card := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, n/4)) // four rows a card
		rows = append(rows, storetest.Row(card, n, loyalty.Position{Incarnation: 1, Partition: 0, Offset: int64(n)}))
	}
	erased := rows[0].CardID
	s := threeNodes(t, e)
	check(t, s.PutRewards(t.Context(), rows[:40]))
	check(t, s.Erase(t.Context(), erased))
	each(own, block(t, "restore.md", "Cassandra", 0))
	check(t, s.PutRewards(t.Context(), rows[40:]))
	s.Close()

	check(t, e.Kill())
	for i := range e.Nodes {
		check(t, os.RemoveAll(filepath.Dir(e.Nodes[i].Data())))
	}
	check(t, e.Start(t.Context()))
	s = threeNodes(t, e)
	defer s.Close()
	each(others, block(t, "restore.md", "Cassandra", 1))
	each(own, "nodetool repair --full angelowl")
	if got := s.rows(t, rows); !reflect.DeepEqual(got, rows[4:40]) {
		t.Errorf("after the restore there are %d rows, want the %d of the copies", len(got), 36)
	}
	check(t, s.PutRewards(t.Context(), rows))
	if got := s.rows(t, rows); !reflect.DeepEqual(got, rows[4:]) {
		t.Errorf("after a replay there are %d rows, want %d", len(got), len(rows)-4)
	}
}

// stores are those of rewards, on three nodes.
type stores struct {
	*cassandra.Store
	reads *informercassandra.Store
}

func (s stores) Close() {
	s.Store.Close()
	s.reads.Close()
}

func threeNodes(t *testing.T, e *engines.Engine) stores {
	t.Helper()
	cfg := rewarddb.Config{Keyspace: stack.Keyspace, Timeout: time.Minute}
	for _, n := range e.Nodes {
		cfg.Hosts = append(cfg.Hosts, n.Addr)
	}
	c := gocql.NewCluster("127.0.0.1")
	_, err := fmt.Sscanf(e.Nodes[0].Addr, "127.0.0.1:%d", &c.Port)
	check(t, err)
	cfg.Port = c.Port
	c.ProtoVersion, c.NumConns, c.Timeout = 4, 1, time.Minute
	c.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1}
	session, err := c.CreateSession()
	check(t, err)
	defer session.Close()
	check(t, session.Query("CREATE KEYSPACE IF NOT EXISTS "+stack.Keyspace+" WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 3}").Exec())
	var s stores
	s.Store, err = cassandra.Open(t.Context(), cfg, cassandra.Options{Zone: time.UTC})
	check(t, err)
	s.reads, err = informercassandra.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	check(t, err)
	return s
}

// rows are those of the cards of some rows, in their order.
func (s stores) rows(t *testing.T, like []loyalty.Row) (got []loyalty.Row) {
	t.Helper()
	for i, row := range like {
		if i > 0 && row.CardID == like[i-1].CardID {
			continue
		}
		page, err := s.reads.Rewards(t.Context(), informer.Query{Card: row.CardID, Limit: 100})
		check(t, err)
		byID := map[uuid.UUID]loyalty.Row{}
		for _, r := range page.Rows {
			byID[r.ID] = r
		}
		for _, r := range like {
			if r.CardID != row.CardID {
				continue
			}
			if have, ok := byID[r.ID]; ok {
				got = append(got, have)
			}
		}
	}
	return got
}
