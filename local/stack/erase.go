package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/angelowl-loyalties/app/rewarder"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// Erase asks for accounts to be deleted, and the rewards of all cards that they ever had to be erased,
// and for those of cards.
type Erase struct {
	Users []uuid.UUID `json:"users"`
	Cards []uuid.UUID `json:"cards"`
}

// Erased says what was.
type Erased struct {
	Cards  []ErasedCard `json:"cards"`
	Unread int64        `json:"unread"` // records of the log that nobody had read when it ended
}

// ErasedCard is a card and how many rewards it had.
type ErasedCard struct {
	Card    uuid.UUID `json:"card"`
	Rewards int       `json:"rewards"`
}

func (s *Stack) serveErasing(r gin.IRoutes) {
	r.POST("/erase", func(c *gin.Context) {
		var ask Erase
		if err := web.Bind(c, &ask); err != nil {
			web.Fail(c, err)
			return
		}
		done, err := s.erase(c.Request.Context(), ask)
		if err != nil {
			// The person who asks owns all of this: the reason is for them.
			web.Fail(c, &web.Error{Status: http.StatusConflict, Code: "not_erased", Message: err.Error()})
			return
		}
		web.Data(c, http.StatusOK, done)
	})
	r.POST("/earned", func(c *gin.Context) {
		var ask informer.CampaignQuery
		if err := web.Bind(c, &ask); err != nil {
			web.Fail(c, err)
			return
		}
		sum, err := informer.SumCampaign(c.Request.Context(), s.Rewards, ask)
		if err != nil {
			web.Fail(c, err)
			return
		}
		web.Data(c, http.StatusOK, sum)
	})
}

func (s *Stack) erase(ctx context.Context, ask Erase) (done Erased, err error) {
	cards := slices.Clone(ask.Cards)
	for _, user := range ask.Users {
		his, err := s.accounts.EverOf(ctx, user)
		if err != nil {
			return done, err
		}
		// The account first: nobody enters a card of it any more.
		err = s.accounts.DeleteUser(ctx, "operator", user, func(profiler.User) error { return nil })
		if errors.Is(err, ruleapi.ErrNotFound) && len(his) == 0 {
			return done, fmt.Errorf("there is no account %s, and none that is deleted and had cards", user)
		}
		if err != nil && !errors.Is(err, ruleapi.ErrNotFound) {
			return done, err
		}
		cards = append(cards, his...)
	}
	done.Cards = []ErasedCard{}
	for _, card := range cards {
		n, err := s.count(ctx, card)
		if err != nil {
			return done, err
		}
		if err := s.Rewards.Erase(ctx, card); err != nil {
			return done, err
		}
		done.Cards = append(done.Cards, ErasedCard{card, n})
	}
	done.Unread, err = s.unread(ctx)
	return done, err
}

// count is how many rewards a card has.
func (s *Stack) count(ctx context.Context, card uuid.UUID) (n int, err error) {
	for q := (informer.Query{Card: card, Limit: 1000}); ; {
		page, err := s.Rewards.Rewards(ctx, q)
		if err != nil {
			return n, err
		}
		n += len(page.Rows)
		if q.After = page.Next; q.After == "" {
			return n, nil
		}
	}
}

// unread is how many records of the log are not rewarded yet.
func (s *Stack) unread(ctx context.Context) (n int64, err error) {
	client, err := s.kafka()
	if err != nil {
		return 0, err
	}
	defer client.Close()
	lags, err := rewarder.Lag(ctx, client, Group, record.Topic)
	for _, l := range lags {
		n += l.Records()
	}
	return n, err
}
