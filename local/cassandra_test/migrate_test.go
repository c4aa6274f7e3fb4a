//go:build unix

package cassandra_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	reader "github.com/angelowl-loyalties/app/informer/cassandra"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	"github.com/angelowl-loyalties/app/rewarder"
	writer "github.com/angelowl-loyalties/app/rewarder/cassandra"
	rewardertest "github.com/angelowl-loyalties/app/rewarder/storetest"
	"github.com/google/uuid"
)

// works puts a row and reads it back through both services.
func works(t *testing.T, cfg rewarddb.Config) loyalty.Row {
	t.Helper()
	s := open(t, cfg, nil)
	row := rewardertest.Row(uuid.New(), 1, loyalty.Position{Incarnation: 1, Offset: 1})
	if err := s.PutRewards(t.Context(), []loyalty.Row{row}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.OpenTopic(t.Context(), "spend", "id", 1); err != nil {
		t.Fatal(err)
	}
	has(t, s, row)
	return row
}

func has(t *testing.T, s store, row loyalty.Row) {
	t.Helper()
	if rows, err := s.Rows(t.Context(), row.CardID); err != nil || !reflect.DeepEqual(rows, []loyalty.Row{row}) {
		t.Errorf("the card has %+v, %v", rows, err)
	}
}

func TestMigrations(t *testing.T) {
	cfg := config(t)
	row := works(t, cfg)
	s := session(t, cfg)
	forget := func(version int) {
		do(t, s, "DELETE FROM schema_migrations WHERE store = ? AND version = ?", rewarddb.Store, version)
	}
	drop := func(tables ...string) {
		for _, table := range tables {
			do(t, s, "DROP TABLE "+table)
		}
	}
	for _, tt := range []struct {
		name  string
		undo  func()
		again int // versions that run
	}{
		{"nothing is to be done", func() {}, 0},
		{"from version 1", func() { forget(2); drop("rule_markers", "rule_parts", "topics", "settings") }, 1},
		{"of one who died in version 2", func() { forget(2); drop("topics", "settings") }, 1},
		{"of one who died before he said so", func() { forget(2); forget(1) }, 2},
		{"with a later release's", func() {
			do(t, s, "ALTER TABLE rewards ADD colour text")
			do(t, s, "INSERT INTO schema_migrations (store, version, name, checksum) VALUES (?, ?, 'colour', 'x')", rewarddb.Store, rewarddb.Version+1)
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.undo()
			log := newLines()
			openWriter(t, cfg, writer.Options{Log: slog.New(log)})
			if n := log.count("migrated the reward store"); n != tt.again {
				t.Errorf("%d versions were run, not %d", n, tt.again)
			}
			works(t, cfg)
			has(t, open(t, cfg, nil), row)
		})
	}
	t.Run("while a dead rewarder holds the lock", func(t *testing.T) {
		forget(rewarddb.Version)
		take := s.Query("UPDATE schema_migrations USING TTL 3 SET holder = 'the dead' WHERE store = ? IF holder = null", rewarddb.Store)
		if held, err := take.MapScanCAS(map[string]any{}); err != nil || !held {
			t.Fatal(held, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := writer.Open(ctx, cfg, writer.Options{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		openWriter(t, cfg, writer.Options{})
	})
	t.Run("a table is missing", func(t *testing.T) { // an error of the system, not of a row
		store := open(t, cfg, nil)
		drop("rewards")
		if err := store.PutRewards(t.Context(), []loyalty.Row{row}); !errors.Is(err, rewarddb.ErrSchema) || errors.Is(err, rewarder.ErrRow) {
			t.Errorf("PutRewards: %v", err)
		}
		if _, err := store.Rows(t.Context(), row.CardID); !errors.Is(err, rewarddb.ErrSchema) {
			t.Errorf("Rewards: %v", err)
		}
	})
	t.Run("of a file that was changed", func(t *testing.T) {
		do(t, s, "UPDATE schema_migrations SET checksum = 'another' WHERE store = ? AND version = 1", rewarddb.Store)
		if w, err := writer.Open(t.Context(), cfg, writer.Options{}); err == nil || !strings.Contains(err.Error(), "version 1 (rewards)") {
			t.Errorf("opened %v: %v", w, err)
		}
	})
}

func TestMigrationsAtOnce(t *testing.T) {
	cfg := config(t)
	log := newLines()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			w, err := writer.Open(t.Context(), cfg, writer.Options{Log: slog.New(log)})
			if err != nil {
				t.Error(err)
				return
			}
			w.Close()
		})
	}
	wg.Wait()
	if n := log.count("migrated the reward store"); n != rewarddb.Version {
		t.Errorf("%d versions were run by all, not %d", n, rewarddb.Version)
	}
	works(t, cfg)
}

func TestOpening(t *testing.T) {
	cfg := config(t)
	s := session(t, cfg)
	fails := func(t *testing.T, err error, words ...string) {
		t.Helper()
		for _, w := range words {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%q is not in: %v", w, err)
			}
		}
	}
	read := func(cfg rewarddb.Config) error {
		r, err := reader.Open(t.Context(), cfg, nil)
		if err == nil {
			r.Close()
		}
		return err
	}
	write := func(cfg rewarddb.Config, o writer.Options) error {
		w, err := writer.Open(t.Context(), cfg, o)
		if err == nil {
			w.Close()
		}
		return err
	}
	t.Run("no tables", func(t *testing.T) {
		if err := read(cfg); !errors.Is(err, rewarddb.ErrSchema) {
			t.Error(err)
		}
	})
	t.Run("made", func(t *testing.T) {
		if err := write(cfg, writer.Options{}); err != nil {
			t.Fatal(err)
		}
		if err := read(cfg); err != nil {
			t.Error(err)
		}
	})
	t.Run("another time zone", func(t *testing.T) {
		fails(t, write(cfg, writer.Options{Zone: time.FixedZone("elsewhere", 3600)}), "UTC", "elsewhere")
	})
	t.Run("an earlier schema", func(t *testing.T) {
		do(t, s, "DELETE FROM schema_migrations WHERE store = ? AND version = 2", rewarddb.Store)
		err := read(cfg)
		if !errors.Is(err, rewarddb.ErrSchema) {
			t.Error(err)
		}
		fails(t, err, "version 1")
	})
	t.Run("no keyspace", func(t *testing.T) {
		cfg := cfg
		cfg.Keyspace = "nobody_made_this"
		fails(t, read(cfg), "keyspace", "nobody_made_this")
		fails(t, write(cfg, writer.Options{}), "keyspace", "nobody_made_this")
	})
	t.Run("a keyspace that is to be made", func(t *testing.T) {
		cfg := cfg
		cfg.Keyspace += "_made"
		t.Cleanup(func() { do(t, s, "DROP KEYSPACE "+cfg.Keyspace) })
		for range 2 {
			if err := write(cfg, writer.Options{CreateKeyspace: true}); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("a data centre that is not there", func(t *testing.T) {
		cfg := cfg
		cfg.LocalDC = "nowhere"
		fails(t, read(cfg), `"nowhere"`)
	})
	t.Run("the data centre that is there", func(t *testing.T) {
		var dc string
		if err := s.Query("SELECT data_center FROM system.local").Scan(&dc); err != nil {
			t.Fatal(err)
		}
		cfg := cfg
		cfg.LocalDC = dc
		if err := write(cfg, writer.Options{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("certificates that are not there", func(t *testing.T) {
		cfg := cfg
		cfg.TLS, cfg.CAFile = true, filepath.Join(t.TempDir(), "none.pem")
		fails(t, read(cfg), "none.pem")
		cfg.CAFile = "migrate_test.go"
		fails(t, read(cfg), "no PEM certificate")
	})
	t.Run("TLS where there is none", func(t *testing.T) {
		cfg := cfg
		cfg.TLS = true
		fails(t, read(cfg), "tls:")
	})
	t.Run("nobody answers", func(t *testing.T) {
		cfg := cfg
		cfg.Port = 1
		fails(t, read(cfg), strings.Join(cfg.Hosts, ", "))
	})
	t.Run("a context that ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := reader.Open(ctx, cfg, nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("a configuration that is wrong", func(t *testing.T) {
		fails(t, read(rewarddb.Config{Keyspace: "Robert'); DROP TABLE", CAFile: "x"}), "no Cassandra host", "keyspace", "TLS is off")
	})
}
