// Package pebble is the embedded reward store, on Pebble: what stands in for Cassandra on a
// laptop and in tests. One process has a directory open at a time.
package pebble

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/rules"
	"github.com/angelowl-loyalties/app/rewarder"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
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

	// Log takes what Pebble says; nil: nothing does.
	Log *slog.Logger
}

// Store is the reward store. It is safe for concurrent use.
type Store struct {
	db    *pebble.DB
	zone  *time.Location
	write *pebble.WriteOptions

	firsts sync.Mutex // one conditional insert at a time

	mu     sync.Mutex // guards closed; a method is counted in inUse before Close waits
	closed bool
	inUse  sync.WaitGroup

	rowsRead atomic.Int64
}

// Open opens the store in dir, or makes it.
func Open(dir string, o Options) (*Store, error) {
	s := &Store{zone: o.Zone, write: pebble.Sync}
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
		Logger:             logger{log},
		CacheSize:          64 << 20,
		MemTableSize:       32 << 20,
	}
	for i := range opts.Levels {
		// The index by day reads rows one by one, of which it may not have all.
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("opening the reward store in %s: %w", dir, err)
	}
	s.db = db
	if err := s.checkZone(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// checkZone keeps a store from having two kinds of days in one index.
func (s *Store) checkZone() error {
	key := append([]byte{tableMeta}, "zone"...)
	was, err := s.get(key)
	switch {
	case errors.Is(err, rewarder.ErrNotFound):
		return s.db.Set(key, []byte(s.zone.String()), pebble.Sync)
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
	s.inUse.Wait()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("closing the reward store: %w", err)
	}
	return nil
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

func (s *Store) set(key, value []byte) error {
	if err := s.db.Set(key, value, s.write); err != nil {
		return fmt.Errorf("writing to the reward store: %w", err)
	}
	return nil
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
	return is.Incarnation, s.set(key, value)
}

// PutParts implements rewarder.Store.
func (s *Store) PutParts(ctx context.Context, parts []rules.Part) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	b := s.db.NewBatch()
	defer b.Close()
	for _, p := range parts {
		if loyalty.HashOf(p.Data) != p.Hash {
			return fmt.Errorf("a part of a rule set does not have the hash %s", p.Hash)
		}
		if err := b.Set(partKey(p.Hash), p.Data, nil); err != nil {
			return fmt.Errorf("writing to the reward store: %w", err)
		}
	}
	return s.commit(b)
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
	return m, s.set(key, m.Encode())
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
	return s.set(markerKey(at.Incarnation, at.Partition, at.Offset), m.Encode())
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

func (s *Store) commit(b *pebble.Batch) error {
	if b.Empty() {
		return nil
	}
	if err := b.Commit(s.write); err != nil {
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
// after it.
type logger struct{ log *slog.Logger }

func (l logger) Infof(format string, args ...any) {
	l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
}
func (l logger) Errorf(format string, args ...any) {
	l.log.Error("pebble: " + fmt.Sprintf(format, args...))
}
func (l logger) Fatalf(format string, args ...any) {
	text := "pebble: " + fmt.Sprintf(format, args...)
	l.log.Error(text)
	panic(text)
}
