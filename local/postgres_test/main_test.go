//go:build unix

// Package postgres_test runs campaignex and profiler on a real PostgreSQL.
package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/campaignex"
	campaignexdb "github.com/angelowl-loyalties/app/campaignex/postgres"
	campaignextest "github.com/angelowl-loyalties/app/campaignex/storetest"
	"github.com/angelowl-loyalties/app/local/engines/enginestest"
	"github.com/angelowl-loyalties/app/loyalty/pgsql"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/profiler"
	profilerdb "github.com/angelowl-loyalties/app/profiler/postgres"
	profilertest "github.com/angelowl-loyalties/app/profiler/storetest"
	"go.uber.org/goleak"
	"gorm.io/gorm"
)

func TestMain(m *testing.M) {
	// sarama's metrics tick for as long as the process lives.
	goleak.VerifyTestMain(enginestest.Main(m), goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

func clock() time.Time { return campaignextest.Now }

// open opens a database as the mains do.
func open(t testing.TB, dsn string) *gorm.DB {
	t.Helper()
	s, err := pgsql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db, err := s.Open("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ruledb.Close(db); err != nil {
			t.Error(err)
		}
	})
	return db
}

// exec runs SQL, several statements too, in one session of its own.
func exec(t testing.TB, db *gorm.DB, sql string, args ...any) {
	t.Helper()
	if err := db.WithContext(t.Context()).Exec(sql, args...).Error; err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// migrated are databases with the schemas of today, copied for each test.
var (
	campaigns = enginestest.Template{Prepare: func(ctx context.Context, dsn string) error {
		return prepare(dsn, func(db *gorm.DB) error {
			_, err := campaignexdb.Open(ctx, db, clock)
			return err
		})
	}}
	cardTypes = enginestest.Template{Prepare: func(ctx context.Context, dsn string) error {
		return prepare(dsn, func(db *gorm.DB) error {
			_, err := profilerdb.Open(ctx, db, clock)
			return err
		})
	}}
)

func prepare(dsn string, migrate func(*gorm.DB) error) error {
	s, err := pgsql.ParseDSN(dsn)
	if err != nil {
		return err
	}
	db, err := s.Open("test")
	if err != nil {
		return err
	}
	if err := migrate(db); err != nil {
		return err
	}
	return ruledb.Close(db)
}

// store opens campaignex's store on a database.
func store(t testing.TB, dsn string) *campaignexdb.Store {
	t.Helper()
	s, err := campaignexdb.Open(t.Context(), open(t, dsn), clock)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCampaignexStore(t *testing.T) {
	campaignextest.Run(t, func(t *testing.T) campaignex.Store { return store(t, campaigns.Database(t)) })
}

func TestProfilerStore(t *testing.T) {
	profilertest.Run(t, func(t *testing.T) profiler.Store {
		s, err := profilerdb.Open(t.Context(), open(t, cardTypes.Database(t)), clock)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestASessionIsAsTheProgramNeedsIt(t *testing.T) {
	db := open(t, enginestest.Database(t))
	for name, want := range map[string]string{
		"TimeZone": "UTC", "application_name": "test", "statement_timeout": "30s", "idle_in_transaction_session_timeout": "1min",
	} {
		var got string
		if err := db.Raw("SELECT current_setting(?)", name).Scan(&got).Error; err != nil || got != want {
			t.Errorf("%s is %q, want %q (%v)", name, got, want, err)
		}
	}
}
