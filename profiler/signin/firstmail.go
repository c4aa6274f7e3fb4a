package signin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler/notice"
	"github.com/angelowl-loyalties/app/profiler/password"
)

const (
	sealedFirst = "first-password"
	// claimTime is longer than a mail takes to be sent or given up.
	claimTime = sendTime + 15*time.Second
)

// FirstMailItem says whether a mail was sent.
type FirstMailItem struct {
	Sent bool `json:"sent"` // false: the account has a password already, or one that is not mailed
}

// FirstMailAnswer says whether a mail was sent.
type FirstMailAnswer struct {
	Data FirstMailItem `json:"data"`
}

var errBeingSent = &web.Error{Status: http.StatusServiceUnavailable, Code: "being_sent", Message: "the mail is being sent at this moment; ask again in a minute"}

// mailFirstPassword mails an account the first password that it has not got yet.
//
//	@Summary		Mail the first password of a new account (internal port; role service)
//	@Description	For an account that has never had a password, or whose mail with it has not been taken yet; for any other it does nothing. It may be asked for again, also where it is not known whether the mail went out: every mail until then brings the same password under the same Message-ID.
//	@Tags			internal
//	@Produce		json
//	@Param			id	path		string	true	"the account"	format(uuid)
//	@Success		200	{object}	FirstMailAnswer
//	@Failure		400	{object}	ErrorBody
//	@Failure		403	{object}	ErrorBody
//	@Failure		404	{object}	ErrorBody
//	@Failure		409	{object}	ErrorBody	"no_password: an account of a merchant or a service; mail_refused: the mail system does not take the address, correct it"
//	@Failure		503	{object}	ErrorBody	"mail_unavailable, being_sent or busy; ask again"
//	@Router			/internal/user/{id}/first-password [post]
func (s *Service) mailFirstPassword(c *gin.Context) {
	id, err := pathID(c, "id")
	if err != nil {
		fail(c, err)
		return
	}
	sent, err := s.sendFirstMail(c.Request.Context(), id)
	if err != nil {
		fail(c, err)
		return
	}
	web.Data(c, http.StatusOK, FirstMailItem{Sent: sent})
}

func (s *Service) sendFirstMail(ctx context.Context, id string) (sent bool, err error) {
	a, m, err := s.claimFirstMail(ctx, id)
	switch {
	case errors.Is(err, ErrHasPassword):
		return false, nil
	case errors.Is(err, ErrConflict):
		return false, errBeingSent
	case err != nil:
		return false, gone(err, errNoUser)
	}
	plain, err := s.open(sealedFirst, id, m.Sealed)
	if err == nil {
		var message mail.Message
		message, err = notice.FirstPassword(a.Address(), plain, s.portal, m.Expires.In(s.cfg.Zone))
		message.ID = m.MessageID
		if err == nil {
			err = s.send(ctx, message)
		}
	}
	// Whoever asked may have gone, and the mail is out all the same.
	done, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if failed := s.store.EndFirstMail(done, id, m.MessageID, err == nil); failed != nil && err == nil {
		return false, fmt.Errorf("a mail went out, which could not be noted: %w", failed)
	}
	if err == nil {
		web.SecurityEvent(ctx, "first_password", slog.String("account", id))
	}
	return err == nil, err
}

// claimFirstMail is the store's; it makes a password where one is wanted.
func (s *Service) claimFirstMail(ctx context.Context, id string) (Account, FirstMail, error) {
	a, err := s.store.Account(ctx, id)
	if err != nil {
		return a, FirstMail{}, err
	}
	if a.Role != token.User && a.Role != token.Bank && a.Role != token.Admin {
		return a, FirstMail{}, errNoPassword
	}
	a, m, err := s.store.ClaimFirstMail(ctx, id, nil, claimTime)
	if err != nil || m.Sealed != "" {
		return a, m, err
	}
	plain := password.Random()
	hash, err := s.hasher.Hash(ctx, plain)
	if err != nil {
		return a, m, err
	}
	return s.store.ClaimFirstMail(ctx, id, &FreshMail{
		FirstMail: FirstMail{Sealed: s.seal(sealedFirst, id, plain), MessageID: uuid.NewString() + "@angelowl", Expires: s.clock().Add(FirstPasswordLife)},
		Hash:      hash,
	}, claimTime)
}
