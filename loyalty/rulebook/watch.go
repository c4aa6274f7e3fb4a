package rulebook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/angelowl-loyalties/app/loyalty"
)

const (
	listPage  = 2000 // keys of one range request
	retryMin  = 50 * time.Millisecond
	retryMax  = 5 * time.Second
	checkTime = 3 * time.Second
)

// Load reads the rules once. ErrEmpty when there are none yet.
func Load(ctx context.Context, cli *clientv3.Client, home loyalty.Currency) (Snapshot, error) {
	m := newMirror(home)
	l, err := list(ctx, cli)
	if err != nil {
		return Snapshot{}, err
	}
	m.replace(l.kvs)
	s, err := m.store()
	if err == nil {
		m.compile(&s)
	}
	return s, err
}

// Watch loads the rules, calls f with the first snapshot and after each batch of changes, and
// returns nil when ctx ends. Changes that come in while f runs become one. A value that cannot be
// read keeps the last snapshot and is logged; see Watcher.
func Watch(ctx context.Context, cli *clientv3.Client, home loyalty.Currency, log *slog.Logger, f func(Snapshot)) error {
	return (&Watcher{Client: cli, Home: home, Log: log, Changed: f}).Run(ctx)
}

// Watcher follows the rules in etcd.
type Watcher struct {
	Client  *clientv3.Client
	Home    loyalty.Currency
	Log     *slog.Logger
	Changed func(Snapshot) // is called by one goroutine

	// Stored, if set, is called by that goroutine with each snapshot before Changed is, without
	// its Rules: compiling takes its time where campaigns are many, and a rule set has its name
	// and its parts before. Changed follows, whatever happens.
	Stored func(Snapshot)

	// Problem, if set, is told why the last snapshot is not what etcd has (ErrEmpty, a value that
	// cannot be read, etcd out of reach), and nil when that is over.
	Problem func(error)

	// Confirmed, if set, is called whenever etcd has said that the last snapshot is what it has: with
	// each change and at each check.
	Confirmed func()

	// CheckEvery is how often etcd is asked whether it is still there and the one that is
	// watched; a watch alone would wait in silence. Default 10 s.
	CheckEvery time.Duration
}

// Run follows the rules until ctx ends, and returns nil then. It survives compaction, a lost
// leader, closed channels and an etcd that was rebuilt under it: it lists again and goes on.
func (w *Watcher) Run(ctx context.Context) error {
	f := follower{Watcher: w, mirror: newMirror(w.Home)}
	wait := retryMin
	for {
		began := time.Now()
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		f.report(err)
		if time.Since(began) > retryMax {
			wait = retryMin
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, retryMax)
	}
}

type follower struct {
	*Watcher
	mirror  *mirror
	cluster uint64 // the etcd that the mirror is of
	seen    int64  // its revision
	told    string // the problem last told
	last    Snapshot
	problem error // why last is not what the mirror has
}

var errRebuilt = errors.New("etcd is not the one that was watched")

// follow lists, then watches until something breaks the watch. It never returns nil.
func (f *follower) follow(ctx context.Context) error {
	l, err := list(ctx, f.Client)
	if err != nil {
		return err
	}
	if l.cluster != f.cluster || l.revision < f.seen {
		f.mirror = newMirror(f.Home) // revisions of another etcd say nothing about ours
	}
	f.cluster, f.seen = l.cluster, l.revision
	f.mirror.replace(l.kvs)
	f.publish()

	watching, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	events := make(chan []clientv3.WatchResponse)
	go gather(watching, f.Client.Watch(watching, Prefix, clientv3.WithPrefix(), clientv3.WithRev(f.seen+1)), events)
	check := time.NewTicker(cmp.Or(f.CheckEvery, 10*time.Second))
	defer check.Stop()
	for {
		select {
		case some, ok := <-events:
			if !ok {
				return errors.New("the watch of the rules was closed")
			}
			for _, r := range some {
				if err := f.take(r); err != nil {
					return err
				}
			}
			f.publish()
		case <-check.C:
			if err := f.check(ctx); err != nil {
				return err
			}
		}
	}
}

// gather hands out what has come in since it was last asked, all at once.
func gather(ctx context.Context, in clientv3.WatchChan, out chan<- []clientv3.WatchResponse) {
	defer close(out)
	var waiting []clientv3.WatchResponse
	for {
		to := out
		if len(waiting) == 0 {
			to = nil
		}
		select {
		case r, ok := <-in:
			if !ok {
				if len(waiting) > 0 {
					select {
					case out <- waiting:
					case <-ctx.Done():
					}
				}
				return
			}
			waiting = append(waiting, r)
		case to <- waiting:
			waiting = nil
		case <-ctx.Done():
			return
		}
	}
}

func (f *follower) take(r clientv3.WatchResponse) error {
	if err := r.Err(); err != nil {
		return fmt.Errorf("watching the rules: %w", err)
	}
	for _, e := range r.Events {
		if e.Type == clientv3.EventTypeDelete {
			f.mirror.remove(string(e.Kv.Key), e.Kv.ModRevision)
		} else {
			f.mirror.put(e.Kv)
		}
	}
	f.seen = max(f.seen, r.Header.Revision)
	return nil
}

// check finds an etcd that was rebuilt: a watch from a revision that it has not reached yet would
// wait for it in silence.
func (f *follower) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	r, err := f.Client.Get(ctx, EpochKey, clientv3.WithCountOnly())
	if err != nil { // the watch goes on by itself when etcd is there again
		f.report(fmt.Errorf("etcd is out of reach: %w", err))
		return nil
	}
	f.report(f.problem)
	if r.Header.ClusterId != f.cluster || r.Header.Revision < f.seen {
		return errRebuilt
	}
	return nil
}

// publish hands out a snapshot if there is a new one.
func (f *follower) publish() {
	if f.last.Rules != nil && f.mirror.problem() == nil && f.last.Epoch == f.mirror.epoch && f.last.Revision == f.mirror.revision {
		f.problem = nil
		f.report(nil)
		return
	}
	s, err := f.mirror.store()
	f.problem = err
	f.report(err)
	if err != nil {
		return
	}
	if f.Stored != nil {
		f.Stored(s)
		runtime.Gosched() // whoever that woke goes first, on two processors too
	}
	f.mirror.compile(&s)
	f.last = s

	f.Changed(s)
}

// report logs a problem when it begins and when it is over.
func (f *follower) report(err error) {
	if err == nil && f.Confirmed != nil {
		f.Confirmed()
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == f.told {
		return
	}
	f.told = text
	switch {
	case err == nil:
		f.Log.Info("the rules can be read again")
	case errors.Is(err, ErrEmpty):
		f.Log.Info("waiting for rules: etcd has none yet")
	default:
		f.Log.Error("the rules in etcd cannot be followed; the last ones stay in force", "error", text)
	}
	if f.Problem != nil {
		f.Problem(err)
	}
}

type listing struct {
	kvs      []*mvccpb.KeyValue
	cluster  uint64
	revision int64
}

// list reads all keys below Prefix at one revision.
func list(ctx context.Context, cli *clientv3.Client) (listing, error) {
	var l listing
	from, end := Prefix, clientv3.GetPrefixRangeEnd(Prefix)
	for {
		r, err := cli.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(listPage), clientv3.WithRev(l.revision))
		if err != nil {
			return l, fmt.Errorf("listing the rules: %w", err)
		}
		if l.revision == 0 {
			l.cluster, l.revision = r.Header.ClusterId, r.Header.Revision
		}
		l.kvs = append(l.kvs, r.Kvs...)
		if !r.More {
			return l, nil
		}
		from = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
	}
}
