package postgres_test

import (
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/profiler/postgres"
	"github.com/angelowl-loyalties/app/profiler/signin"
	"github.com/angelowl-loyalties/app/profiler/signin/storetest"
	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

func TestSignInOnSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T, clock func() time.Time) (signin.Store, *gorm.DB) {
		options := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(OFF)", "foreign_keys(ON)"}}
		db, err := gorm.Open(sqlite.Open("file:"+filepath.Join(t.TempDir(), "profiler.db")+"?"+options.Encode()), &gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := ruledb.Close(db); err != nil {
				t.Error(err)
			}
		})
		s, err := postgres.Open(t.Context(), db, clock)
		if err != nil {
			t.Fatal(err)
		}
		return s.SignIn(), db
	})
}
