package postgres_test

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/angelowl-loyalties/app/profiler/postgres"
	"github.com/angelowl-loyalties/app/profiler/storetest"
	"github.com/glebarez/sqlite"
	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

func open(t *testing.T) (*gorm.DB, *postgres.Store) {
	t.Helper()
	options := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(OFF)", "foreign_keys(ON)"}}
	db, err := gorm.Open(sqlite.Open("file:"+filepath.Join(t.TempDir(), "cards.db")+"?"+options.Encode()), &gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ruledb.Close(db); err != nil {
			t.Error(err)
		}
	})
	s, err := postgres.Open(t.Context(), db, func() time.Time { return storetest.Now })
	if err != nil {
		t.Fatal(err)
	}
	return db, s
}

func TestStoreOnSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) profiler.Store {
		_, s := open(t)
		return s
	})
}

// TestWhatEndsSessions looks at what sign-in reads, in the tables that it shares.
func TestWhatEndsSessions(t *testing.T) {
	db, s := open(t)
	ctx, id := t.Context(), uuid.New()
	u := profiler.User{ID: id, FirstName: "Ann", LastName: "Lee", Phone: "+6591234567", Email: "ann@example.com", Role: token.User}
	if _, err := s.CreateUser(ctx, "ann", u, &profiler.FirstPassword{Hash: "secret hash", Expires: storetest.Now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	// What sign-in changes in the row stays as it is.
	if err := db.Exec("UPDATE users SET session_version = 7, is_new = ?", false).Error; err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name   string
		change func(*profiler.User)
		want   int64
	}{
		{"a name", func(u *profiler.User) { u.FirstName = "Bo" }, 7},
		{"an address", func(u *profiler.User) { u.Email = "bo@example.com" }, 7},
		{"locked", func(u *profiler.User) { u.Locked = true }, 8},
		{"unlocked", func(u *profiler.User) { u.Locked = false }, 8},
		{"a role", func(u *profiler.User) { u.Role = token.Bank }, 9},
		{"nothing", func(*profiler.User) {}, 9},
		{"a role and locked", func(u *profiler.User) { u.Role, u.Locked = token.Merchant, true }, 10},
	} {
		if _, _, err := s.ChangeUser(ctx, "ann", id, func(u profiler.User) (profiler.User, error) { step.change(&u); return u, nil }); err != nil {
			t.Fatal(err)
		}
		var row struct {
			SessionVersion int64
			IsNew          bool
		}
		if err := db.Table("users").Take(&row).Error; err != nil || row.SessionVersion != step.want || row.IsNew {
			t.Errorf("%s: %+v, want %d, %v", step.name, row, step.want, err)
		}
	}
	if err := s.DeleteUser(ctx, "ann", id, func(profiler.User) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]string{
		"users":       `map[email: email_key:<nil> first_name: last_name: phone: search: session_version:11]`,
		"credentials": `map[hash:]`,
	} {
		row := map[string]any{}
		columns := strings.Fields(strings.NewReplacer("map[", "", "]", "", ":<nil>", "", ":11", "", ":", "").Replace(want))
		if err := db.Table(table).Select(columns).Take(&row).Error; err != nil || fmt.Sprint(row) != want {
			t.Errorf("%s: %v, want %s, %v", table, row, want, err)
		}
	}
}
