//go:build unix

// Package restore_test makes backups of real engines and restores them, as docs/runbooks/restore.md says.
package restore_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	campaignexdb "github.com/angelowl-loyalties/app/campaignex/postgres"
	"github.com/angelowl-loyalties/app/local/engines/enginestest"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/pgsql"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// sarama's metrics tick for as long as the process lives.
	goleak.VerifyTestMain(enginestest.Main(m), goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

// world is a database with its publisher.
type world struct {
	store     *campaignexdb.Store
	publisher *outbox.Publisher
	log       *bytes.Buffer
}

func open(t *testing.T, dsn string, etcd *clientv3.Client) (w world, closed func()) {
	t.Helper()
	s, err := pgsql.ParseDSN(dsn)
	check(t, err)
	db, err := s.Open("test")
	check(t, err)
	w.store, err = campaignexdb.Open(t.Context(), db, time.Now)
	check(t, err)
	w.log = &bytes.Buffer{}
	w.publisher = outbox.New(w.store, etcd, outbox.DefaultConfig(), slog.New(slog.NewTextHandler(w.log, nil)), time.Now)
	return w, func() { check(t, ruledb.Close(db)) }
}

// publish does what a service does each minute.
func (w world) publish(t *testing.T) {
	t.Helper()
	check(t, w.publisher.Reconcile(t.Context()))
	check(t, w.publisher.Flush(t.Context()))
}

// held are the rules that wait for a person.
func (w world) held(t *testing.T) int64 {
	t.Helper()
	waiting, held, err := w.store.Backlog(t.Context())
	check(t, err)
	if waiting != 0 {
		t.Errorf("%d rules wait to be published", waiting)
	}
	return held
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func campaign(n int, name string) loyalty.Campaign {
	day := func(s string) loyalty.Date {
		d, err := loyalty.ParseDate(s)
		if err != nil {
			panic(err)
		}
		return d
	}
	return loyalty.Campaign{
		ID: uuid.MustParse(fmt.Sprintf("6a0ea1a5-7f1c-4a1b-9a4f-%012d", n)), Name: name, Start: day("2021-09-01"), End: day("2021-12-31"),
		Programme: "scis_platinummiles", Rate: loyalty.MustDecimal("1.4"), Base: true, MCC: loyalty.MCCSet{{From: 3500, To: 3999}},
	}
}

// inEtcd is a campaign as rewarders see it, "" for none.
func inEtcd(t *testing.T, etcd *clientv3.Client, c loyalty.Campaign) (version int64, data string) {
	t.Helper()
	got, err := etcd.Get(t.Context(), outbox.Ref{Kind: rulebook.Campaigns, ID: c.ID.String()}.Key())
	check(t, err)
	if len(got.Kvs) == 0 {
		return 0, ""
	}
	v, err := rulebook.DecodeValue(got.Kvs[0].Value)
	check(t, err)
	return v.Version, string(v.Data)
}

// An older database is restored. What etcd has newer is not taken back in silence: it is held until the
// rule's version is above etcd's.
func TestAnOlderDatabaseIsRestored(t *testing.T) {
	etcd := enginestest.Keys(t)
	dsn := enginestest.Database(t)
	restored := enginestest.Database(t)
	dump := filepath.Join(t.TempDir(), "campaignex.dump")

	w, closed := open(t, dsn, etcd)
	stays, changes, later := campaign(1, "stays"), campaign(2, "before"), campaign(3, "later")
	for _, c := range []loyalty.Campaign{stays, changes} {
		_, err := w.store.Campaigns().Create(t.Context(), "ann", c)
		check(t, err)
	}
	w.publish(t)
	run(t, "pg_dump", "--format=custom", "--file="+dump, dsn)
	for i := range 3 { // version 2, 3, 4
		changes.Name = fmt.Sprint("after ", i)
		_, err := w.store.Campaigns().Put(t.Context(), "ann", changes, nil)
		check(t, err)
	}
	_, err := w.store.Campaigns().Create(t.Context(), "ann", later)
	check(t, err)
	w.publish(t)
	if version, data := inEtcd(t, etcd, changes); version != 4 || !strings.Contains(data, "after 2") {
		t.Fatalf("etcd has version %d: %s", version, data)
	}
	closed()

	run(t, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--dbname="+restored, dump)
	w, closed = open(t, restored, etcd)
	defer closed()
	w.publish(t)
	if held := w.held(t); held != 1 {
		t.Errorf("%d rules are held, want the one that etcd has newer", held)
	}
	if !strings.Contains(w.log.String(), "ALARM: etcd has rules that the database has never had") {
		t.Errorf("nobody is told: %s", w.log)
	}
	for _, c := range []loyalty.Campaign{changes, later} {
		if _, data := inEtcd(t, etcd, c); !strings.Contains(data, c.Name) {
			t.Errorf("what etcd has of %q was taken back in silence: %s", c.Name, data)
		}
	}

	// A person chooses. Each change is one version; below etcd's it is held again, and said.
	for i, want := range []int64{1, 1, 1, 0} { // versions 2 to 5; etcd has 4 with another content
		changes.Name = fmt.Sprint("chosen ", i)
		_, err := w.store.Campaigns().Put(t.Context(), "ann", changes, nil)
		check(t, err)
		check(t, w.publisher.Flush(t.Context()))
		if held := w.held(t); held != want {
			t.Errorf("after %d changes %d rules are held, want %d", i+1, held, want)
		}
	}
	if version, data := inEtcd(t, etcd, changes); version != 5 || !strings.Contains(data, "chosen 3") {
		t.Errorf("etcd has version %d: %s", version, data)
	}
}

// An etcd without its data is filled from the database.
func TestEtcdIsLost(t *testing.T) {
	etcd := enginestest.Keys(t)
	w, closed := open(t, enginestest.Database(t), etcd)
	defer closed()
	c := campaign(1, "stays")
	_, err := w.store.Campaigns().Create(t.Context(), "ann", c)
	check(t, err)
	w.publish(t)
	_, before := inEtcd(t, etcd, c)
	_, err = etcd.Delete(t.Context(), "", clientv3.WithPrefix())
	check(t, err)
	if _, data := inEtcd(t, etcd, c); data != "" || before == "" {
		t.Fatalf("etcd is not lost: %q, %q", before, data)
	}
	w.publish(t)
	if _, data := inEtcd(t, etcd, c); data != before {
		t.Errorf("etcd has %q, had %q", data, before)
	}
}
