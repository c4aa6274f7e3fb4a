package stack

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	campaignexdb "github.com/angelowl-loyalties/app/campaignex/postgres"
	"github.com/angelowl-loyalties/app/local/sqlite"
	profilerdb "github.com/angelowl-loyalties/app/profiler/postgres"
)

func TestBacklogCountsWhatWaitsAndWhatIsHeld(t *testing.T) {
	ctx := t.Context()
	var s Stack
	campaigns, err := sqlite.Open(filepath.Join(t.TempDir(), "campaignex.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer closeDB(campaigns)
	cardTypes, err := sqlite.Open(filepath.Join(t.TempDir(), "profiler.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer closeDB(cardTypes)
	if s.campaigns, err = campaignexdb.Open(ctx, campaigns, time.Now); err != nil {
		t.Fatal(err)
	}
	if s.accounts, err = profilerdb.Open(ctx, cardTypes, time.Now); err != nil {
		t.Fatal(err)
	}
	same := func(campaignex, profiler Backlog) {
		t.Helper()
		campaignex.Service, profiler.Service = "campaignex", "profiler"
		if got, err := s.backlog(ctx); err != nil || !slices.Equal(got, []Backlog{campaignex, profiler}) {
			t.Errorf("%+v (%v), want %+v and %+v", got, err, campaignex, profiler)
		}
	}
	same(Backlog{}, Backlog{})

	// Nobody publishes here.
	seed, err := ReadSeed("../../examples/rules.json", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Plant(ctx, seed); err != nil {
		t.Fatal(err)
	}
	n := int64(len(seed.rules.Campaigns) + len(seed.rules.Exclusions))
	types := int64(len(seed.rules.CardTypes))
	if n < 3 || types < 2 {
		t.Fatalf("the example has %d rules and %d card types", n, types)
	}
	same(Backlog{Waiting: n}, Backlog{Waiting: types})

	waiting, err := s.campaigns.Waiting(ctx, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.campaigns.Hold(ctx, waiting); err != nil {
		t.Fatal(err)
	}
	same(Backlog{Waiting: n - 2, Held: 2}, Backlog{Waiting: types})
	if waiting, err = s.campaigns.Waiting(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.campaigns.Done(ctx, waiting); err != nil {
		t.Fatal(err)
	}
	same(Backlog{Waiting: n - 3, Held: 2}, Backlog{Waiting: types})
}
