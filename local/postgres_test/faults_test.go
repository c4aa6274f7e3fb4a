//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/campaignex"
	campaignexdb "github.com/angelowl-loyalties/app/campaignex/postgres"
	"github.com/angelowl-loyalties/app/local/engines/enginestest"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/google/uuid"
	"gorm.io/gorm"
)

// answered is what people are told of an error.
func answered(t *testing.T, err error) *web.Error {
	t.Helper()
	var answer *web.Error
	if !errors.As(err, &answer) {
		t.Fatalf("error %v is not for people", err)
	}
	if answer.Status != http.StatusServiceUnavailable || strings.Contains(answer.Message, "SQLSTATE") {
		t.Errorf("%+v", answer)
	}
	return answer
}

func TestAConnectionThatIsLostInTheMiddle(t *testing.T) {
	const suicide = "SELECT pg_terminate_backend(pg_backend_pid())"
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *campaignexdb.Store, db *gorm.DB) error
		code string
	}{
		{"while a change is made", func(t *testing.T, s *campaignexdb.Store, _ *gorm.DB) error {
			return s.Change(t.Context(), func(tx *gorm.DB, _ time.Time) error {
				if err := tx.Exec("DELETE FROM outbox").Error; err != nil {
					t.Error(err)
				}
				return tx.Exec(suicide).Error
			})
		}, "database_unavailable"},
		{"while a change is saved", func(t *testing.T, s *campaignexdb.Store, db *gorm.DB) error {
			exec(t, db, "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$")
			exec(t, db, "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON campaigns DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()")
			_, err := s.Campaigns().Create(t.Context(), "ann", campaign())
			return err
		}, "outcome_unknown"},
		{"while it reads", func(t *testing.T, s *campaignexdb.Store, _ *gorm.DB) error {
			return s.Read(t.Context(), func(tx *gorm.DB) error { return tx.Exec(suicide).Error })
		}, "database_unavailable"},
		{"a statement that takes too long", func(t *testing.T, s *campaignexdb.Store, _ *gorm.DB) error {
			return s.Read(t.Context(), func(tx *gorm.DB) error {
				if err := tx.Exec("SET LOCAL statement_timeout = 20").Error; err != nil {
					t.Error(err)
				}
				return tx.Exec("SELECT pg_sleep(60)").Error
			})
		}, "database_unavailable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dsn := campaigns.Database(t)
			s := store(t, dsn)
			if got := answered(t, test.run(t, s, open(t, dsn))).Code; got != test.code {
				t.Errorf("code %s, want %s", got, test.code)
			}
			// The pool finds that out and goes on.
			if _, err := s.Campaigns().Get(t.Context(), campaign().ID.String()); err == nil || ruledb.Unavailable(err) {
				t.Errorf("afterwards: %v", err)
			}
			other := campaign()
			other.ID = uuid.New()
			if _, err := s.Exclusions().Create(t.Context(), "ann", loyalty.Exclusion{ID: other.ID, MCC: 1, ValidFrom: other.Start}); err != nil {
				t.Error(err)
			}
		})
	}
}

// Whoever is told that the outcome is unknown sends the same again, and may find it done or not.
func TestACreationWhoseOutcomeIsUnknownIsSentAgain(t *testing.T) {
	dsn := campaigns.Database(t)
	s, db := store(t, dsn), open(t, dsn)
	exec(t, db, "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$")
	exec(t, db, "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON campaigns DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()")
	_, err := s.Campaigns().Create(t.Context(), "ann", campaign())
	if got := answered(t, err).Code; got != "outcome_unknown" {
		t.Fatalf("code %s", got)
	}
	exec(t, db, "DROP TRIGGER die ON campaigns")
	for _, again := range []string{"not done", "done"} {
		_, err := s.Campaigns().Create(t.Context(), "ann", campaign())
		if (err == nil) != (again == "not done") || err != nil && ruledb.Unavailable(err) {
			t.Errorf("sent again when it was %s: %v", again, err)
		}
		for table, column := range map[string]string{"campaigns": "id", "campaign_versions": "id", "outbox": "rule_id"} {
			var n int
			if err := db.Raw("SELECT count(*) FROM "+table+" WHERE "+column+" = ?", campaign().ID.String()).Scan(&n).Error; err != nil || n != 1 {
				t.Errorf("sent again when it was %s: %d rows of %s, want 1 (%v)", again, n, table, err)
			}
		}
	}
}

// TestADeadlockIsRunAgain lets two transactions lock two rows in opposite orders.
func TestADeadlockIsRunAgain(t *testing.T) {
	dsn := campaigns.Database(t)
	a, b := store(t, dsn), store(t, dsn)
	var rules campaignex.Rules
	ids := []string{}
	for _, name := range []string{"one", "two"} {
		c := campaign()
		c.ID = uuid.NewSHA1(uuid.Nil, []byte(name))
		rules.Campaigns, ids = append(rules.Campaigns, c), append(ids, c.ID.String())
	}
	if _, err := a.Import(t.Context(), "ann", rules); err != nil {
		t.Fatal(err)
	}
	var (
		both sync.WaitGroup // have locked their first row
		wg   sync.WaitGroup
		runs atomic.Int32
	)
	both.Add(2)
	for i, s := range []*campaignexdb.Store{a, b} {
		first, second := ids[i], ids[1-i]
		once := sync.OnceFunc(func() { both.Done(); both.Wait() })
		wg.Go(func() {
			err := s.Change(t.Context(), func(tx *gorm.DB, _ time.Time) error {
				runs.Add(1)
				const rename = "UPDATE campaigns SET name = name || 'x' WHERE id = ?"
				if err := tx.Exec(rename, first).Error; err != nil {
					return err
				}
				once()
				return tx.Exec(rename, second).Error
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := runs.Load(); n != 3 {
		t.Errorf("%d runs of two transactions, of which one was the victim of a deadlock", n)
	}
	for _, id := range ids {
		item, err := a.Campaigns().Get(t.Context(), id)
		if err != nil || item.Rule.Name != "Kaligoxx" {
			t.Errorf("%q %v, want both changes", item.Rule.Name, err)
		}
	}
}

func TestAConflictThatStaysIsSaidAfterFourRuns(t *testing.T) {
	s := store(t, campaigns.Database(t))
	for name, fail := range map[string]string{
		"a key that is taken":     "INSERT INTO schema_migrations SELECT * FROM schema_migrations",
		"a serialization failure": "DO $$ BEGIN RAISE 'someone was first' USING ERRCODE = '40001'; END $$",
	} {
		runs := 0
		err := s.Change(t.Context(), func(tx *gorm.DB, _ time.Time) error {
			runs++
			return tx.Exec(fail).Error
		})
		if got := answered(t, err); got.Code != "busy" || runs != 4 {
			t.Errorf("%s: %s after %d runs", name, got.Code, runs)
		}
	}
}

func TestAnErrorOfOursIsNotTakenForTheDatabases(t *testing.T) {
	s := store(t, campaigns.Database(t))
	err := s.Read(t.Context(), func(tx *gorm.DB) error { return tx.Exec("SELECT nothing").Error })
	if answer := (*web.Error)(nil); err == nil || errors.As(err, &answer) {
		t.Errorf("a statement that is wrong: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = s.Read(ctx, func(tx *gorm.DB) error {
		cancel()
		return tx.Exec("SELECT 1").Error
	})
	if answer := (*web.Error)(nil); !errors.Is(err, context.Canceled) || errors.As(err, &answer) {
		t.Errorf("a caller that went away: %v", err)
	}
}

// TestWhoPublishesWaitsForNoEditor has an editor whose transaction does not end.
func TestWhoPublishesWaitsForNoEditor(t *testing.T) {
	dsn := campaigns.Database(t)
	s := store(t, dsn)
	edited, other := campaign(), campaign()
	other.ID = uuid.New()
	if _, err := s.Import(t.Context(), "ann", campaignex.Rules{Campaigns: []loyalty.Campaign{edited, other}}); err != nil {
		t.Fatal(err)
	}
	both, err := s.Waiting(t.Context(), 10)
	if err != nil || len(both) != 2 {
		t.Fatal(both, err)
	}
	locked, release, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	editor := store(t, dsn)
	go func() {
		ended <- editor.Change(t.Context(), func(tx *gorm.DB, _ time.Time) error {
			err := tx.Exec("UPDATE outbox SET version = version + 1 WHERE rule_id = ?", edited.ID.String()).Error
			if err == nil {
				err = tx.Exec("UPDATE campaigns SET version = version + 1 WHERE id = ?", edited.ID).Error
			}
			close(locked)
			<-release
			return err
		})
	}()
	<-locked
	bounded, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	waiting, err := s.Waiting(bounded, 10)
	if err != nil || len(waiting) != 1 || waiting[0].ID != other.ID.String() {
		t.Errorf("while it is edited: %v %v", waiting, err)
	}
	if n, _, err := s.Backlog(bounded); err != nil || n != 2 { // what waits until all is published asks this
		t.Errorf("while it is edited %d rules wait to be published, %v; want 2", n, err)
	}
	if err := s.Done(bounded, both); err != nil {
		t.Errorf("done while it is edited: %v", err)
	}
	if state, err := s.State(bounded, both[0].Ref); err != nil || both[0].ID == edited.ID.String() && state != outbox.Waits {
		t.Errorf("the edited one: %v %v", state, err)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	waiting, err = s.Waiting(t.Context(), 10)
	if err != nil || len(waiting) != 1 || waiting[0].ID != edited.ID.String() || waiting[0].Version != 2 {
		t.Errorf("after the edit: %v %v", waiting, err)
	}
}

func TestOnePublisherAtATime(t *testing.T) {
	dsn := campaigns.Database(t)
	a, b := store(t, dsn), store(t, dsn)
	var inside, most, times atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			s := a
			if i%2 == 1 {
				s = b
			}
			err := s.Exclusively(t.Context(), func(ctx context.Context) error {
				n := inside.Add(1)
				defer inside.Add(-1)
				if n > most.Load() {
					most.Store(n)
				}
				times.Add(1)
				_, err := s.Waiting(ctx, 10)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 || times.Load() != 20 {
		t.Errorf("%d at once, %d in all", most.Load(), times.Load())
	}
}

func TestAPublisherThatLosesItsSessionKeepsNobodyOut(t *testing.T) {
	dsn := campaigns.Database(t)
	a, b := store(t, dsn), store(t, dsn)
	db := open(t, dsn)
	err := a.Exclusively(t.Context(), func(ctx context.Context) error {
		var ended int
		if err := db.Raw("SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").Scan(&ended).Error; err != nil || ended != 1 {
			t.Errorf("%d sessions ended, %v", ended, err)
		}
		bounded, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		return b.Exclusively(bounded, func(context.Context) error { return nil })
	})
	if err != nil {
		t.Error(err)
	}
	for range 3 { // the broken session is not used again
		if err := a.Exclusively(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Error(err)
		}
	}
}

func TestRights(t *testing.T) {
	role := func(t *testing.T, dsn string) (user, asUser string) {
		db := open(t, dsn)
		user = "u_" + strings.ReplaceAll(uuid.NewString(), "-", "")
		exec(t, db, "CREATE ROLE "+user+" LOGIN PASSWORD 'pw'")
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			for _, sql := range []string{"DROP OWNED BY " + user, "DROP ROLE " + user} {
				if err := db.WithContext(context.Background()).Exec(sql).Error; err != nil {
					t.Error(err)
				}
			}
		})
		u.User = url.UserPassword(user, "pw")
		return user, u.String()
	}
	refused := func(t *testing.T, dsn string, words ...string) {
		t.Helper()
		_, err := campaignexdb.Open(t.Context(), open(t, dsn), clock)
		if err == nil || ruledb.Unavailable(err) {
			t.Fatalf("error: %v", err)
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q is not in %q", w, err)
			}
		}
	}
	t.Run("a user that may not create tables", func(t *testing.T) {
		_, asUser := role(t, enginestest.Database(t))
		refused(t, asUser, "may not bring the schema up to date", "GRANT it CREATE", "permission denied for schema public")
	})
	t.Run("a user without rights on the tables", func(t *testing.T) {
		_, asUser := role(t, campaigns.Database(t))
		refused(t, asUser, "may not bring the schema up to date", "permission denied for table schema_migrations")
	})
	t.Run("a user that lacks some rights", func(t *testing.T) {
		dsn := campaigns.Database(t)
		user, asUser := role(t, dsn)
		exec(t, open(t, dsn), fmt.Sprintf("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO %s", user))
		refused(t, asUser, "lacks rights", "UPDATE on campaigns", "DELETE on outbox")
	})
	t.Run("a user that has them, and may not create tables", func(t *testing.T) {
		dsn := campaigns.Database(t)
		user, asUser := role(t, dsn)
		db := open(t, dsn)
		exec(t, db, fmt.Sprintf("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO %s", user))
		exec(t, db, fmt.Sprintf("GRANT DELETE ON outbox TO %s", user))
		s := store(t, asUser)
		if _, err := s.Campaigns().Create(t.Context(), "ann", campaign()); err != nil {
			t.Fatal(err)
		}
		rules, err := s.Waiting(t.Context(), 10)
		if err != nil || len(rules) != 1 {
			t.Fatal(rules, err)
		}
		if err := s.Done(t.Context(), rules); err != nil {
			t.Error(err)
		}
		if err := s.Campaigns().Delete(t.Context(), "ann", campaign().ID.String(), nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("a database that is not there does not pass", func(t *testing.T) {
		u, err := url.Parse(enginestest.Database(t))
		if err != nil {
			t.Fatal(err)
		}
		u.Path += "_not"
		refused(t, u.String(), "does not exist")
	})
}

// TestARuleThatIsBeingEditedIsNotHeld has the publisher find etcd ahead of a rule whose edit is not
// committed yet: to hold it then would keep the edit from ever being published.
func TestARuleThatIsBeingEditedIsNotHeld(t *testing.T) {
	dsn := campaigns.Database(t)
	s, editor, db := store(t, dsn), store(t, dsn), open(t, dsn)
	item, err := s.Campaigns().Create(t.Context(), "ann", campaign())
	if err != nil {
		t.Fatal(err)
	}
	rules, err := s.Waiting(t.Context(), 10)
	if err != nil || len(rules) != 1 {
		t.Fatal(rules, err)
	}
	edited, release, ended := make(chan struct{}), make(chan struct{}), make(chan error, 2)
	go func() {
		ended <- editor.Change(t.Context(), func(tx *gorm.DB, _ time.Time) error {
			err := tx.Exec("UPDATE campaigns SET version = 2 WHERE id = ?", item.Ref.ID).Error
			if err == nil {
				err = tx.Exec("UPDATE outbox SET version = 2 WHERE rule_id = ?", item.Ref.ID).Error
			}
			close(edited)
			<-release
			return err
		})
	}()
	<-edited
	go func() {
		_, err := s.Hold(t.Context(), rules)
		ended <- err
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for waits := 0; waits == 0; {
		const query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
		if err := db.Raw(query).Scan(&waits).Error; err != nil {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the one does not wait for the other")
		}
	}
	close(release)
	for range 2 {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	if state, err := s.State(t.Context(), item.Ref); err != nil || state != outbox.Waits {
		t.Errorf("the edit has state %v, %v; want that it waits", state, err)
	}
}
