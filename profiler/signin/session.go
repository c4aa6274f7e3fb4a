package signin

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

// RefreshBody is a refresh token.
type RefreshBody struct {
	RefreshToken string `json:"refresh_token"`
}

// refresh gives a new access token and a new refresh token for one that is used up by it.
//
//	@Summary		Go on with a session
//	@Description	A refresh token is good once. Its second use ends the session, since somebody else may have it. Cardholders' are good for 12 hours unused and sessions for 30 days; those of bank and admin for 1 hour and 12 hours.
//	@Tags			sign-in
//	@Accept			json
//	@Produce		json
//	@Param			body	body		RefreshBody	true	"the refresh token"
//	@Success		200		{object}	SessionAnswer
//	@Failure		400		{object}	ErrorBody
//	@Failure		401		{object}	ErrorBody	"invalid_refresh_token"
//	@Failure		429		{object}	ErrorBody	"too many tries; Retry-After says when"
//	@Router			/auth/refresh [post]
func (s *Service) refresh(c *gin.Context) {
	var body RefreshBody
	err := web.Bind(c, &body)
	if err == nil {
		var errs loyalty.FieldErrors
		text(&errs, "refresh_token", body.RefreshToken, maxText)
		err = errs.Err()
	}
	if err == nil {
		err = s.take(c, Limit{"refresh from " + source(c), s.cfg.Rates.Refresh})
	}
	if err != nil {
		fail(c, err)
		return
	}
	ctx := c.Request.Context()
	used := loyalty.HashOf([]byte(body.RefreshToken))
	next, hash := secret("")
	// The answer is made first: where tokens cannot be signed just now, no session is lost by it.
	var session Session
	a, err := s.store.RefreshAccount(ctx, used)
	if err == nil {
		session, err = s.session(ctx, a, next)
	}
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrReused) {
		fail(c, err)
		return
	}
	a, err = s.store.Rotate(ctx, used, hash, func(role token.Role) time.Duration {
		idle, _ := s.lives(role)
		return idle
	})
	switch {
	case errors.Is(err, ErrReused):
		web.SecurityEvent(ctx, "refresh_token_reused", slog.String("account", a.ID), slog.String("from", source(c)))
		fail(c, errRefresh)
		return
	case errors.Is(err, ErrNotFound):
		fail(c, errRefresh)
		return
	case err == nil && session.Token == "":
		err = errRefresh // it was good only just now
	}
	if err != nil {
		fail(c, err)
		return
	}
	web.Data(c, http.StatusOK, session)
}

// LogoutBody names the session to end.
type LogoutBody struct {
	RefreshToken string `json:"refresh_token,omitempty"` // without it, all sessions of the account end
}

// logout ends the session of a refresh token, or all.
//
//	@Summary	Sign out
//	@Tags		sign-in
//	@Accept		json
//	@Produce	json
//	@Security	Bearer
//	@Param		body	body		LogoutBody	false	"the session's refresh token; without it, all sessions of the account end"
//	@Success	200		{object}	OKAnswer
//	@Failure	400		{object}	ErrorBody
//	@Failure	401		{object}	ErrorBody
//	@Router		/auth/logout [post]
func (s *Service) logout(c *gin.Context) {
	var body LogoutBody
	if c.Request.ContentLength != 0 {
		if err := web.Bind(c, &body); err != nil {
			fail(c, err)
			return
		}
	}
	if body.RefreshToken != "" {
		var errs loyalty.FieldErrors
		text(&errs, "refresh_token", body.RefreshToken, maxText)
		if err := errs.Err(); err != nil {
			fail(c, err)
			return
		}
	}
	ctx := c.Request.Context()
	caller := web.CallerOf(ctx).ID
	var err error
	if body.RefreshToken != "" {
		err = s.store.EndFamily(ctx, caller, loyalty.HashOf([]byte(body.RefreshToken)))
	} else {
		// A token whose session has ended must not end those that came after it.
		var a Account
		if a, err = s.store.Account(ctx, caller); err == nil && a.Session == web.CallerOf(ctx).Session {
			err = s.store.EndSessions(ctx, caller)
		}
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		fail(c, err)
		return
	}
	web.SecurityEvent(ctx, "sign_out", slog.String("account", caller), slog.Bool("everywhere", body.RefreshToken == ""))
	web.Data(c, http.StatusOK, "OK")
}
