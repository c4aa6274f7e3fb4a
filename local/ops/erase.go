package ops

import (
	"context"
	"net/http"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/local/stack"
)

// Erase deletes accounts, and erases the rewards of all cards that they ever had and those of cards.
func (s *System) Erase(ctx context.Context, ask stack.Erase) (done stack.Erased, err error) {
	err = s.control(ctx, http.MethodPost, "/erase", ask, &done)
	return done, err
}

// Earned adds up what a campaign has given.
func (s *System) Earned(ctx context.Context, q informer.CampaignQuery) (sum informer.CampaignSum, err error) {
	err = s.control(ctx, http.MethodPost, "/earned", q, &sum)
	return sum, err
}
