//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	campaignexdb "github.com/angelowl-loyalties/app/campaignex/postgres"
	"github.com/angelowl-loyalties/app/local/engines/enginestest"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler"
	profilerdb "github.com/angelowl-loyalties/app/profiler/postgres"
	"gorm.io/gorm"
)

var services = map[string]func(context.Context, *gorm.DB) error{
	"campaignex": func(ctx context.Context, db *gorm.DB) error {
		_, err := campaignexdb.Open(ctx, db, clock)
		return err
	},
	"profiler": func(ctx context.Context, db *gorm.DB) error {
		_, err := profilerdb.Open(ctx, db, clock)
		return err
	},
}

func applied(t *testing.T, db *gorm.DB) []string {
	t.Helper()
	var names []string
	if err := db.Table("schema_migrations").Order("name").Pluck("name", &names).Error; err != nil {
		t.Fatal(err)
	}
	return names
}

// migrations are the names that a service's database has been through, in the tree.
func migrations(t *testing.T, service string) []string {
	t.Helper()
	files, err := filepath.Glob("../../" + service + "/postgres/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no migrations: ", err)
	}
	names := []string{"0000_outbox.sql"}
	for _, f := range files {
		names = append(names, filepath.Base(f))
	}
	return names
}

func TestInstancesThatStartTogetherMigrateOnce(t *testing.T) {
	for service, migrate := range services {
		t.Run(service, func(t *testing.T) {
			dsn := enginestest.Database(t)
			for range 2 { // and again, where there is nothing to do
				var wg sync.WaitGroup
				for range 4 {
					db := open(t, dsn)
					wg.Go(func() {
						if err := migrate(t.Context(), db); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
			}
			if got, want := applied(t, open(t, dsn)), migrations(t, service); !slices.Equal(got, want) {
				t.Errorf("the database has been through %v, want %v", got, want)
			}
		})
	}
}

func TestAMigrationThatFailsLeavesNothing(t *testing.T) {
	db := open(t, enginestest.Database(t))
	files := fstest.MapFS{"0001_good.sql": {Data: []byte("CREATE TABLE good (id TEXT PRIMARY KEY);\n")}, "0002_bad.sql": {Data: []byte("CREATE TABLE bad (id NOTYPE);\n")}}
	if err := ruledb.Migrate(t.Context(), db, files, clock); err == nil || !strings.Contains(err.Error(), "0002_bad.sql") {
		t.Fatalf("error: %v", err)
	}
	var tables []string
	if err := db.Raw("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").Scan(&tables).Error; err != nil || len(tables) > 0 {
		t.Errorf("left: %v, %v", tables, err)
	}
}

func TestAMigrationMayTakeLongerThanAStatement(t *testing.T) {
	db := open(t, enginestest.Database(t))
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	exec(t, db, "SET statement_timeout = 50") // ms, of the one session that there is
	if err := db.Exec("SELECT pg_sleep(1)").Error; !ruledb.Unavailable(err) {
		t.Fatalf("the statement's time is not over: %v", err)
	}
	if err := ruledb.Migrate(t.Context(), db, fstest.MapFS{"0001_slow.sql": {Data: []byte("SELECT pg_sleep(0.3);\n")}}, clock); err != nil {
		t.Error(err)
	}
}

// idle are the lines of pg_dump that do nothing here, or that only psql understands.
var idle = regexp.MustCompile(`^(--.*|\\.*|SET .*|SELECT pg_catalog\.set_config.*)?$`)

// TestFromEachEarlierVersion restores what programs of each version left behind, and lets today's
// program have it. A new migration needs a dump of its own: DUMP=1 writes it.
func TestFromEachEarlierVersion(t *testing.T) {
	for service, migrate := range services {
		names := migrations(t, service)
		for i, last := range names[1:] {
			t.Run(service+" "+last, func(t *testing.T) {
				path := filepath.Join("testdata", service+"_"+last)
				if os.Getenv("DUMP") != "" && i == len(names)-2 {
					dump(t, service, path)
				}
				restore, err := os.ReadFile(path)
				if errors.Is(err, fs.ErrNotExist) {
					t.Fatalf("there is no dump of %s after %s; DUMP=1 go test -run TestFromEachEarlierVersion writes it", service, last)
				} else if err != nil {
					t.Fatal(err)
				}
				dsn := enginestest.Database(t)
				db := open(t, dsn)
				exec(t, db, string(restore))
				if got := applied(t, db); !slices.Equal(got, names[:i+2]) {
					t.Fatalf("the dump is of %v", got)
				}
				if err := migrate(t.Context(), db); err != nil {
					t.Fatal(err)
				}
				if got := applied(t, db); !slices.Equal(got, names) {
					t.Errorf("the database has been through %v, want %v", got, names)
				}
				is(t, service, last, dsn)
			})
		}
	}
}

// fill writes what is finds again.
func fill(t *testing.T, service, dsn string) {
	t.Helper()
	db, ctx := open(t, dsn), t.Context()
	var errs []error
	keep := func(err error) { errs = append(errs, err) }
	switch service {
	case "campaignex":
		s, err := campaignexdb.Open(ctx, db, clock)
		if err != nil {
			t.Fatal(err)
		}
		c := campaign()
		_, err = s.Campaigns().Create(ctx, "ann", c)
		keep(err)
		c.Name = "Größe '2' \\ ;\n"
		_, err = s.Campaigns().Put(ctx, "bob", c, nil)
		keep(err)
		_, err = s.Exclusions().Create(ctx, "ann", loyalty.Exclusion{ID: c.ID, MCC: 6051, ValidFrom: c.Start})
		keep(err)
		_, err = s.Quotes().Create(ctx, "ann", quotes())
		keep(err)
		rules, err := s.Waiting(ctx, 10)
		keep(err)
		keep(s.Done(ctx, rules[:1]))
	case "profiler":
		s, err := profilerdb.Open(ctx, db, clock)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.CardTypes().Create(ctx, "ann", cardType())
		keep(err)
		keep(s.CardTypes().Delete(ctx, "bob", "gold", nil))
		_, err = s.CardTypes().Create(ctx, "cem", cardType())
		keep(err)
		_, err = s.CreateUser(ctx, "ann", account(), &profiler.FirstPassword{Hash: "hash", Expires: clock()})
		keep(err)
		_, err = s.CreateCard(ctx, "bob", card(), profiler.Number{Masked: "************1111", HMAC: "hmac"})
		keep(err)
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// is looks for what fill wrote, and changes it.
func is(t *testing.T, service, last, dsn string) {
	t.Helper()
	db, ctx := open(t, dsn), t.Context()
	switch service {
	case "campaignex":
		s, err := campaignexdb.Open(ctx, db, clock)
		if err != nil {
			t.Fatal(err)
		}
		item, err := s.Campaigns().Get(ctx, campaign().ID.String())
		if err != nil || item.Version != 2 || item.Rule.Name != "Größe '2' \\ ;\n" || !item.Rule.Base || !item.UpdatedAt.Equal(clock()) || !item.Published {
			t.Errorf("campaign: %+v %v", item, err)
		}
		events, total, err := s.Campaigns().History(ctx, campaign().ID.String(), ruleapi.Page{Size: 10, No: 1})
		if err != nil || total != 2 || events[0].Who != "bob" || events[1].After == nil {
			t.Errorf("history: %+v %v", events, err)
		}
		day, err := s.Quotes().Get(ctx, quotes().ID())
		if err != nil || fmt.Sprint(day.Rule) != fmt.Sprint(quotes()) {
			t.Errorf("quotes: %+v %v", day, err)
		}
		if waiting, err := s.Waiting(ctx, 10); err != nil || len(waiting) != 2 {
			t.Errorf("waiting: %+v %v", waiting, err)
		}
		item.Rule.Name = "again"
		if item, err = s.Campaigns().Put(ctx, "cem", item.Rule, nil); err != nil || item.Version != 3 {
			t.Errorf("changed: %+v %v", item, err)
		}
	case "profiler":
		s, err := profilerdb.Open(ctx, db, clock)
		if err != nil {
			t.Fatal(err)
		}
		item, err := s.CardTypes().Get(ctx, "gold")
		if err != nil || item.Version != 3 || item.Rule != cardType() || item.Published {
			t.Errorf("card type: %+v %v", item, err)
		}
		if _, total, err := s.CardTypes().History(ctx, "gold", ruleapi.Page{Size: 10, No: 1}); err != nil || total != 3 {
			t.Errorf("history: %d %v", total, err)
		}
		if err := s.CardTypes().Delete(ctx, "ann", "gold", nil); err != nil {
			t.Error(err)
		}
		if last == "0001_card_types.sql" {
			return // there were no accounts
		}
		u, err := s.User(ctx, account().ID)
		if err != nil || u.FirstName != account().FirstName || !u.IsNew || len(u.Cards) != 1 || u.Cards[0].PAN != "************1111" {
			t.Errorf("account: %+v %v", u, err)
		}
		if events, total, err := s.UserHistory(ctx, u.ID, ruleapi.Page{Size: 10, No: 1}, func(token.Role) error { return nil }); err != nil || total != 1 || events[0].Who != "ann" {
			t.Errorf("history: %+v %v", events, err)
		}
		if err := s.DeleteUser(ctx, "cem", u.ID, func(profiler.User) error { return nil }); err != nil {
			t.Error(err)
		}
	}
}

func dump(t *testing.T, service, path string) {
	t.Helper()
	dsn := enginestest.Database(t)
	fill(t, service, dsn)
	out, err := osexec.CommandContext(t.Context(), "pg_dump", "--inserts", "--no-owner", "--no-privileges", "--dbname", dsn).Output()
	if err != nil {
		t.Fatal(err)
	}
	var kept strings.Builder
	for line := range strings.Lines(string(out)) {
		if !idle.MatchString(strings.TrimSuffix(line, "\n")) {
			kept.WriteString(line)
		}
	}
	if err := os.WriteFile(path, []byte(kept.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
