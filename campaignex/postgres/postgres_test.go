package postgres_test

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/campaignex"
	"github.com/angelowl-loyalties/app/campaignex/postgres"
	"github.com/angelowl-loyalties/app/campaignex/storetest"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// open opens a SQLite file as package local/sqlite does.
func open(t *testing.T, path string) *gorm.DB {
	t.Helper()
	options := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(OFF)", "foreign_keys(ON)"}}
	db, err := gorm.Open(sqlite.Open("file:"+path+"?"+options.Encode()), &gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool, err := db.DB()
		if err != nil {
			t.Fatal(err)
		}
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func clock() time.Time { return storetest.Now }

func TestStoreOnSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) campaignex.Store {
		s, err := postgres.Open(t.Context(), open(t, filepath.Join(t.TempDir(), "rules.db")), clock)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestInstancesThatStartTogetherMigrateOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.db")
	var wg sync.WaitGroup
	for range 4 {
		db := open(t, path)
		wg.Go(func() {
			if _, err := postgres.Open(context.Background(), db, clock); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var names []string
	if err := open(t, path).Table("schema_migrations").Order("name").Pluck("name", &names).Error; err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names, " "); got != "0000_outbox.sql 0001_rules.sql" {
		t.Errorf("migrations: %s", got)
	}
}

func TestADatabaseOfANewerProgramIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.db")
	db := open(t, path)
	if _, err := postgres.Open(t.Context(), db, clock); err != nil {
		t.Fatal(err)
	}
	if err := db.Exec("INSERT INTO schema_migrations VALUES ('9998_later_additive.sql', '2030-01-01')").Error; err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Open(t.Context(), db, clock); err != nil {
		t.Errorf("a migration beside which it can work: %v", err)
	}
	if err := db.Exec("INSERT INTO schema_migrations VALUES ('9999_later.sql', '2030-01-01')").Error; err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Open(t.Context(), db, clock); err == nil || !strings.Contains(err.Error(), "9999_later.sql") {
		t.Errorf("error: %v", err)
	}
}

// TestASchemaThatSomebodyElseMigrates: until that is done the start waits and changes nothing.
func TestASchemaThatSomebodyElseMigrates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.db")
	db := open(t, path)
	if _, err := postgres.OpenMigrated(t.Context(), db, clock); !errors.Is(err, ruledb.ErrBehind) || !ruledb.MayPass(err) {
		t.Fatalf("an empty database: %v", err)
	}
	if db.Migrator().HasTable("schema_migrations") {
		t.Fatal("looking has made tables")
	}
	if err := postgres.Migrate(t.Context(), db, clock); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.OpenMigrated(t.Context(), db, clock); err != nil {
		t.Errorf("a migrated database: %v", err)
	}
	if err := db.Exec("DELETE FROM schema_migrations WHERE name = '0001_rules.sql'").Error; err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.OpenMigrated(t.Context(), db, clock); !errors.Is(err, ruledb.ErrBehind) || !strings.Contains(err.Error(), "0001_rules.sql") {
		t.Errorf("a database that lacks a migration: %v", err)
	}
	if err := db.Exec("INSERT INTO schema_migrations VALUES ('9999_later.sql', '2030-01-01')").Error; err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.OpenMigrated(t.Context(), db, clock); err == nil || ruledb.MayPass(err) {
		t.Errorf("a database of a newer program: %v", err)
	}
}
