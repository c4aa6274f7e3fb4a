// Package storetest holds every profiler.Store to its contract. What all kinds of rules have in
// common is tested at length by campaignex/storetest.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/profiler"
)

// Now is the time that the clock of an opened store shows.
var Now = time.Date(2021, 9, 1, 12, 0, 0, 123e6, time.UTC)

// Run tests stores that open makes: an empty one for each test, whose clock shows Now.
func Run(t *testing.T, open func(t *testing.T) profiler.Store) {
	tests := []struct {
		name string
		test func(t *testing.T, s profiler.Store)
	}{
		{"a card type's life has a version and an entry of history for each change", life},
		{"a card type comes back exactly", exact},
		{"lists are sorted and paged", lists},
		{"card types are walked through in order, tombstones too", walks},
		{"an import is idempotent", imports},
		{"an import is whole or not at all", importFails},
		{"importers at once: each is whole", importers},
		{"a cancelled context changes nothing", cancelled},
	}
	for _, test := range append(append(tests, accounts...), rewardMails...) {
		t.Run(test.name, func(t *testing.T) { test.test(t, open(t)) })
	}
}

func cardType(key string) loyalty.CardType {
	return loyalty.CardType{CardType: key, Name: "Card " + key, Unit: "miles", Programme: "Miles"}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	g, errG := json.Marshal(got)
	w, errW := json.Marshal(want)
	check(t, errors.Join(errG, errW))
	if string(g) != string(w) {
		t.Fatalf("got  %s\nwant %s", g, w)
	}
}

func waiting(t *testing.T, s profiler.Store) []string {
	t.Helper()
	rules, err := s.Waiting(t.Context(), 1000)
	check(t, err)
	out := []string{}
	for _, r := range rules {
		out = append(out, fmt.Sprintf("%s v%d deleted=%t", r.Key(), r.Version, r.Deleted))
	}
	return out
}

func life(t *testing.T, s profiler.Store) {
	ctx, c := t.Context(), cardType("gold")
	_, err := s.CardTypes().Get(ctx, "gold")
	wants(t, err, ruleapi.ErrNotFound)
	item, err := s.CardTypes().Create(ctx, "ann", c)
	check(t, err)
	if item.Version != 1 || item.Published || !item.UpdatedAt.Equal(Now) || item.Ref != (outbox.Ref{Kind: rulebook.CardTypes, ID: "gold"}) {
		t.Fatalf("created: %+v", item)
	}
	_, err = s.CardTypes().Create(ctx, "ann", c)
	wants(t, err, ruleapi.ErrExists)
	c.Name = "Gold"
	_, err = s.CardTypes().Put(ctx, "bob", c, func(version int64) bool { return version == 7 })
	wants(t, err, ruleapi.ErrConflict)
	item, err = s.CardTypes().Put(ctx, "bob", c, func(version int64) bool { return version == 1 })
	check(t, err)
	if item.Version != 2 {
		t.Fatalf("changed: %+v", item)
	}
	rules, err := s.Waiting(ctx, 10)
	check(t, err)
	check(t, s.Done(ctx, rules))
	item, err = s.CardTypes().Get(ctx, "gold")
	check(t, err)
	if !item.Published {
		t.Error("not published")
	}
	check(t, s.CardTypes().Delete(ctx, "cem", "gold", nil))
	same(t, waiting(t, s), []string{"angelowl/rules/cardtype/gold v3 deleted=true"})
	_, err = s.CardTypes().Get(ctx, "gold")
	wants(t, err, ruleapi.ErrNotFound)
	item, err = s.CardTypes().Create(ctx, "ann", c)
	check(t, err)
	events, total, err := s.CardTypes().History(ctx, "gold", ruleapi.Page{Size: 10, No: 1})
	check(t, err)
	var said []string
	for _, e := range events {
		said = append(said, fmt.Sprint(e.Version, e.Action, e.Who, e.When.Equal(Now), e.Before != nil, e.After != nil))
	}
	same(t, said, []string{"4createdanntrue false true", "3deletedcemtrue true false", "2changedbobtrue true true", "1createdanntrue false true"})
	if total != 4 || item.Version != 4 {
		t.Errorf("%d changes, version %d", total, item.Version)
	}
}

func exact(t *testing.T, s profiler.Store) {
	full := loyalty.CardType{CardType: "A.b-c_9", Name: "Größe <&> \\ % _ '\" 漢字", Unit: strings.Repeat("ß", 256), Programme: "é", Decimals: 4}
	for _, c := range []loyalty.CardType{cardType("plain"), full} {
		_, err := s.CardTypes().Create(t.Context(), "ann", c)
		check(t, err)
		item, err := s.CardTypes().Get(t.Context(), c.CardType)
		check(t, err)
		same(t, item.Rule, c)
	}
	_, err := s.CardTypes().Get(t.Context(), "PLAIN")
	wants(t, err, ruleapi.ErrNotFound)
}

func lists(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	for _, key := range []string{"b", "c", "a", "gone"} {
		_, err := s.CardTypes().Create(ctx, "ann", cardType(key))
		check(t, err)
	}
	check(t, s.CardTypes().Delete(ctx, "ann", "gone", nil))
	for _, test := range []struct {
		q    ruleapi.Query[profiler.CardTypeFilter]
		want string
	}{
		{ruleapi.Query[profiler.CardTypeFilter]{Sort: "card_type", Page: ruleapi.Page{Size: 10, No: 1}}, "a,b,c"},
		{ruleapi.Query[profiler.CardTypeFilter]{Sort: "name", Desc: true, Page: ruleapi.Page{Size: 2, No: 1}}, "c,b"},
		{ruleapi.Query[profiler.CardTypeFilter]{Sort: "name", Desc: true, Page: ruleapi.Page{Size: 2, No: 2}}, "a"},
		{ruleapi.Query[profiler.CardTypeFilter]{Sort: "updated_at", Page: ruleapi.Page{Size: 2, No: 9}}, ""},
	} {
		items, total, err := s.CardTypes().List(ctx, test.q)
		check(t, err)
		var keys []string
		for _, item := range items {
			keys = append(keys, item.Rule.CardType)
		}
		if got := strings.Join(keys, ","); got != test.want || total != 3 {
			t.Errorf("%+v: %q of %d, want %q of 3", test.q, got, total, test.want)
		}
	}
}

func walks(t *testing.T, s profiler.Store) {
	ctx := t.Context()
	var all []loyalty.CardType
	for _, key := range []string{"a", "B", "_", "-", "b.1", "b1", "B2", "Z", "z", "10", "9"} { // databases differ in the order of these
		all = append(all, cardType(key))
	}
	_, err := s.Import(ctx, "ann", all)
	check(t, err)
	check(t, s.CardTypes().Delete(ctx, "ann", "B", nil))
	for _, size := range []int{1, 3, 100} {
		seen := map[string]bool{}
		var after outbox.Ref
		for {
			page, err := s.Versions(ctx, after, size)
			check(t, err)
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				if seen[r.ID] {
					t.Fatalf("%s twice", r.ID)
				}
				seen[r.ID], after = true, r.Ref
			}
		}
		if len(seen) != len(all) {
			t.Errorf("pages of %d: %d card types, want %d", size, len(seen), len(all))
		}
	}
}

func imports(t *testing.T, s profiler.Store) {
	all := []loyalty.CardType{cardType("a"), cardType("b")}
	for round, want := range []int{2, 0} {
		changed, err := s.Import(t.Context(), "ann", all)
		check(t, err)
		if changed != want {
			t.Errorf("round %d: %d changed, want %d", round, changed, want)
		}
	}
	same(t, len(waiting(t, s)), 2)
}

func importFails(t *testing.T, s profiler.Store) {
	if _, err := s.Import(t.Context(), "ann", []loyalty.CardType{cardType("a"), cardType("b"), cardType("b")}); err == nil {
		t.Fatal("the same key twice is no error")
	}
	_, err := s.CardTypes().Get(t.Context(), "a")
	wants(t, err, ruleapi.ErrNotFound)
	same(t, waiting(t, s), []string{})
}

func importers(t *testing.T, s profiler.Store) {
	const importers, keys = 4, 30
	var wg sync.WaitGroup
	for i := range importers {
		wg.Go(func() {
			var all []loyalty.CardType
			for k := range keys {
				if i%2 == 1 {
					k = keys - 1 - k // whoever goes the other way meets the first in the middle
				}
				c := cardType(fmt.Sprint("k", k))
				c.Programme = fmt.Sprint("of ", i)
				all = append(all, c)
			}
			if _, err := s.Import(t.Context(), fmt.Sprint(i), all); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	items, total, err := s.CardTypes().List(t.Context(), ruleapi.Query[profiler.CardTypeFilter]{Sort: "card_type", Page: ruleapi.Page{Size: 100, No: 1}})
	check(t, err)
	for _, item := range items {
		if item.Rule.Programme != items[0].Rule.Programme || item.Version != importers {
			t.Errorf("%s is %s in version %d, the first is %s", item.Rule.CardType, item.Rule.Programme, item.Version, items[0].Rule.Programme)
		}
	}
	if total != keys {
		t.Errorf("%d card types", total)
	}
}

func cancelled(t *testing.T, s profiler.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.CardTypes().Create(ctx, "ann", cardType("gold"))
	wants(t, err, context.Canceled)
	_, err = s.CardTypes().Get(t.Context(), "gold")
	wants(t, err, ruleapi.ErrNotFound)
	same(t, waiting(t, s), []string{})
}
