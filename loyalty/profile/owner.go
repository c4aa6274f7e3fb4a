package profile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"
)

// Card is what there is to know of a card.
type Card struct {
	ID       string `json:"id"`
	UserID   string `json:"user_id"`
	CardType string `json:"card_type"`
}

// Card looks a card up. The error is ErrNotFound where there is none, or no longer.
func (c *Client) Card(ctx context.Context, id uuid.UUID) (Card, error) {
	var card Card
	err := c.do(ctx, http.MethodGet, "/internal/card/"+id.String(), nil, &card)
	if err == nil && (card.ID != id.String() || card.UserID == "") {
		return Card{}, fmt.Errorf("%w: its answer is not about card %s", ErrUnavailable, id)
	}
	return card, err
}

// How long Owners believe what they were told. A card is never given to another user, so the worst
// that an old answer does is that the owner of a card that was deleted reads it that much longer.
const (
	OwnerAge   = 30 * time.Second // of a card's owner
	NobodysAge = 5 * time.Second  // of a card that there is not; whoever gets a new card wants to see it

	maxOwners = 10_000
	// askLimit is for a question that several wait for, whoever of them goes away.
	askLimit = 5 * time.Second
)

// Owners know whose a card is, and remember it for OwnerAge or NobodysAge, of 10,000 cards at most.
// That profiler cannot be asked is not remembered. They may be used by several goroutines at once.
type Owners struct {
	ask   func(context.Context, uuid.UUID) (Card, error)
	clock func() time.Time
	group singleflight.Group

	mu    sync.Mutex
	known map[uuid.UUID]owner
}

type owner struct {
	user  string // "": nobody's
	until time.Time
}

// NewOwners returns what asks by ask, which is a Client's Card.
func NewOwners(ask func(context.Context, uuid.UUID) (Card, error), clock func() time.Time) *Owners {
	return &Owners{ask: ask, clock: clock, known: map[uuid.UUID]owner{}}
}

// Owner is the id of the account whose card it is, or "". Its error matches ErrUnavailable. Those who
// ask for a card at the same time share a question.
func (o *Owners) Owner(ctx context.Context, card uuid.UUID) (string, error) {
	o.mu.Lock()
	is, ok := o.known[card]
	o.mu.Unlock()
	if ok && o.clock().Before(is.until) {
		return is.user, nil
	}
	answer := o.group.DoChan(card.String(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askLimit)
		defer cancel()
		asked := o.clock() // an answer is as old as its question
		c, err := o.ask(ctx, card)
		switch {
		case err == nil:
			o.keep(card, owner{c.UserID, asked.Add(OwnerAge)})
		case errors.Is(err, ErrNotFound):
			o.keep(card, owner{"", asked.Add(NobodysAge)})
		default:
			return "", err
		}
		return c.UserID, nil
	})
	select {
	case r := <-answer:
		if r.Err != nil {
			return "", r.Err
		}
		return r.Val.(string), nil
	case <-ctx.Done():
		return "", fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

func (o *Owners) keep(card uuid.UUID, is owner) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.known[card]; !ok && len(o.known) >= maxOwners {
		for other := range o.known { // any: a map has no order
			delete(o.known, other)
			break
		}
	}
	o.known[card] = is
}
