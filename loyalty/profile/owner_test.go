package profile_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/profile/profiletest"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

func TestSessionAndCard(t *testing.T) {
	p := profiletest.Start(t)
	p.SetSession("ann", profile.Session{Role: token.Admin, Version: 7, Locked: true})
	card := uuid.New()
	p.Give(card, "carol")
	client := p.Client("informer")
	ctx := profile.WithRequestID(t.Context(), "r-1")

	if s, err := client.Session(ctx, "ann"); err != nil || s != (profile.Session{Role: token.Admin, Version: 7, Locked: true}) {
		t.Errorf("%+v, %v", s, err)
	}
	if c, err := client.Card(ctx, card); err != nil || c.UserID != "carol" {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := client.Session(ctx, "bob/../ann"); !errors.Is(err, profile.ErrNotFound) {
		t.Errorf("an account that there is not: %v", err)
	}
	if _, err := client.Card(ctx, uuid.New()); !errors.Is(err, profile.ErrNotFound) {
		t.Errorf("a card that there is not: %v", err)
	}
	asked := p.Asked()
	if len(asked) != 4 {
		t.Errorf("asked %v", asked)
	}
	for _, q := range asked {
		if q.RequestID != "r-1" {
			t.Errorf("%s was asked for request %q", q.Path, q.RequestID)
		}
	}
	p.Away(true)
	if _, err := client.Session(ctx, "ann"); !errors.Is(err, profile.ErrUnavailable) {
		t.Errorf("profiler is away: %v", err)
	}
	if _, err := client.Card(ctx, card); !errors.Is(err, profile.ErrUnavailable) {
		t.Errorf("profiler is away: %v", err)
	}
}

// book answers whose cards are, and counts how often it was asked.
type book struct {
	mu    sync.Mutex
	owner map[uuid.UUID]string
	away  bool
	asked int
}

func (b *book) card(_ context.Context, id uuid.UUID) (profile.Card, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	user, ok := b.owner[id]
	switch {
	case b.away:
		return profile.Card{}, fmt.Errorf("%w: it is away", profile.ErrUnavailable)
	case !ok:
		return profile.Card{}, profile.ErrNotFound
	}
	return profile.Card{ID: id.String(), UserID: user}, nil
}

func TestOwnersRememberForAStatedTime(t *testing.T) {
	card, none := uuid.New(), uuid.New()
	b := &book{owner: map[uuid.UUID]string{card: "carol"}}
	now := time.Unix(1_700_000_000, 0)
	owners := profile.NewOwners(b.card, func() time.Time { return now })
	want := func(of uuid.UUID, user string, asked int) {
		t.Helper()
		b.asked = 0
		if got, err := owners.Owner(t.Context(), of); err != nil || got != user || b.asked != asked {
			t.Errorf("%q, %v, asked %d times; want %q, %d", got, err, b.asked, user, asked)
		}
	}
	want(card, "carol", 1)
	want(none, "", 1)

	now = now.Add(profile.NobodysAge - 1)
	want(none, "", 0)
	b.owner[none] = "dave" // it is a new card of dave's
	now = now.Add(1)
	want(none, "dave", 1)

	now = now.Add(profile.OwnerAge - profile.NobodysAge - 1)
	delete(b.owner, card)
	want(card, "carol", 0)
	now = now.Add(1)
	want(card, "", 1)

	// That profiler is away is said, and not remembered; what is known is known.
	b.away = true
	want(none, "dave", 0)
	now = now.Add(profile.OwnerAge)
	if got, err := owners.Owner(t.Context(), none); !errors.Is(err, profile.ErrUnavailable) || got != "" {
		t.Errorf("%q, %v while profiler is away", got, err)
	}
	b.away = false
	want(none, "dave", 1)
}

func TestOwnersAreBounded(t *testing.T) {
	b := &book{owner: map[uuid.UUID]string{}}
	now := time.Unix(1_700_000_000, 0)
	owners := profile.NewOwners(b.card, func() time.Time { return now })
	const cards = 12_000 // more than they may remember
	ids := make([]uuid.UUID, cards)
	for i := range ids {
		ids[i] = uuid.New()
		if _, err := owners.Owner(t.Context(), ids[i]); err != nil {
			t.Fatal(err)
		}
	}
	if n := owners.Len(); n != 10_000 {
		t.Errorf("%d are remembered", n)
	}
	b.asked = 0
	if _, err := owners.Owner(t.Context(), ids[cards-1]); err != nil || b.asked != 0 {
		t.Errorf("%v; the newest was asked for %d times more", err, b.asked)
	}
}

func TestThoseWhoAskAtOnceShareAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		asked := 0
		owners := profile.NewOwners(func(ctx context.Context, id uuid.UUID) (profile.Card, error) {
			asked++
			select {
			case <-gate:
			case <-ctx.Done():
				return profile.Card{}, ctx.Err()
			}
			return profile.Card{ID: id.String(), UserID: "carol"}, nil
		}, time.Now)
		card := uuid.New()
		first, leave := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for i := range 20 {
			ctx := t.Context()
			if i == 0 {
				ctx = first
			}
			group.Go(func() {
				got, err := owners.Owner(ctx, card)
				switch {
				case i == 0 && !errors.Is(err, context.Canceled):
					t.Errorf("who went away: %q, %v", got, err)
				case i > 0 && (err != nil || got != "carol"):
					t.Errorf("%q, %v", got, err)
				}
			})
			synctest.Wait()
		}
		leave()
		synctest.Wait()
		close(gate)
		group.Wait()
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	})
}
