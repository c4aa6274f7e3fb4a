package emailer

import (
	"context"
	"fmt"
	netmail "net/mail"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/profile"
)

// bank is an informer, a profiler and a mail system of some accounts, with a reward each.
type bank struct {
	accounts int
	takes    time.Duration // each mail

	mu    sync.Mutex
	sent  []time.Time
	ended bool
}

func (b *bank) Day(_ context.Context, day loyalty.Date, _ string) (rewards []loyalty.Reward, _ string, _ error) {
	if day != testDay {
		return nil, "", nil
	}
	for i := range b.accounts {
		r := loyalty.Reward{Remarks: "2 miles per dollar"}
		r.CardID = uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, i))
		r.ID, r.Date, r.Currency, r.Amount = r.CardID, day, loyalty.MustCurrency("SGD"), 100
		r.Units = loyalty.Units{Value: 2}
		rewards = append(rewards, r)
	}
	return rewards, "", nil
}

func (b *bank) Unmailed(_ context.Context, _ loyalty.Date, cards []profile.CardRows) ([]profile.CardRows, error) {
	for i := range cards {
		cards[i].User = cards[i].Card
	}
	return cards, nil
}

func (b *bank) BeginMail(_ context.Context, _ uuid.UUID, m profile.RewardMail, _ loyalty.Date) (profile.Begun, error) {
	return profile.Begun{To: netmail.Address{Address: "ann@cards.example"}, Unsubscribe: "t", Mails: []profile.RewardMail{m}}, nil
}
func (b *bank) EndMail(context.Context, uuid.UUID, loyalty.Date, bool) error { return nil }
func (b *bank) DayMailed(context.Context, loyalty.Date) (bool, error)        { return false, nil }
func (b *bank) EndMailDay(context.Context, loyalty.Date) error               { b.ended = true; return nil }
func (b *bank) past(context.Context, time.Time) (bool, error)                { return true, nil }
func (b *bank) Send(context.Context, mail.Message) error {
	<-time.After(b.takes) // the time of the bubble, in which nobody waits
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = append(b.sent, time.Now())
	return nil
}

var testDay = loyalty.DateOf(1999, 12, 31) // a bubble begins at the next midnight

func (b *bank) run(t *testing.T, cfg Config) Result {
	t.Helper()
	cfg.Zone, cfg.From, cfg.Portal, cfg.API, cfg.Dir = time.UTC, netmail.Address{Address: "rewards@bank.example"}, "https://portal.bank.example", "https://api.bank.example", t.TempDir()
	h, err := New(cfg, Deps{Rewards: b, Ledger: b, Past: b.past, Mail: b})
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.Handle(t.Context(), Event{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// No second has more mails than the account may send in one, however many senders there are and however
// quick the mail system is.
func TestMailsAreThrottled(t *testing.T) {
	for _, tt := range []struct {
		rate    float64
		senders int
		takes   time.Duration
	}{{5, 4, 0}, {5, 100, 700 * time.Millisecond}, {50, 1, 0}, {0.5, 4, time.Second}} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &bank{accounts: 42, takes: tt.takes}
				begun := time.Now()
				if r := b.run(t, Config{Rate: tt.rate, Senders: tt.senders}); r.State != Done || r.Sent != 42 || !b.ended {
					t.Fatalf("%+v", r)
				}
				slices.SortFunc(b.sent, time.Time.Compare)
				apart := time.Duration(float64(time.Second) / tt.rate)
				for i := 1; i < len(b.sent); i++ {
					if d := b.sent[i].Sub(b.sent[i-1]); d < apart-time.Millisecond {
						t.Fatalf("mail %d is %s behind the one before it, at %g a second", i, d, tt.rate)
					}
				}
				// And it is as fast as that.
				if all := b.sent[41].Sub(begun); all > 41*apart+tt.takes+time.Second {
					t.Errorf("42 mails took %s", all)
				}
			})
		})
	}
}
