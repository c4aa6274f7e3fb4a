// Package storetest holds every campaignex.Store to its contract.
package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/campaignex"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/google/uuid"
)

// Now is the time that the clock of an opened store shows.
var Now = time.Date(2021, 9, 1, 12, 0, 0, 123e6, time.UTC)

// Run tests stores that open makes: an empty one for each test, whose clock shows Now.
func Run(t *testing.T, open func(t *testing.T) campaignex.Store) {
	tests := []struct {
		name string
		test func(t *testing.T, s campaignex.Store)
	}{
		{"a rule's life has a version and an entry of history for each change", life},
		{"a campaign comes back exactly", exact},
		{"an exclusion comes back exactly", exclusions},
		{"a put must fit where it has to", fit},
		{"lists are filtered, sorted and paged", lists},
		{"a change waits in the outbox until it is done", waits},
		{"the outbox has a rule once, as it stands", coalesces},
		{"what has changed since is not done", doneIsByVersion},
		{"a held rule waits but is not published", holds},
		{"rules are walked through in order, tombstones too", walks},
		{"quotes are published by year", quotes},
		{"an import is idempotent", imports},
		{"an import is whole or not at all", importFails},
		{"editors at once never overwrite what they have not read", editors},
		{"creators at once: one wins", creators},
		{"a cancelled context changes nothing", cancelled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.test(t, open(t)) })
	}
}

func campaign(name string) loyalty.Campaign {
	return loyalty.Campaign{
		ID: uuid.NewSHA1(uuid.Nil, []byte(name)), Name: name,
		Start: day("2021-09-01"), End: day("2021-12-31"), Programme: "scis_shopping", Rate: loyalty.MustDecimal("4"),
	}
}

func day(s string) loyalty.Date {
	d, err := loyalty.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
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

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	check(t, err)
	return string(b)
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if g, w := text(t, got), text(t, want); g != w {
		t.Fatalf("got  %s\nwant %s", g, w)
	}
}

func version(v int64) ruleapi.Fit { return func(is int64) bool { return is == v } }

func life(t *testing.T, s campaignex.Store) {
	ctx, c := t.Context(), campaign("Grab")
	id := c.ID.String()
	_, err := s.Campaigns().Get(ctx, id)
	wants(t, err, ruleapi.ErrNotFound)
	_, err = s.Campaigns().Put(ctx, "ann", c, nil)
	wants(t, err, ruleapi.ErrNotFound)
	_, _, err = s.Campaigns().History(ctx, id, ruleapi.Page{Size: 10, No: 1})
	wants(t, err, ruleapi.ErrNotFound)

	item, err := s.Campaigns().Create(ctx, "ann", c)
	check(t, err)
	if item.Version != 1 || item.Published || !item.UpdatedAt.Equal(Now) || item.Ref != (outbox.Ref{Kind: rulebook.Campaigns, ID: id}) {
		t.Fatalf("created: %+v", item)
	}
	_, err = s.Campaigns().Create(ctx, "ann", c)
	wants(t, err, ruleapi.ErrExists)

	changed := c
	changed.Name = "GrabFood"
	item, err = s.Campaigns().Put(ctx, "bob", changed, nil)
	check(t, err)
	if item.Version != 2 || item.Rule.Name != "GrabFood" {
		t.Fatalf("changed: %+v", item)
	}
	item, err = s.Campaigns().Put(ctx, "bob", changed, nil)
	check(t, err)
	if item.Version != 2 {
		t.Fatalf("the same again made version %d", item.Version)
	}
	check(t, s.Campaigns().Delete(ctx, "cem", id, nil))
	_, err = s.Campaigns().Get(ctx, id)
	wants(t, err, ruleapi.ErrNotFound)
	_, err = s.Campaigns().Put(ctx, "bob", c, nil)
	wants(t, err, ruleapi.ErrNotFound)
	wants(t, s.Campaigns().Delete(ctx, "cem", id, nil), ruleapi.ErrNotFound)
	item, err = s.Campaigns().Create(ctx, "ann", c)
	check(t, err)
	if item.Version != 4 {
		t.Fatalf("created again: version %d, want 4", item.Version)
	}

	events, total, err := s.Campaigns().History(ctx, id, ruleapi.Page{Size: 10, No: 1})
	check(t, err)
	was, is := json.RawMessage(text(t, c)), json.RawMessage(text(t, changed))
	same(t, events, []ruleapi.Event{
		{Version: 4, Action: ruleapi.Created, Who: "ann", When: Now, After: was},
		{Version: 3, Action: ruleapi.Deleted, Who: "cem", When: Now, Before: is},
		{Version: 2, Action: ruleapi.Changed, Who: "bob", When: Now, Before: was, After: is},
		{Version: 1, Action: ruleapi.Created, Who: "ann", When: Now, After: was},
	})
	if total != 4 {
		t.Errorf("%d changes in all", total)
	}
	events, _, err = s.Campaigns().History(ctx, id, ruleapi.Page{Size: 3, No: 2})
	check(t, err)
	if len(events) != 1 || events[0].Version != 1 {
		t.Errorf("the second page: %+v", events)
	}
}

func exact(t *testing.T, s campaignex.Store) {
	full := loyalty.Campaign{
		ID: uuid.MustParse("ffffffff-ffff-ffff-ffff-ffffffffffff"), Name: "Größe <&> \\ % _ '\" 漢字",
		MinSpend: math.MaxInt64, Start: loyalty.MinDate, End: loyalty.MaxDate, Programme: "A.b-c_9",
		Rate: 1, MCC: loyalty.MCCSet{{From: 5411, To: 5411}, {From: 3500, To: 3999}}, Merchant: "straße", Base: true, Foreign: true,
	}
	for _, c := range []loyalty.Campaign{campaign("plain"), full} {
		_, err := s.Campaigns().Create(t.Context(), "ann", c)
		check(t, err)
		item, err := s.Campaigns().Get(t.Context(), c.ID.String())
		check(t, err)
		same(t, item.Rule, c)
	}
}

func exclusions(t *testing.T, s campaignex.Store) {
	e := loyalty.Exclusion{ID: uuid.New(), MCC: 9999, ValidFrom: day("2021-09-01")}
	_, err := s.Exclusions().Create(t.Context(), "ann", e)
	check(t, err)
	item, err := s.Exclusions().Get(t.Context(), e.ID.String())
	check(t, err)
	same(t, item.Rule, e)
	for mcc, want := range map[loyalty.MCC]int64{0: 1, 9999: 1, 6051: 0} {
		_, total, err := s.Exclusions().List(t.Context(), ruleapi.Query[campaignex.ExclusionFilter]{
			Page: ruleapi.Page{Size: 1, No: 1}, Sort: "mcc", Filter: campaignex.ExclusionFilter{MCC: mcc}})
		check(t, err)
		if total != want {
			t.Errorf("exclusions of %s: %d, want %d", mcc, total, want)
		}
	}
}

func fit(t *testing.T, s campaignex.Store) {
	ctx, c := t.Context(), campaign("Grab")
	_, err := s.Campaigns().Create(ctx, "ann", c)
	check(t, err)
	c.Name = "one"
	_, err = s.Campaigns().Put(ctx, "ann", c, version(1))
	check(t, err)
	c.Name = "two"
	_, err = s.Campaigns().Put(ctx, "ann", c, version(1))
	wants(t, err, ruleapi.ErrConflict)
	wants(t, s.Campaigns().Delete(ctx, "ann", c.ID.String(), version(1)), ruleapi.ErrConflict)
	item, err := s.Campaigns().Get(ctx, c.ID.String())
	check(t, err)
	if item.Rule.Name != "one" || item.Version != 2 {
		t.Fatalf("a refused change did something: %+v", item)
	}
	check(t, s.Campaigns().Delete(ctx, "ann", c.ID.String(), version(2)))
}

func lists(t *testing.T, s campaignex.Store) {
	ctx, base := t.Context(), true
	make := func(name, programme, start, end, merchant, rate string, base bool) {
		c := campaign(name)
		c.Programme, c.Start, c.End, c.Merchant, c.Rate, c.Base = programme, day(start), day(end), merchant, loyalty.MustDecimal(rate), base
		_, err := s.Campaigns().Create(ctx, "ann", c)
		check(t, err)
	}
	make("a 100%", "shop", "2021-01-01", "2021-08-31", "", "10", true)
	make("b", "shop", "2021-09-01", "2021-09-01", "KALIGO", "9", false)
	make("c_d", "miles", "2021-09-02", "2021-12-31", "Grab", "0.5", false)
	make("gone", "miles", "2021-09-02", "2021-12-31", "Grab", "3", false)
	check(t, s.Campaigns().Delete(ctx, "ann", campaign("gone").ID.String(), nil))
	today := day("2021-09-01")
	tests := []struct {
		name   string
		q      ruleapi.Query[campaignex.CampaignFilter]
		want   string
		wantOf int64
	}{
		{"all", ruleapi.Query[campaignex.CampaignFilter]{Sort: "name"}, "a 100%,b,c_d", 3},
		{"descending", ruleapi.Query[campaignex.CampaignFilter]{Sort: "name", Desc: true}, "c_d,b,a 100%", 3},
		{"by rate, as numbers", ruleapi.Query[campaignex.CampaignFilter]{Sort: "reward_amount"}, "c_d,b,a 100%", 3},
		{"second page", ruleapi.Query[campaignex.CampaignFilter]{Sort: "name", Page: ruleapi.Page{Size: 2, No: 2}}, "c_d", 3},
		{"past the end", ruleapi.Query[campaignex.CampaignFilter]{Sort: "name", Page: ruleapi.Page{Size: 2, No: 3}}, "", 3},
		{"programme", ruleapi.Query[campaignex.CampaignFilter]{Sort: "name", Filter: campaignex.CampaignFilter{Programme: "shop"}}, "a 100%,b", 2},
		{"base", ruleapi.Query[campaignex.CampaignFilter]{Sort: "name", Filter: campaignex.CampaignFilter{Base: &base}}, "a 100%", 1},
		{"live, on its only day", ruleapi.Query[campaignex.CampaignFilter]{Sort: "name", Filter: campaignex.CampaignFilter{State: campaignex.Live, Today: today}}, "b", 1},
		{"scheduled", ruleapi.Query[campaignex.CampaignFilter]{Sort: "name", Filter: campaignex.CampaignFilter{State: campaignex.Scheduled, Today: today}}, "c_d", 1},
		{"ended", ruleapi.Query[campaignex.CampaignFilter]{Sort: "name", Filter: campaignex.CampaignFilter{State: campaignex.Ended, Today: today}}, "a 100%", 1},
		{"search a merchant in another case", ruleapi.Query[campaignex.CampaignFilter]{Sort: "name", Filter: campaignex.CampaignFilter{Search: "kalig"}}, "b", 1},
		{"a percent sign is itself", ruleapi.Query[campaignex.CampaignFilter]{Sort: "name", Filter: campaignex.CampaignFilter{Search: "0%"}}, "a 100%", 1},
		{"an underscore is itself", ruleapi.Query[campaignex.CampaignFilter]{Sort: "name", Filter: campaignex.CampaignFilter{Search: "c_"}}, "c_d", 1},
		{"nothing", ruleapi.Query[campaignex.CampaignFilter]{Sort: "name", Filter: campaignex.CampaignFilter{Search: "zzz"}}, "", 0},
	}
	for _, test := range tests {
		if test.q.Size == 0 {
			test.q.Page = ruleapi.Page{Size: 10, No: 1}
		}
		items, total, err := s.Campaigns().List(ctx, test.q)
		check(t, err)
		var names []string
		for _, item := range items {
			names = append(names, item.Rule.Name)
		}
		if got := strings.Join(names, ","); got != test.want || total != test.wantOf {
			t.Errorf("%s: %q of %d, want %q of %d", test.name, got, total, test.want, test.wantOf)
		}
	}
}

func waitingKeys(t *testing.T, s campaignex.Store) []string {
	t.Helper()
	rules, err := s.Waiting(t.Context(), 1000)
	check(t, err)
	out := []string{}
	for _, r := range rules {
		out = append(out, fmt.Sprintf("%s v%d deleted=%t", r.Key(), r.Version, r.Deleted))
	}
	return out
}

func waits(t *testing.T, s campaignex.Store) {
	ctx, c := t.Context(), campaign("Grab")
	same(t, waitingKeys(t, s), []string{})
	item, err := s.Campaigns().Create(ctx, "ann", c)
	check(t, err)
	rules, err := s.Waiting(ctx, 10)
	check(t, err)
	if len(rules) != 1 || rules[0].Ref != item.Ref || rules[0].Version != 1 || rules[0].Deleted || string(rules[0].Data) != text(t, c) {
		t.Fatalf("waiting: %+v", rules)
	}
	states(t, s, item.Ref, outbox.Waits)
	check(t, s.Done(ctx, rules))
	states(t, s, item.Ref, outbox.Published)
	same(t, waitingKeys(t, s), []string{})
	item, err = s.Campaigns().Get(ctx, item.Ref.ID)
	check(t, err)
	if !item.Published {
		t.Error("not published")
	}
	_, err = s.Campaigns().Put(ctx, "ann", c, nil)
	check(t, err)
	same(t, waitingKeys(t, s), []string{}) // nothing changed
}

func states(t *testing.T, s campaignex.Store, ref outbox.Ref, want outbox.State) {
	t.Helper()
	got, err := s.State(t.Context(), ref)
	check(t, err)
	if got != want {
		t.Errorf("%s has state %d, want %d", ref.Key(), got, want)
	}
}

func coalesces(t *testing.T, s campaignex.Store) {
	ctx, c := t.Context(), campaign("Grab")
	_, err := s.Campaigns().Create(ctx, "ann", c)
	check(t, err)
	for i := range 3 {
		c.Name = fmt.Sprint(i)
		_, err := s.Campaigns().Put(ctx, "ann", c, nil)
		check(t, err)
	}
	same(t, waitingKeys(t, s), []string{"angelowl/rules/campaign/" + c.ID.String() + " v4 deleted=false"})
	check(t, s.Campaigns().Delete(ctx, "ann", c.ID.String(), nil))
	same(t, waitingKeys(t, s), []string{"angelowl/rules/campaign/" + c.ID.String() + " v5 deleted=true"})
}

func doneIsByVersion(t *testing.T, s campaignex.Store) {
	ctx, c := t.Context(), campaign("Grab")
	_, err := s.Campaigns().Create(ctx, "ann", c)
	check(t, err)
	rules, err := s.Waiting(ctx, 10)
	check(t, err)
	c.Name = "edited while it was published"
	_, err = s.Campaigns().Put(ctx, "ann", c, nil)
	check(t, err)
	check(t, s.Done(ctx, rules))
	if len(waitingKeys(t, s)) != 1 {
		t.Fatal("the edit does not wait any more")
	}
	if held, err := s.Hold(ctx, rules); err != nil || len(held) != 0 {
		t.Fatalf("held an old version: %v, %v", held, err)
	}
	if len(waitingKeys(t, s)) != 1 {
		t.Fatal("the edit is held")
	}
}

func holds(t *testing.T, s campaignex.Store) {
	ctx, c := t.Context(), campaign("Grab")
	item, err := s.Campaigns().Create(ctx, "ann", c)
	check(t, err)
	rules, err := s.Waiting(ctx, 10)
	check(t, err)
	for _, before := range []func(){
		func() {},
		func() { check(t, s.Done(ctx, rules)) }, // the reconciler holds rules that do not wait
	} {
		before()
		held, err := s.Hold(ctx, rules)
		check(t, err)
		if len(held) != 1 {
			t.Fatalf("held %d", len(held))
		}
		same(t, waitingKeys(t, s), []string{})
		states(t, s, item.Ref, outbox.Held)
		item, err = s.Campaigns().Get(ctx, item.Ref.ID)
		check(t, err)
		if item.Published {
			t.Fatal("counts as published")
		}
	}
	check(t, s.Enter(ctx, []outbox.Ref{item.Ref}))
	if len(waitingKeys(t, s)) != 1 {
		t.Error("entered again, does not wait")
	}
	_, err = s.Hold(ctx, rules)
	check(t, err)
	c.Name = "changed"
	_, err = s.Campaigns().Put(ctx, "ann", c, nil)
	check(t, err)
	if len(waitingKeys(t, s)) != 1 {
		t.Error("changed, does not wait")
	}
}

func walks(t *testing.T, s campaignex.Store) {
	ctx := t.Context()
	var rules campaignex.Rules
	for i := range 25 {
		rules.Campaigns = append(rules.Campaigns, campaign(fmt.Sprint(i)))
		rules.Exclusions = append(rules.Exclusions, loyalty.Exclusion{ID: uuid.New(), MCC: loyalty.MCC(i + 1), ValidFrom: day("2021-01-01")})
		rules.Days = append(rules.Days, quoteDay(loyalty.DateOf(2000+i, 1, 3), "1.5"))
	}
	_, err := s.Import(ctx, "ann", rules)
	check(t, err)
	check(t, s.Campaigns().Delete(ctx, "ann", rules.Campaigns[7].ID.String(), nil))
	check(t, s.Quotes().Delete(ctx, "ann", rules.Days[3].ID(), nil))
	for _, size := range []int{1, 7, 25, 1000} {
		seen := map[string]bool{}
		var after outbox.Ref
		deleted := 0
		for {
			versions, err := s.Versions(ctx, after, size)
			check(t, err)
			if len(versions) == 0 {
				break
			}
			if len(versions) > size {
				t.Fatalf("%d rules on a page of %d", len(versions), size)
			}
			var refs []outbox.Ref
			for _, r := range versions {
				refs = append(refs, r.Ref)
			}
			rules, err := s.Current(ctx, refs)
			check(t, err)
			for i, r := range rules {
				if r.Ref != refs[i] || r.Version != versions[i].Version {
					t.Errorf("%s of version %d, want %s of %d", r.Key(), r.Version, refs[i].Key(), versions[i].Version)
				}
				if seen[r.Key()] {
					t.Fatalf("%s twice", r.Key())
				}
				seen[r.Key()] = true
				if r.Deleted {
					deleted++
				}
				if r.Deleted == (len(r.Data) > 0) {
					t.Errorf("%s deleted=%t with %d bytes", r.Key(), r.Deleted, len(r.Data))
				}
				after = r.Ref
			}
		}
		if len(seen) != 75 || deleted != 2 {
			t.Errorf("pages of %d: %d rules, %d deleted", size, len(seen), deleted)
		}
	}
	kinds := s.Kinds()
	if !slices.IsSorted(kinds) || len(kinds) != 3 {
		t.Errorf("kinds: %v", kinds)
	}
}

func quoteDay(date loyalty.Date, sgd string) campaignex.Day {
	return campaignex.Day{DayQuotes: loyalty.DayQuotes{Date: date, Base: loyalty.MustCurrency("EUR"),
		Quotes: map[loyalty.Currency]loyalty.Decimal{
			loyalty.MustCurrency("SGD"): loyalty.MustDecimal(sgd), loyalty.MustCurrency("USD"): loyalty.MustDecimal("1.1834"),
		}}}
}

func quotes(t *testing.T, s campaignex.Store) {
	ctx := t.Context()
	first, second, other := quoteDay(day("2021-09-01"), "1.5364"), quoteDay(day("2021-09-02"), "1.5366"), quoteDay(day("2020-12-31"), "1.6218")
	for _, d := range []campaignex.Day{second, other, first} {
		item, err := s.Quotes().Create(ctx, "ann", d)
		check(t, err)
		if item.Published || item.Version != 1 || item.Ref.ID != d.ID()[:4] {
			t.Errorf("created: %+v", item)
		}
	}
	item, err := s.Quotes().Get(ctx, "2021-09-01")
	check(t, err)
	same(t, item.Rule, first)
	same(t, waitingKeys(t, s), []string{"angelowl/rules/fx/2020 v1 deleted=false", "angelowl/rules/fx/2021 v2 deleted=false"})
	rules, err := s.Waiting(ctx, 10)
	check(t, err)
	same(t, rules[1].Data, loyalty.YearQuotes{Year: 2021, Days: []loyalty.DayQuotes{first.DayQuotes, second.DayQuotes}})
	check(t, s.Done(ctx, rules))
	item, err = s.Quotes().Get(ctx, "2021-09-01")
	check(t, err)
	if !item.Published {
		t.Error("not published with its year")
	}
	check(t, s.Quotes().Delete(ctx, "ann", "2021-09-01", nil))
	rules, err = s.Waiting(ctx, 10)
	check(t, err)
	same(t, rules[0].Data, loyalty.YearQuotes{Year: 2021, Days: []loyalty.DayQuotes{second.DayQuotes}})
	check(t, s.Quotes().Delete(ctx, "ann", "2021-09-02", nil))
	same(t, waitingKeys(t, s), []string{"angelowl/rules/fx/2021 v4 deleted=true"})
	items, total, err := s.Quotes().List(ctx, ruleapi.Query[campaignex.DayFilter]{Page: ruleapi.Page{Size: 10, No: 1}, Sort: "date",
		Filter: campaignex.DayFilter{From: day("2020-12-31"), To: day("2021-09-02")}})
	check(t, err)
	if total != 1 || len(items) != 1 || items[0].Rule.ID() != "2020-12-31" {
		t.Errorf("the list: %+v", items)
	}
}

func imports(t *testing.T, s campaignex.Store) {
	ctx := t.Context()
	var rules campaignex.Rules
	for i := range 1200 { // more than one statement takes
		rules.Campaigns = append(rules.Campaigns, campaign(fmt.Sprint(i)))
	}
	rules.Exclusions = []loyalty.Exclusion{{ID: uuid.New(), MCC: 6051, ValidFrom: day("2021-01-01")}}
	for i := range 400 {
		rules.Days = append(rules.Days, quoteDay(day("2021-01-01")+loyalty.Date(i), "1.5"))
	}
	for round, want := range []int{1601, 0} {
		changed, err := s.Import(ctx, "ann", rules)
		check(t, err)
		if changed != want {
			t.Errorf("round %d: %d changed, want %d", round, changed, want)
		}
	}
	waiting, err := s.Waiting(ctx, 5000)
	check(t, err)
	if len(waiting) != 1203 {
		t.Errorf("%d rules wait, want 1200 campaigns, an exclusion and two years", len(waiting))
	}
	check(t, s.Done(ctx, waiting))
	rules.Campaigns[3].Name = "changed"
	rules.Days[0] = quoteDay(rules.Days[0].Date, "1.6")
	check(t, s.Campaigns().Delete(ctx, "bob", rules.Campaigns[4].ID.String(), nil))
	changed, err := s.Import(ctx, "cem", rules)
	check(t, err)
	if changed != 3 {
		t.Errorf("%d changed, want 3", changed)
	}
	item, err := s.Campaigns().Get(ctx, rules.Campaigns[4].ID.String())
	check(t, err)
	if item.Version != 3 {
		t.Errorf("a deleted campaign that was imported again has version %d, want 3", item.Version)
	}
	events, _, err := s.Campaigns().History(ctx, rules.Campaigns[3].ID.String(), ruleapi.Page{Size: 1, No: 1})
	check(t, err)
	if events[0].Who != "cem" || events[0].Action != ruleapi.Changed {
		t.Errorf("history: %+v", events[0])
	}
	if n := len(waitingKeys(t, s)); n != 3 {
		t.Errorf("%d wait, want the two campaigns and 2021", n)
	}
}

func importFails(t *testing.T, s campaignex.Store) {
	c := campaign("Grab")
	twice := campaignex.Rules{
		Campaigns:  []loyalty.Campaign{c},
		Exclusions: []loyalty.Exclusion{{ID: c.ID, MCC: 1, ValidFrom: 1e4}, {ID: c.ID, MCC: 2, ValidFrom: 1e4}},
	}
	if _, err := s.Import(t.Context(), "ann", twice); err == nil {
		t.Fatal("the same id twice is no error")
	}
	_, err := s.Campaigns().Get(t.Context(), c.ID.String())
	wants(t, err, ruleapi.ErrNotFound)
	same(t, waitingKeys(t, s), []string{})
}

func editors(t *testing.T, s campaignex.Store) {
	ctx, c := t.Context(), campaign("0")
	_, err := s.Campaigns().Create(ctx, "ann", c)
	check(t, err)
	const editors, edits = 4, 10
	var wg sync.WaitGroup
	for e := range editors {
		wg.Go(func() {
			for done := 0; done < edits; {
				item, err := s.Campaigns().Get(ctx, c.ID.String())
				if err != nil {
					t.Error(err)
					return
				}
				var n int
				fmt.Sscan(item.Rule.Name, &n)
				next := item.Rule
				next.Name = fmt.Sprint(n + 1)
				_, err = s.Campaigns().Put(ctx, fmt.Sprint(e), next, version(item.Version))
				switch {
				case err == nil:
					done++
				case !errors.Is(err, ruleapi.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	item, err := s.Campaigns().Get(ctx, c.ID.String())
	check(t, err)
	if item.Rule.Name != fmt.Sprint(editors*edits) || item.Version != editors*edits+1 {
		t.Errorf("counted to %s in %d versions, want %d", item.Rule.Name, item.Version, editors*edits)
	}
	_, total, err := s.Campaigns().History(ctx, c.ID.String(), ruleapi.Page{Size: 1, No: 1})
	check(t, err)
	if total != editors*edits+1 {
		t.Errorf("%d entries of history", total)
	}
}

func creators(t *testing.T, s campaignex.Store) {
	c := campaign("Grab")
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		wins int
	)
	for i := range 8 {
		wg.Go(func() {
			mine := c
			mine.Name = fmt.Sprint(i)
			_, err := s.Campaigns().Create(t.Context(), "ann", mine)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				wins++
			case !errors.Is(err, ruleapi.ErrExists):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if wins != 1 {
		t.Errorf("%d creators won", wins)
	}
}

func cancelled(t *testing.T, s campaignex.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Campaigns().Create(ctx, "ann", campaign("Grab")); err == nil {
		t.Fatal("no error")
	}
	_, err := s.Campaigns().Get(t.Context(), campaign("Grab").ID.String())
	wants(t, err, ruleapi.ErrNotFound)
	if keys := waitingKeys(t, s); len(keys) > 0 {
		t.Errorf("wait: %v", bytes.TrimSpace([]byte(strings.Join(keys, " "))))
	}
}
