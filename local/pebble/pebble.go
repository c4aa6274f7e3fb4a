// Package pebble is the embedded reward store, on Pebble: what stands in for Cassandra on a
// laptop and in tests. One process has a directory open at a time.
package pebble

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/local/disk"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules"
	"github.com/angelowl-loyalties/app/rewarder"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	_ rewarder.Store = (*Store)(nil)
	_ informer.Store = (*Store)(nil)
)

// ErrClosed says that the store was closed.
var ErrClosed = errors.New("the reward store is closed")

// MaxRow is the most bytes that a row may have as it is stored.
const MaxRow = 1 << 20

// Options of Open. The zero value is a durable store in UTC.
type Options struct {
	// Zone is the bank's, in which the index by day is kept; nil: UTC. A store opens only in the
	// zone in which it was made.
	Zone *time.Location

	// NoSync returns from a write before it is on the disk: a process or a machine that dies may
	// lose the last ones. For directories that nobody wants back.
	NoSync bool

	// Disk is the disk that dir is on. While it is full every write is refused with its error, and
	// what Pebble is writing waits until there is room. nil: a full disk is the end of the store,
	// as every other failure to write is.
	Disk *disk.Guard

	// Log takes what Pebble says; nil: nothing does.
	Log *slog.Logger
}

// Store is the reward store. It is safe for concurrent use.
type Store struct {
	db    *pebble.DB
	zone  *time.Location
	write *pebble.WriteOptions

	disk *disk.Guard

	firsts sync.Mutex // one conditional insert at a time

	mu     sync.Mutex // guards closed; a method is counted in inUse before Close waits
	closed bool
	inUse  sync.WaitGroup
	writes sync.WaitGroup // commits, which outlive the method that wanted one if its context ends

	closing context.Context // ends when Close begins: nothing waits for room any more
	end     context.CancelFunc
	fails   sync.Once
	broken  chan struct{} // closed after reason is set: Pebble cannot go on
	reason  error
	failed  chan error

	rowsRead atomic.Int64
}

// Open opens the store in dir, or makes it.
func Open(dir string, o Options) (*Store, error) {
	s := &Store{zone: o.Zone, write: pebble.Sync, disk: o.Disk, broken: make(chan struct{}), failed: make(chan error, 1)}
	s.closing, s.end = context.WithCancel(context.Background())
	if s.zone == nil {
		s.zone = time.UTC
	}
	if o.NoSync {
		s.write = pebble.NoSync
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	opts := &pebble.Options{
		Merger:             merger,
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             logger{log, s.fail},
		CacheSize:          64 << 20,
		MemTableSize:       32 << 20,
	}
	for i := range opts.Levels {
		// The index by day reads rows one by one, of which it may not have all.
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	if o.Disk != nil {
		opts.FS = vfs.OnDiskFull(vfs.Default, func() { _ = o.Disk.Await(s.closing) })
	}
	db, err := pebble.Open(dir, opts)
	if err != nil {
		s.end()
		return nil, fmt.Errorf("opening the reward store in %s: %w", dir, err)
	}
	s.db = db
	if err := s.checkZone(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Err says once when Pebble cannot go on: after a write that failed nobody knows what is on the
// disk. Every call fails from then on. What was written before is there when the directory is
// opened again, by another process.
func (s *Store) Err() <-chan error { return s.failed }

func (s *Store) fail(text string) {
	s.fails.Do(func() {
		s.reason = fmt.Errorf("the reward store has stopped: %s", text)
		close(s.broken)
		s.failed <- s.reason
	})
}

// checkZone keeps a store from having two kinds of days in one index.
func (s *Store) checkZone() error {
	key := append([]byte{tableMeta}, "zone"...)
	was, err := s.get(key)
	switch {
	case errors.Is(err, rewarder.ErrNotFound):
		return s.set(s.closing, key, []byte(s.zone.String()))
	case err != nil:
		return err
	case string(was) != s.zone.String():
		return fmt.Errorf("the reward store keeps the days of the time zone %s, not of %s", was, s.zone)
	}
	return nil
}

// Close waits for the methods that are at work and closes the store. Every later call is
// ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.end()
	closed := make(chan error, 1)
	go func() {
		s.inUse.Wait()
		s.writes.Wait()
		closed <- s.db.Close()
	}()
	select {
	case err := <-closed:
		if err != nil {
			return fmt.Errorf("closing the reward store: %w", err)
		}
		return nil
	case <-s.broken: // nothing in it ends any more
		return s.reason
	}
}

// enter is nil where a method may go to work; it calls leave when it is done.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	select {
	case <-s.broken:
		return s.reason
	default:
	}
	s.inUse.Add(1)
	return nil
}

func (s *Store) leave() { s.inUse.Done() }

// RowsRead counts the keys of rewards and of the index that reads have visited, for tests that
// hold a page's cost.
func (s *Store) RowsRead() int64 { return s.rowsRead.Load() }

// get returns a copy of a value, or rewarder.ErrNotFound.
func (s *Store) get(key []byte) ([]byte, error) {
	v, closer, err := s.db.Get(key)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return nil, rewarder.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("reading the reward store: %w", err)
	}
	v = append([]byte(nil), v...)
	return v, closer.Close()
}

func (s *Store) set(ctx context.Context, key, value []byte) error {
	b := s.db.NewBatch()
	if err := b.Set(key, value, nil); err != nil {
		return fmt.Errorf("writing to the reward store: %w", errors.Join(err, b.Close()))
	}
	return s.commit(ctx, b)
}

type topic struct {
	ID          string `json:"id"`
	Partitions  int32  `json:"partitions"`
	Incarnation int64  `json:"incarnation"`
}

// OpenTopic implements rewarder.Store. Incarnations are counted over the names of all topics,
// since rows and markers do not say which topic they are of.
func (s *Store) OpenTopic(ctx context.Context, name, id string, partitions int32) (int64, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	if name == "" || id == "" || partitions < 1 {
		return 0, fmt.Errorf("opening the topic %q: it needs a name, an id and partitions", name)
	}
	s.firsts.Lock()
	defer s.firsts.Unlock()
	key := append([]byte{tableTopics}, name...)
	var is topic
	switch value, err := s.get(key); {
	case err == nil:
		if err := json.Unmarshal(value, &is); err != nil {
			return 0, fmt.Errorf("reading the topic %q from the reward store: %w", name, err)
		}
		if is.ID != id || is.Partitions != partitions {
			return 0, fmt.Errorf("topic %q with id %s and %d partitions, known with id %s and %d: %w",
				name, id, partitions, is.ID, is.Partitions, rewarder.ErrTopicChanged)
		}
		return is.Incarnation, nil
	case !errors.Is(err, rewarder.ErrNotFound):
		return 0, err
	}
	count, err := s.count(ctx, []byte{tableTopics})
	if err != nil {
		return 0, err
	}
	is = topic{id, partitions, count + 1}
	value, err := json.Marshal(is)
	if err != nil {
		return 0, fmt.Errorf("writing the topic %q to the reward store: %w", name, err)
	}
	return is.Incarnation, s.set(ctx, key, value)
}

// PutParts implements rewarder.Store.
func (s *Store) PutParts(ctx context.Context, parts []rules.Part) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	b := s.db.NewBatch()
	for _, p := range parts {
		if loyalty.HashOf(p.Data) != p.Hash {
			return errors.Join(fmt.Errorf("a part of a rule set does not have the hash %s", p.Hash), b.Close())
		}
		if err := b.Set(partKey(p.Hash), p.Data, nil); err != nil {
			return fmt.Errorf("writing to the reward store: %w", errors.Join(err, b.Close()))
		}
	}
	return s.commit(ctx, b)
}

// Part implements rewarder.Store.
func (s *Store) Part(ctx context.Context, hash loyalty.Hash) ([]byte, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	return s.get(partKey(hash))
}

// FixFirst implements rewarder.Store.
func (s *Store) FixFirst(ctx context.Context, incarnation int64, partition int32, m record.Marker) (record.Marker, error) {
	if err := s.enter(ctx); err != nil {
		return record.Marker{}, err
	}
	defer s.leave()
	s.firsts.Lock()
	defer s.firsts.Unlock()
	key := markerKey(incarnation, partition, -1)
	switch is, err := s.get(key); {
	case err == nil:
		return record.DecodeMarker(is)
	case !errors.Is(err, rewarder.ErrNotFound):
		return record.Marker{}, err
	}
	return m, s.set(ctx, key, m.Encode())
}

// PutMarker implements rewarder.Store.
func (s *Store) PutMarker(ctx context.Context, at loyalty.Position, m record.Marker) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if !validPosition(at) {
		return fmt.Errorf("a rule marker at %+v: there is no such place in a log", at)
	}
	return s.set(ctx, markerKey(at.Incarnation, at.Partition, at.Offset), m.Encode())
}

// MarkerBefore implements rewarder.Store.
func (s *Store) MarkerBefore(ctx context.Context, at loyalty.Position) (record.Marker, int64, error) {
	if err := s.enter(ctx); err != nil {
		return record.Marker{}, 0, err
	}
	defer s.leave()
	if at.Offset < 0 {
		return record.Marker{}, 0, rewarder.ErrNotFound
	}
	first := markerKey(at.Incarnation, at.Partition, -1)
	it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: first,
		UpperBound: markerKey(at.Incarnation, at.Partition, at.Offset),
	})
	if err != nil {
		return record.Marker{}, 0, fmt.Errorf("reading the reward store: %w", err)
	}
	defer it.Close()
	if !it.Last() {
		if err := it.Error(); err != nil {
			return record.Marker{}, 0, fmt.Errorf("reading the reward store: %w", err)
		}
		return record.Marker{}, 0, rewarder.ErrNotFound
	}
	m, err := record.DecodeMarker(it.Value())
	return m, markerOffset(it.Key()), err
}

// commit writes a batch, which is its from here on. Pebble's commit waits for a disk that hangs as
// long as that hangs; this one as long as ctx lasts, and then the write may be done all the same.
func (s *Store) commit(ctx context.Context, b *pebble.Batch) error {
	if err := s.disk.Check(); err != nil || b.Empty() {
		return errors.Join(err, b.Close())
	}
	done := make(chan error, 1)
	s.writes.Go(func() { done <- errors.Join(b.Commit(s.write), b.Close()) })
	var err error
	select {
	case err = <-done:
	case <-s.broken:
		return s.reason
	case <-ctx.Done():
		err = ctx.Err()
		if full := s.disk.Check(); full != nil {
			err = fmt.Errorf("%w: %w", err, full) // which is why
		}
	}
	if err != nil {
		return fmt.Errorf("writing to the reward store: %w", err)
	}
	return nil
}

// count counts the keys of a table, but for what was erased.
func (s *Store) count(ctx context.Context, prefix []byte) (int64, error) {
	it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return 0, fmt.Errorf("reading the reward store: %w", err)
	}
	defer it.Close()
	n := int64(0)
	for ok := it.First(); ok; ok = it.Next() {
		if v := it.Value(); len(v) != 1 || v[0] != formatErased {
			n++
		}
	}
	if err := it.Error(); err != nil {
		return 0, fmt.Errorf("reading the reward store: %w", err)
	}
	return n, nil
}

// logger passes on what Pebble says. A Fatalf must not return: the store is not to be trusted
// after it. Whoever called it stays there, with the locks that it has.
type logger struct {
	log  *slog.Logger
	fail func(string)
}

func (l logger) Infof(format string, args ...any) {
	l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
}
func (l logger) Errorf(format string, args ...any) {
	l.log.Error("pebble: " + fmt.Sprintf(format, args...))
}
func (l logger) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.log.Error("pebble: " + text)
	l.fail(strings.TrimPrefix(text, "pebble: "))
	select {}
}
