package rewarder

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// ruleSets holds compiled rule sets by hash, a few of them, and stores those that are to come
// into force.
type ruleSets struct {
	store Store
	log   partLog // what the store may have lost; nil: nothing

	mu    sync.Mutex
	max   int
	sets  map[loyalty.Hash]*rules.Rules
	order []loyalty.Hash // least recently used first

	coming loyalty.Hash  // is being compiled
	came   chan struct{} // closed when it is there; nil: none is coming

	restoring sync.Mutex
	storing   sync.Mutex
	stored    map[loyalty.Hash]bool // parts of the rule set that was stored last
}

func newRuleSets(store Store, max int) *ruleSets {
	return &ruleSets{store: store, max: max, sets: map[loyalty.Hash]*rules.Rules{}}
}

// expect makes those who want a rule set wait for it; keep must follow.
func (s *ruleSets) expect(h loyalty.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sets[h] == nil {
		s.coming, s.came = h, make(chan struct{})
	}
}

// keep holds a compiled rule set.
func (s *ruleSets) keep(set *rules.Rules) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.use(set.Hash(), set)
	if s.came != nil && s.coming == set.Hash() {
		close(s.came)
		s.came = nil
	}
}

func (s *ruleSets) use(h loyalty.Hash, set *rules.Rules) {
	s.sets[h] = set
	for i, other := range s.order {
		if other == h {
			s.order = append(s.order[:i], s.order[i+1:]...)
			break
		}
	}
	if s.order = append(s.order, h); len(s.order) > s.max {
		delete(s.sets, s.order[0])
		s.order = s.order[1:]
	}
}

// get returns a rule set by its hash, from the store where it is not at hand, or from the topic of parts. A
// rule set that is in neither is an error about the system: it is stored before its marker is sent.
func (s *ruleSets) get(ctx context.Context, h loyalty.Hash) (*rules.Rules, error) {
	set, came := s.held(h)
	if came != nil {
		select {
		case <-came:
			set, _ = s.held(h)
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for rule set %s to be compiled: %w", h, ctx.Err())
		}
	}
	if set != nil {
		return set, nil
	}
	part := func(part loyalty.Hash) ([]byte, error) { return s.store.Part(ctx, part) }
	set, err := rules.Load(h, part)
	if errors.Is(err, ErrNotFound) && s.log != nil {
		set, err = s.restore(ctx, h, part)
	}
	if err != nil {
		return nil, fmt.Errorf("loading rule set %s: %w", h, err)
	}
	s.keep(set)
	return set, nil
}

// restore gives a store that lacks a rule set all that there ever were, and loads it: the store was lost and
// restored from a backup.
func (s *ruleSets) restore(ctx context.Context, h loyalty.Hash, part func(loyalty.Hash) ([]byte, error)) (*rules.Rules, error) {
	s.restoring.Lock()
	defer s.restoring.Unlock()
	set, err := rules.Load(h, part)
	if !errors.Is(err, ErrNotFound) {
		return set, err // another partition has done it meanwhile
	}
	if err := s.log.read(ctx, func(parts []rules.Part) error { return s.store.PutParts(ctx, parts) }); err != nil {
		return nil, err
	}
	return rules.Load(h, part)
}

// held returns a rule set if it is at hand, or what to wait for if it is being compiled.
func (s *ruleSets) held(h loyalty.Hash) (set *rules.Rules, came <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set = s.sets[h]; set != nil {
		s.use(h, set)
	} else if s.coming == h {
		came = s.came
	}
	return set, came
}

// save stores the parts of a snapshot that are not stored yet, in the store and in the topic of parts.
func (s *ruleSets) save(ctx context.Context, snap *rulebook.Snapshot) error {
	s.storing.Lock()
	defer s.storing.Unlock()
	if s.stored[snap.Hash] {
		return nil
	}
	parts := make([]rules.Part, 0, 8)
	for _, p := range snap.Parts {
		if !s.stored[p.Hash] {
			parts = append(parts, p)
		}
	}
	// At the same time: an edit waits for both.
	var g errgroup.Group
	g.Go(func() error { return s.store.PutParts(ctx, parts) })
	if s.log != nil && len(parts) > 0 {
		g.Go(func() error { return s.log.send(ctx, parts) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("storing rule set %s: %w", snap.Hash, err)
	}
	s.stored = make(map[loyalty.Hash]bool, len(snap.Parts))
	for _, p := range snap.Parts {
		s.stored[p.Hash] = true
	}
	return nil
}

// live is the newest snapshot of the rules in etcd.
type live struct {
	mu      sync.Mutex
	snap    *rulebook.Snapshot
	changed chan struct{} // closed when there is a newer one
}

func newLive() *live { return &live{changed: make(chan struct{})} }

func (l *live) set(s rulebook.Snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.snap = &s
	close(l.changed)
	l.changed = make(chan struct{})
}

// get returns the snapshot, nil while there is none, and a channel that closes when it changes.
func (l *live) get() (*rulebook.Snapshot, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.snap, l.changed
}
