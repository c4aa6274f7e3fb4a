package spine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
)

// admin edits the rules over HTTP, at random, and knows what they are after each edit.
type admin struct {
	t          *testing.T
	rnd        *rand.Rand
	campaigns  map[uuid.UUID]loyalty.Campaign
	exclusions map[uuid.UUID]loyalty.Exclusion
	states     map[string]int // the rules as they stood after each edit; 0: as in the file
}

func newAdmin(t *testing.T, rnd *rand.Rand) *admin {
	t.Helper()
	file, err := loyalty.DecodeRuleFile(read(t, rulesFile))
	if err != nil {
		t.Fatal(err)
	}
	a := &admin{t: t, rnd: rnd, campaigns: map[uuid.UUID]loyalty.Campaign{}, exclusions: map[uuid.UUID]loyalty.Exclusion{}}
	for _, c := range file.Campaigns {
		a.campaigns[c.ID] = c
	}
	for _, x := range file.Exclusions {
		a.exclusions[x.ID] = x
	}
	a.states = map[string]int{ruleText(t, slices.Collect(maps.Values(a.campaigns)), slices.Collect(maps.Values(a.exclusions))): 0}
	return a
}

// ruleText is the same for equal rules, in whatever order they are.
func ruleText(t *testing.T, campaigns []loyalty.Campaign, exclusions []loyalty.Exclusion) string {
	t.Helper()
	slices.SortFunc(campaigns, func(a, b loyalty.Campaign) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	slices.SortFunc(exclusions, func(a, b loyalty.Exclusion) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	b, err := json.Marshal(struct {
		C []loyalty.Campaign
		X []loyalty.Exclusion
	}{campaigns, exclusions})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// edit is one change of a rule.
type edit struct {
	what      string
	kind      rulebook.Kind
	method    string
	id        uuid.UUID // the nil UUID of what is new
	campaign  loyalty.Campaign
	exclusion loyalty.Exclusion
}

// edits are the kinds of edits, each to be drawn in its turn.
var edits = []func(*admin) edit{(*admin).newRate, (*admin).newCampaign, (*admin).newPeriod, (*admin).newExclusion, (*admin).noCampaign, (*admin).noExclusion}

func (a *admin) newRate() edit {
	c := pick(a, a.campaigns)
	c.Rate = a.rate()
	return edit{"a rate", rulebook.Campaigns, "PUT", c.ID, c, loyalty.Exclusion{}}
}

func (a *admin) newCampaign() edit {
	names := []string{"", "", "Uber", "LOBLAWS", "petrocan", "TIM HORTONS"}
	mccs := []loyalty.MCCSet{nil, nil, {{From: 5300, To: 5499}}, {{From: 5811, To: 5814}}}
	c := loyalty.Campaign{
		Name: fmt.Sprintf("campaign %d", len(a.states)), Rate: a.rate(), Start: day("2018-12-01"), End: day("2019-12-31"),
		Programme: []string{"scis_shopping", "scis_premiummiles", "scis_platinummiles", "scis_freedom"}[a.rnd.IntN(4)],
		MinSpend:  loyalty.Decimal(a.rnd.Int64N(30)) * 1e9, Merchant: names[a.rnd.IntN(len(names))], MCC: mccs[a.rnd.IntN(len(mccs))],
		Base: a.rnd.IntN(2) == 0, Foreign: a.rnd.IntN(8) == 0,
	}
	return edit{"a new campaign", rulebook.Campaigns, "POST", uuid.Nil, c, loyalty.Exclusion{}}
}

func (a *admin) newPeriod() edit {
	c := pick(a, a.campaigns)
	if middle := c.Start + loyalty.Date(a.rnd.IntN(int(c.End-c.Start)+1)); a.rnd.IntN(2) == 0 {
		c.Start = middle
	} else {
		c.End = middle
	}
	return edit{"a period", rulebook.Campaigns, "PUT", c.ID, c, loyalty.Exclusion{}}
}

func (a *admin) newExclusion() edit {
	mccs := []loyalty.MCC{5411, 5541, 5812, 5814, 5912, 7523, 4111, 5311, 5942, 5732}
	x := loyalty.Exclusion{MCC: mccs[a.rnd.IntN(len(mccs))], ValidFrom: day("2019-01-01") + loyalty.Date(a.rnd.IntN(365))}
	return edit{"a new exclusion", rulebook.Exclusions, "POST", uuid.Nil, loyalty.Campaign{}, x}
}

func (a *admin) noCampaign() edit {
	if len(a.campaigns) < 10 {
		return a.newCampaign()
	}
	return edit{"a campaign is gone", rulebook.Campaigns, "DELETE", pick(a, a.campaigns).ID, loyalty.Campaign{}, loyalty.Exclusion{}}
}

func (a *admin) noExclusion() edit {
	if len(a.exclusions) < 3 {
		return a.newExclusion()
	}
	return edit{"an exclusion is gone", rulebook.Exclusions, "DELETE", pick(a, a.exclusions).ID, loyalty.Campaign{}, loyalty.Exclusion{}}
}

// rate is one that no campaign has had before.
func (a *admin) rate() loyalty.Decimal {
	return loyalty.Decimal(1+a.rnd.Int64N(12))*5e8 + loyalty.Decimal(len(a.states))*1e6
}

func pick[T any](a *admin, of map[uuid.UUID]T) T {
	ids := slices.SortedFunc(maps.Keys(of), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return of[ids[a.rnd.IntN(len(ids))]]
}

// edit changes the rules and returns in words what it did. It does not wait until that is in
// force; see await.
func (a *admin) edit(s *stack) string {
	a.t.Helper()
	for try := 0; ; try++ {
		e := edits[(len(a.states)+try)%len(edits)](a)
		campaigns, exclusions := maps.Clone(a.campaigns), maps.Clone(a.exclusions)
		if e.method == "DELETE" {
			delete(campaigns, e.id)
			delete(exclusions, e.id)
		} else if e.method == "PUT" {
			campaigns[e.id] = e.campaign
		}
		// Each state of the rules is one that has not been before, so a row says which it is of.
		if _, known := a.states[ruleText(a.t, slices.Collect(maps.Values(campaigns)), slices.Collect(maps.Values(exclusions)))]; known && e.method != "POST" {
			continue
		}
		e.id = a.send(s, e)
		switch e.campaign.ID, e.exclusion.ID = e.id, e.id; {
		case e.method == "POST" && e.kind == rulebook.Campaigns:
			campaigns[e.id] = e.campaign
		case e.method == "POST":
			exclusions[e.id] = e.exclusion
		}
		a.campaigns, a.exclusions = campaigns, exclusions
		a.states[ruleText(a.t, slices.Collect(maps.Values(campaigns)), slices.Collect(maps.Values(exclusions)))] = len(a.states)
		return e.what
	}
}

// send makes an edit and returns the rule's id.
func (a *admin) send(s *stack, e edit) uuid.UUID {
	a.t.Helper()
	path := "/" + string(e.kind)
	var rule any = e.campaign
	if e.kind == rulebook.Exclusions {
		rule = e.exclusion
	}
	body, err := json.Marshal(rule)
	if err != nil {
		a.t.Fatal(err)
	}
	if e.method == "POST" {
		var fields map[string]any
		if err := json.Unmarshal(body, &fields); err != nil {
			a.t.Fatal(err)
		}
		delete(fields, "id")
		if body, err = json.Marshal(fields); err != nil {
			a.t.Fatal(err)
		}
		_, answer := s.call(http.StatusCreated, "POST", path, string(body))
		var made struct {
			Data struct {
				ID uuid.UUID `json:"id"`
			} `json:"data"`
		}
		if err := json.Unmarshal(answer, &made); err != nil {
			a.t.Fatal(err)
		}
		return made.Data.ID
	}
	path += "/" + e.id.String()
	h, _ := s.call(http.StatusOK, "GET", path, "")
	match := "If-Match: " + h.Get("ETag")
	if e.method == "PUT" {
		s.call(http.StatusOK, "PUT", path, string(body), match)
	} else {
		s.call(http.StatusNoContent, "DELETE", path, "", match)
	}
	return e.id
}

// await waits until the rules are published as they are by now, and in force in every partition.
func (a *admin) await(s *stack) {
	a.t.Helper()
	want := ruleText(a.t, slices.Collect(maps.Values(a.campaigns)), slices.Collect(maps.Values(a.exclusions)))
	var revision int64
	s.await("the edits to be published", func(ctx context.Context) (bool, error) {
		campaigns, r1, err1 := published[loyalty.Campaign](ctx, s, rulebook.Campaigns)
		exclusions, r2, err2 := published[loyalty.Exclusion](ctx, s, rulebook.Exclusions)
		revision = max(r1, r2)
		return ruleText(a.t, campaigns, exclusions) == want, errors.Join(err1, err2)
	})
	s.everywhere(revision)
}

// published are the rules of a kind that stand in etcd, and the revision of their last change.
func published[T any](ctx context.Context, s *stack, kind rulebook.Kind) (rules []T, revision int64, err error) {
	got, err := s.etcd().Get(ctx, rulebook.Key(kind, ""), clientv3.WithPrefix())
	if err != nil {
		return nil, 0, err
	}
	for _, kv := range got.Kvs {
		revision = max(revision, kv.ModRevision)
		v, err := rulebook.DecodeValue(kv.Value)
		if err != nil {
			return nil, 0, err
		}
		if v.Deleted {
			continue
		}
		var rule T
		if err := json.Unmarshal(v.Data, &rule); err != nil {
			return nil, 0, err
		}
		rules = append(rules, rule)
	}
	return rules, revision, nil
}

func day(text string) loyalty.Date {
	d, err := loyalty.ParseDate(text)
	if err != nil {
		panic(err)
	}
	return d
}

// ruleSet is a rule set as the reward store keeps it, read without the program that wrote it.
type ruleSet struct {
	cardTypes  []loyalty.CardType
	campaigns  []loyalty.Campaign
	exclusions []loyalty.Exclusion
	quotes     []loyalty.YearQuotes
}

// readRuleSet takes the parts of a rule set together. Each part must have the hash that it is
// asked for by.
func readRuleSet(hash loyalty.Hash, part func(loyalty.Hash) ([]byte, error)) (ruleSet, error) {
	var (
		set  ruleSet
		root struct {
			Home       string                  `json:"home"`
			Campaigns  map[string]loyalty.Hash `json:"campaigns"`
			Exclusions map[string]loyalty.Hash `json:"exclusions"`
			CardTypes  map[string]loyalty.Hash `json:"card_types"`
			Quotes     map[string]loyalty.Hash `json:"quotes"`
		}
	)
	if err := readPart(hash, part, &root); err != nil {
		return set, err
	}
	if root.Home != home.String() {
		return set, fmt.Errorf("rule set %s is of a bank whose home currency is %s", hash, root.Home)
	}
	for _, name := range slices.Sorted(maps.Keys(root.Quotes)) {
		var year loyalty.YearQuotes
		if err := readPart(root.Quotes[name], part, &year); err != nil {
			return set, err
		}
		set.quotes = append(set.quotes, year)
	}
	return set, errors.Join(
		readParts(root.Campaigns, part, &set.campaigns),
		readParts(root.Exclusions, part, &set.exclusions),
		readParts(root.CardTypes, part, &set.cardTypes))
}

func readParts[T any](names map[string]loyalty.Hash, part func(loyalty.Hash) ([]byte, error), into *[]T) error {
	for _, name := range slices.Sorted(maps.Keys(names)) {
		var some []T
		if err := readPart(names[name], part, &some); err != nil {
			return err
		}
		*into = append(*into, some...)
	}
	return nil
}

func readPart(hash loyalty.Hash, part func(loyalty.Hash) ([]byte, error), into any) error {
	b, err := part(hash)
	if err != nil {
		return err
	}
	if got := loyalty.HashOf(b); got != hash {
		return fmt.Errorf("the part %s has the hash %s", hash, got)
	}
	return json.Unmarshal(b, into)
}
