// Package rulebook_test runs the mirror of the rules on a real etcd.
package rulebook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/local/etcd"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var sgd = loyalty.MustCurrency("SGD")

type world struct {
	t   *testing.T
	cli *clientv3.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := etcd.Start(context.Background(), t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w := &world{t: t}
	if w.cli, err = s.Client(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.cli.Close() })
	return w
}

func (w *world) put(key, value string) int64 {
	w.t.Helper()
	r, err := w.cli.Put(context.Background(), key, value)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.Header.Revision
}

func id(n int) string { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(fmt.Sprint(n))).String() }

func exclusion(n, mcc int) (key, value string) {
	v, err := rulebook.Value{Version: 1, Data: json.RawMessage(fmt.Sprintf(`{"id": %q, "mcc": %d, "valid_from": "2020-01-01"}`, id(n), mcc))}.Encode()
	if err != nil {
		panic(err)
	}
	return rulebook.Key(rulebook.Exclusions, id(n)), string(v)
}

func (w *world) exclude(n, mcc int) int64 { k, v := exclusion(n, mcc); return w.put(k, v) }

func (w *world) load() rulebook.Snapshot {
	w.t.Helper()
	s, err := rulebook.Load(context.Background(), w.cli, sgd)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// watch runs a watcher and hands out its snapshots and problems.
func (w *world) watch() (snapshots <-chan rulebook.Snapshot, problems <-chan error) {
	ctx, cancel := context.WithCancel(context.Background())
	s, p, ended := make(chan rulebook.Snapshot), make(chan error, 100), make(chan error)
	watcher := rulebook.Watcher{
		Client: w.cli, Home: sgd, Log: slog.New(slog.DiscardHandler), CheckEvery: 20 * time.Millisecond,
		Changed: func(v rulebook.Snapshot) {
			select {
			case s <- v:
			case <-ctx.Done():
			}
		},
		Problem: func(err error) { p <- err },
	}
	go func() { ended <- watcher.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("the watcher ended with %v", err)
		}
	})
	return s, p
}

func next[T any](w *world, c <-chan T) (v T) {
	w.t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		w.t.Fatal("nothing comes")
	}
	return v
}

// A snapshot is told of before its rules are compiled, and again when they are.
func TestASnapshotIsStoredBeforeItIsCompiled(t *testing.T) {
	w := newWorld(t)
	w.exclude(1, 10)
	w.put(rulebook.EpochKey, "77")
	var told []rulebook.Snapshot
	ctx, cancel := context.WithCancel(t.Context())
	watcher := rulebook.Watcher{
		Client: w.cli, Home: sgd, Log: slog.New(slog.DiscardHandler),
		Stored: func(s rulebook.Snapshot) { told = append(told, s) },
		Changed: func(s rulebook.Snapshot) {
			if told = append(told, s); len(told) == 2 {
				w.exclude(2, 20)
			} else {
				cancel()
			}
		},
	}
	if err := watcher.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if len(told) != 4 {
		t.Fatalf("told %d times, want twice of each of two snapshots", len(told))
	}
	for i := 0; i < 4; i += 2 {
		before, after := told[i], told[i+1]
		if before.Rules != nil || before.Marker() != after.Marker() || after.Rules.Hash() != before.Hash || before.Parts[len(before.Parts)-1].Hash != before.Hash {
			t.Errorf("snapshot %d: %v before, %v after", i/2+1, before.Marker(), after.Marker())
		}
	}
}

func TestLoad(t *testing.T) {
	w := newWorld(t)
	if _, err := rulebook.Load(t.Context(), w.cli, sgd); !errors.Is(err, rulebook.ErrEmpty) {
		t.Errorf("an empty etcd gives %v", err)
	}
	w.exclude(1, 10)
	w.put(rulebook.EpochKey, "77")
	rev := w.exclude(2, 20)
	w.put("angelowl/inforce/x", "nothing of ours")
	s := w.load()
	if s.Epoch != 77 || s.Revision != rev || s.Parts[len(s.Parts)-1].Hash != s.Rules.Hash() {
		t.Errorf("epoch %d, revision %d, want 77 and %d, the root last", s.Epoch, s.Revision, rev)
	}
	// The same content in another order of edits has the same name.
	w.exclude(1, 11)
	if now := w.load(); now.Rules.Hash() == s.Rules.Hash() {
		t.Error("an edit left the name as it was")
	}
	w.exclude(1, 10)
	if now := w.load(); now.Rules.Hash() != s.Rules.Hash() || now.Revision <= rev {
		t.Error("an edit taken back has another name, or an old revision")
	}
	// A tombstone is the rule's absence.
	w.exclude(3, 30)
	tomb, _ := rulebook.Value{Version: 2, Deleted: true}.Encode()
	rev = w.put(rulebook.Key(rulebook.Exclusions, id(3)), string(tomb))
	if now := w.load(); now.Rules.Hash() != s.Rules.Hash() || now.Revision != rev {
		t.Error("a tombstone does not delete")
	}
}

func TestLoadReadsManyPages(t *testing.T) {
	w := newWorld(t)
	w.put(rulebook.EpochKey, "1")
	var ops []clientv3.Op
	for n := range 4500 {
		k, v := exclusion(n, n+1)
		if ops = append(ops, clientv3.OpPut(k, v)); len(ops) == 100 {
			if _, err := w.cli.Txn(t.Context()).Then(ops...).Commit(); err != nil {
				t.Fatal(err)
			}
			ops = nil
		}
	}
	s := w.load()
	w.exclude(4499, 9999)
	if w.load().Rules.Hash() == s.Rules.Hash() {
		t.Error("the last page was not read")
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	data := func(s string) string {
		v, err := rulebook.Value{Version: 1, Data: json.RawMessage(s)}.Encode()
		if err != nil {
			panic(err)
		}
		return string(v)
	}
	tests := []struct{ name, key, value string }{
		{"not JSON", rulebook.Key(rulebook.Exclusions, id(1)), "{"},
		{"no version", rulebook.Key(rulebook.Exclusions, id(1)), `{"data": {}}`},
		{"another rule's data", rulebook.Key(rulebook.Exclusions, id(1)), data(fmt.Sprintf(`{"id": %q, "mcc": 1, "valid_from": "2020-01-01"}`, id(2)))},
		{"data that is not valid", rulebook.Key(rulebook.Exclusions, id(1)), data(fmt.Sprintf(`{"id": %q, "mcc": 0, "valid_from": "2020-01-01"}`, id(1)))},
		{"a kind that is not known", rulebook.Prefix + "cap/1", data(`{}`)},
		{"an epoch of 0", rulebook.EpochKey, "0"},
		{"a year that does not fit", rulebook.Key(rulebook.Quotes, "2020"), data(`{"year": 2021, "days": {}}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.put(rulebook.EpochKey, "1")
			first := w.load()
			snapshots, problems := w.watch()
			next(w, snapshots)
			w.put(tt.key, tt.value)
			if err := next(w, problems); err == nil || !strings.Contains(err.Error(), tt.key) {
				t.Errorf("the problem is %v, it should name %s", err, tt.key)
			}
			w.exclude(9, 9) // waits for the other to be mended: a set without that was nobody's
			if tt.key == rulebook.EpochKey {
				w.put(tt.key, "1")
			} else if _, err := w.cli.Delete(t.Context(), tt.key); err != nil {
				t.Fatal(err)
			}
			got := next(w, snapshots)
			if want := w.load(); got.Rules.Hash() != want.Rules.Hash() || got.Rules.Hash() == first.Rules.Hash() {
				t.Errorf("the next snapshot is %s, want %s", got.Rules.Hash(), want.Rules.Hash())
			}
			if err := next(w, problems); err != nil {
				t.Errorf("the problem stays: %v", err)
			}
		})
	}
}

func TestChangesThatWaitBecomeOne(t *testing.T) {
	w := newWorld(t)
	snapshots, problems := w.watch()
	if err := next(w, problems); !errors.Is(err, rulebook.ErrEmpty) {
		t.Errorf("the problem is %v", err)
	}
	w.put(rulebook.EpochKey, "1") // the watcher holds this snapshot out until it is taken
	var last int64
	for n := range 50 {
		last = w.exclude(n, n+1)
	}
	got := 0
	for s := next(w, snapshots); s.Revision < last; s = next(w, snapshots) {
		got++
	}
	if got > 5 {
		t.Errorf("50 changes that waited came as %d snapshots", got)
	}
}

func TestCompactionAndARebuiltPrefix(t *testing.T) {
	w := newWorld(t)
	w.put(rulebook.EpochKey, "5")
	w.exclude(1, 10)
	snapshots, _ := w.watch()
	s := next(w, snapshots)
	// The watcher is held up while history is compacted away below what it has seen.
	last := w.exclude(2, 20)
	for n := range 20 {
		last = w.exclude(2, 30+n)
	}
	if _, err := w.cli.Compact(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	for s.Revision < last {
		s = next(w, snapshots)
	}
	if s.Rules.Hash() != w.load().Rules.Hash() {
		t.Error("after a compaction the watcher has other rules than a new one")
	}
	// Somebody wipes the prefix; whoever fills it again writes a higher epoch.
	if _, err := w.cli.Delete(t.Context(), rulebook.Prefix, clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	w.exclude(1, 10)
	w.put(rulebook.EpochKey, "6")
	for s.Epoch < 6 {
		s = next(w, snapshots)
	}
	if want := w.load(); s.Rules.Hash() != want.Rules.Hash() || !s.Marker().After(record.Marker{Epoch: 5, Revision: last}) {
		t.Errorf("the rebuilt rules are %+v, want %+v", s.Marker(), want.Marker())
	}
}
