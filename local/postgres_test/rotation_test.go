package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/angelowl-loyalties/app/local/engines/enginestest"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"

	campaignexdb "github.com/angelowl-loyalties/app/campaignex/postgres"
)

// TestAUserIsChanged does what docs/runbooks/key-rotation.md says: a service changes over from one user of its
// database to another, and nobody notices.
func TestAUserIsChanged(t *testing.T) {
	dsn := enginestest.Database(t)
	db := open(t, dsn)
	first := "u_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	next := first + "_b"
	as := func(user, password string) string {
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(user, password)
		return u.String()
	}
	exec(t, db, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'one'", first))
	t.Cleanup(func() {
		for _, sql := range []string{"DROP OWNED BY " + next, "DROP ROLE " + next, "DROP OWNED BY " + first, "DROP ROLE " + first} {
			if err := db.WithContext(context.Background()).Exec(sql).Error; err != nil {
				t.Error(err)
			}
		}
	})
	exec(t, db, "GRANT USAGE, CREATE ON SCHEMA public TO "+first)
	before := store(t, as(first, "one"))
	if _, err := before.Campaigns().Create(t.Context(), "ann", campaign()); err != nil {
		t.Fatal(err)
	}

	exec(t, db, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'two' IN ROLE %s", next, first))
	exec(t, db, fmt.Sprintf("ALTER ROLE %s SET role TO %s", next, first))
	after := store(t, as(next, "two"))
	for name, s := range map[string]*campaignexdb.Store{"the first": before, "the next": after} { // pods of both, as they are replaced
		c := campaign()
		c.ID = uuid.New()
		if _, err := s.Campaigns().Create(t.Context(), "ann", c); err != nil {
			t.Errorf("as %s user: %v", name, err)
		}
	}
	mine := open(t, as(next, "two"))
	exec(t, mine, "CREATE TABLE a_later_migration (id int)")
	var owner string
	if err := db.Raw("SELECT tableowner FROM pg_tables WHERE tablename = 'a_later_migration'").Scan(&owner).Error; err != nil || owner != first {
		t.Errorf("what a migration makes belongs to %q, %v; want %s, as before", owner, err, first)
	}

	exec(t, db, fmt.Sprintf("ALTER ROLE %s NOLOGIN PASSWORD NULL", first))
	exec(t, db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ?", first)
	if _, err := campaignexdb.Open(t.Context(), open(t, as(first, "one")), clock); err == nil || ruledb.Unavailable(err) {
		t.Errorf("the first user gets in: %v", err)
	}
	var got int64
	err := after.Read(t.Context(), func(tx *gorm.DB) error { return tx.Table("campaigns").Count(&got).Error })
	if err != nil || got != 3 {
		t.Errorf("the next user sees %d campaigns, %v; want 3", got, err)
	}
}
