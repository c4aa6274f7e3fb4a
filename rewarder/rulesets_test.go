package rewarder

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// noParts is a store that has none, and counts who asks.
type noParts struct {
	Store
	asked int
}

func (s *noParts) Part(context.Context, loyalty.Hash) ([]byte, error) {
	s.asked++
	return nil, ErrNotFound
}

// A marker may be read while its rules are still being compiled: the reader waits for those and
// does not compile them once more from the store.
func TestARuleSetThatIsBeingCompiledIsWaitedFor(t *testing.T) {
	set, _, err := rules.NewBook(loyalty.MustCurrency("SGD")).Compile()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		store := &noParts{}
		sets := newRuleSets(store, 2)
		sets.expect(set.Hash())
		gave := make(chan *rules.Rules, 1)
		go func() {
			got, err := sets.get(t.Context(), set.Hash())
			if err != nil {
				t.Error(err)
			}
			gave <- got
		}()
		synctest.Wait()
		if len(gave) > 0 {
			t.Fatal("it did not wait")
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := sets.get(ended, set.Hash()); !errors.Is(err, context.Canceled) {
			t.Errorf("waiting past the end of its context: %v", err)
		}
		if _, err := sets.get(t.Context(), loyalty.Hash{1}); !errors.Is(err, ErrNotFound) || store.asked != 1 {
			t.Errorf("another rule set waits too: %v", err)
		}
		sets.keep(set)
		if got := <-gave; got != set {
			t.Error("it got another rule set")
		}
		sets.expect(set.Hash()) // an edit that was taken back: it is at hand
		if got, err := sets.get(t.Context(), set.Hash()); got != set || err != nil || store.asked != 1 {
			t.Errorf("a rule set that is at hand: %v", err)
		}
	})
}
