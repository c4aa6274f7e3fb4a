package signin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	netmail "net/mail"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler/notice"
	"github.com/angelowl-loyalties/app/profiler/password"
)

const (
	// FirstPasswordLife is how long a first password is good.
	FirstPasswordLife = 7 * 24 * time.Hour
	// linkLife is how long a link for a forgotten password is good.
	linkLife = 30 * time.Minute
)

// PasswordBody changes a password.
type PasswordBody struct {
	Email           string `json:"email" example:"ada@example.com"` // the caller's own
	Password        string `json:"password" example:"four turquoise trains"`
	ConfirmPassword string `json:"confirm_password" example:"four turquoise trains"`
	OldPassword     string `json:"old_password"`
}

// changePassword changes the caller's password.
//
//	@Summary		Change the own password
//	@Description	All sessions of the account end, this one too: sign in again with the new password. This is the one thing that an account with a first password may do.
//	@Tags			sign-in
//	@Accept			json
//	@Produce		json
//	@Security		Bearer
//	@Param			body	body		PasswordBody	true	"the old and the new password"
//	@Success		200		{object}	OKAnswer
//	@Failure		400		{object}	ErrorBody	"the fields say what is wrong; 15 to 128 characters, and not what many people use"
//	@Failure		401		{object}	ErrorBody
//	@Failure		429		{object}	ErrorBody	"too many tries; Retry-After says when"
//	@Router			/auth/password [post]
func (s *Service) changePassword(c *gin.Context) {
	var body PasswordBody
	if err := web.Bind(c, &body); err != nil {
		fail(c, err)
		return
	}
	ctx := c.Request.Context()
	a, err := s.store.Account(ctx, web.CallerOf(ctx).ID)
	if err != nil {
		fail(c, gone(err, errEnded))
		return
	}
	var errs loyalty.FieldErrors
	text(&errs, "email", body.Email, maxEmail)
	text(&errs, "old_password", body.OldPassword, maxText)
	errs.Add("password", newPassword(body.Password, body.ConfirmPassword, a))
	if len(errs) == 0 && EmailKey(body.Email) != EmailKey(a.Email) {
		errs.Add("email", web.Invalid("email", "not_yours", "is not the one of your account"))
	}
	if len(errs) == 0 && body.OldPassword == body.Password {
		errs.Add("password", web.Invalid("password", "same", "is the old one; take another"))
	}
	if err := errs.Err(); err != nil {
		fail(c, err)
		return
	}
	if err := s.take(c, Limit{"password of " + a.ID, s.cfg.Rates.Account}); err != nil {
		fail(c, err)
		return
	}
	was := a.Hash
	if was == "" {
		was = password.Dummy
	}
	verdict, err := s.hasher.Verify(ctx, body.OldPassword, was)
	switch {
	case err != nil:
	case !verdict.OK:
		web.SecurityEvent(ctx, "password_change_refused", slog.String("account", a.ID), slog.String("from", source(c)))
		err = web.Invalid("old_password", "wrong", "is not your password")
	case !a.Expires.IsZero() && !s.clock().Before(a.Expires):
		err = web.Invalid("old_password", "expired", "has expired; ask for another, or choose one with \"Forgotten password\"")
	}
	if err != nil {
		fail(c, err)
		return
	}
	hash, err := s.hasher.Hash(ctx, body.Password)
	if err != nil {
		fail(c, err)
		return
	}
	a, err = s.store.SetPassword(ctx, PasswordChange{UserID: a.ID, Was: was, Hash: hash})
	if err != nil {
		fail(c, gone(err, errEnded))
		return
	}
	s.changed(ctx, a, "password_changed")
	web.Data(c, http.StatusOK, "OK")
}

var errConflict = &web.Error{Status: http.StatusConflict, Code: "changed_meanwhile", Message: "it was changed by somebody else meanwhile; look at it and try again"}

// gone turns the store's errors into answers.
func gone(err error, missing *web.Error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return missing
	case errors.Is(err, ErrConflict):
		return errConflict
	}
	return err
}

// newPassword says what is wrong with a new password.
func newPassword(plain, confirm string, a Account) error {
	var errs loyalty.FieldErrors
	errs.Add("password", password.Check(plain, a.FirstName, a.LastName, a.Email))
	if confirm != plain {
		errs.Add("confirm_password", web.Invalid("confirm_password", "differs", "is not the same as password"))
	}
	return errs.Err()
}

// changed tells the log and the owner that a password is another.
func (s *Service) changed(ctx context.Context, a Account, event string) {
	web.SecurityEvent(ctx, event, slog.String("account", a.ID))
	err := s.behind(ctx, func(ctx context.Context) {
		m, err := notice.PasswordChanged(a.Address(), s.portal)
		s.tell(ctx, "password changed", m, err)
	})
	if err != nil {
		web.Log(ctx).Error("a mail about an account could not be sent", "mail", "password changed", "error", err)
	}
}

// ForgotBody says whose password is forgotten.
type ForgotBody struct {
	Email string `json:"email" example:"ada@example.com"`
}

// forgot sends a link by which another password can be chosen.
//
//	@Summary		Forgotten password
//	@Description	Sends a link that is good once, for 30 minutes. The answer is the same whether there is such an account or not.
//	@Tags			sign-in
//	@Accept			json
//	@Produce		json
//	@Param			body	body		ForgotBody	true	"the account's email"
//	@Success		202		{object}	OKAnswer
//	@Failure		400		{object}	ErrorBody
//	@Failure		429		{object}	ErrorBody	"too many tries; Retry-After says when"
//	@Router			/auth/forgot [post]
func (s *Service) forgot(c *gin.Context) {
	var body ForgotBody
	err := web.Bind(c, &body)
	if err == nil {
		var errs loyalty.FieldErrors
		text(&errs, "email", body.Email, maxEmail)
		err = errs.Err()
	}
	if err == nil {
		err = s.take(c, Limit{"forgot from " + source(c), s.cfg.Rates.Address})
	}
	if err != nil {
		fail(c, err)
		return
	}
	// All that depends on the account is done behind the answer, which so takes the same time.
	ctx, key := c.Request.Context(), EmailKey(body.Email)
	if err := s.behind(ctx, func(ctx context.Context) {
		if err := s.sendLink(ctx, key); err != nil {
			web.Log(ctx).Error("a link for a forgotten password could not be sent", "error", err)
		}
	}); err != nil {
		fail(c, err)
		return
	}
	web.Data(c, http.StatusAccepted, "OK")
}

func (s *Service) sendLink(ctx context.Context, email string) error {
	a, err := s.store.AccountByEmail(ctx, email)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil || a.Locked || a.Role != token.User && a.Role != token.Bank && a.Role != token.Admin {
		return err
	}
	// Nobody's mailbox is filled; and nobody else is told that it is.
	wait, err := s.store.Take(ctx, Limit{"link for " + a.ID, s.cfg.Rates.Forgot})
	if err != nil || wait > 0 {
		return err
	}
	plain, hash := secret("")
	if err := s.store.PutReset(ctx, a.ID, hash, s.clock().Add(linkLife)); err != nil {
		return gone(err, nil)
	}
	web.SecurityEvent(ctx, "password_link_sent", slog.String("account", a.ID))
	m, err := notice.Reset(a.Address(), s.portal+"/reset?token="+url.QueryEscape(plain), linkLife)
	s.tell(ctx, "forgotten password", m, err)
	return nil
}

// ResetBody chooses another password by a link's token.
type ResetBody struct {
	Token           string `json:"token"`
	Password        string `json:"password" example:"four turquoise trains"`
	ConfirmPassword string `json:"confirm_password" example:"four turquoise trains"`
}

// reset takes a new password for a link's token.
//
//	@Summary		Choose a new password by a link
//	@Description	The link is used up when the password is taken, not before. All sessions of the account end. A second factor stays.
//	@Tags			sign-in
//	@Accept			json
//	@Produce		json
//	@Param			body	body		ResetBody	true	"the link's token and the new password"
//	@Success		200		{object}	OKAnswer
//	@Failure		400		{object}	ErrorBody	"the fields say what is wrong; token: it is none, was used, or has expired"
//	@Failure		429		{object}	ErrorBody	"too many tries; Retry-After says when"
//	@Router			/auth/reset [post]
func (s *Service) reset(c *gin.Context) {
	var body ResetBody
	err := web.Bind(c, &body)
	if err == nil {
		var errs loyalty.FieldErrors
		text(&errs, "token", body.Token, maxText)
		text(&errs, "password", body.Password, maxText)
		text(&errs, "confirm_password", body.ConfirmPassword, maxText)
		err = errs.Err()
	}
	if err == nil {
		err = s.take(c, Limit{"reset from " + source(c), s.cfg.Rates.Address})
	}
	if err != nil {
		fail(c, err)
		return
	}
	ctx, link := c.Request.Context(), loyalty.HashOf([]byte(body.Token))
	noLink := web.Invalid("token", "no_link", "is not of a link that is good: it was used or has expired; ask for another")
	a, err := s.store.ResetAccount(ctx, link)
	if errors.Is(err, ErrNotFound) {
		err = noLink
	}
	if err == nil {
		err = newPassword(body.Password, body.ConfirmPassword, a)
	}
	if err != nil {
		fail(c, err)
		return
	}
	hash, err := s.hasher.Hash(ctx, body.Password)
	if err != nil {
		fail(c, err)
		return
	}
	a, err = s.store.SetPassword(ctx, PasswordChange{UserID: a.ID, Reset: &link, Hash: hash})
	if errors.Is(err, ErrNotFound) {
		err = noLink
	}
	if err != nil {
		fail(c, gone(err, nil))
		return
	}
	s.changed(ctx, a, "password_reset")
	web.Data(c, http.StatusOK, "OK")
}

var (
	errNoUser     = &web.Error{Status: http.StatusNotFound, Code: "not_found", Message: "there is no such account"}
	errForbidden  = &web.Error{Status: http.StatusForbidden, Code: "forbidden", Message: "your account may not do this"}
	errNoPassword = &web.Error{Status: http.StatusConflict, Code: "no_password", Message: "accounts of merchants and services have secrets, not a password"}
	errMail       = &web.Error{Status: http.StatusServiceUnavailable, Code: "mail_unavailable", Message: "the mail with the first password could not be sent; try again"}
)

// firstPassword gives an account a new first password.
//
//	@Summary		Send a new first password
//	@Description	The account's password becomes a random one, which is mailed, is good for 7 days, and must be changed at the sign-in. All sessions of the account end. Bank does so for cardholders, admin for bank and admin, too.
//	@Tags			sign-in
//	@Produce		json
//	@Security		Bearer
//	@Param			id	path		string	true	"the account"	format(uuid)
//	@Success		200	{object}	OKAnswer
//	@Failure		400	{object}	ErrorBody
//	@Failure		403	{object}	ErrorBody
//	@Failure		404	{object}	ErrorBody
//	@Failure		409	{object}	ErrorBody	"accounts of merchants and services have no password"
//	@Failure		429	{object}	ErrorBody	"too many tries; Retry-After says when"
//	@Failure		503	{object}	ErrorBody	"the mail could not be sent; the old password is gone all the same"
//	@Router			/user/{id}/first-password [post]
func (s *Service) firstPassword(c *gin.Context) {
	id, err := pathID(c, "id")
	if err != nil {
		fail(c, err)
		return
	}
	ctx := c.Request.Context()
	a, err := s.store.Account(ctx, id)
	switch {
	case err != nil:
		err = gone(err, errNoUser)
	case web.CallerOf(ctx).Role == token.Bank && a.Role != token.User:
		err = errForbidden
	case a.Role != token.User && a.Role != token.Bank && a.Role != token.Admin:
		err = errNoPassword
	default:
		err = s.take(c, Limit{"first password of " + a.ID, s.cfg.Rates.Forgot})
	}
	if err != nil {
		fail(c, err)
		return
	}
	plain := password.Random()
	hash, err := s.hasher.Hash(ctx, plain)
	if err == nil {
		a, err = s.store.SetPassword(ctx, PasswordChange{UserID: id, Hash: hash, First: true, Expires: s.clock().Add(FirstPasswordLife)})
		err = gone(err, errNoUser)
	}
	if err != nil {
		fail(c, err)
		return
	}
	web.SecurityEvent(ctx, "first_password", slog.String("account", a.ID))
	if err := s.SendFirstPassword(ctx, a.Address(), plain); err != nil {
		fail(c, err)
		return
	}
	web.Data(c, http.StatusOK, "OK")
}

// SendFirstPassword mails a first password that was set just now. It waits until the mail is taken;
// its error is for web.Fail.
func (s *Service) SendFirstPassword(ctx context.Context, to netmail.Address, plain string) error {
	m, err := notice.FirstPassword(to, plain, s.portal, s.clock().Add(FirstPasswordLife).In(s.cfg.Zone))
	if err != nil {
		return err
	}
	return s.send(ctx, m)
}

// send sends a mail with a first password; its error is for web.Fail.
func (s *Service) send(ctx context.Context, m mail.Message) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	if err := s.mail.Send(ctx, m); err != nil {
		if errors.Is(err, mail.ErrRefused) {
			return fmt.Errorf("%w: %w", &web.Error{Status: http.StatusConflict, Code: "mail_refused", Message: "the mail system does not take mail for this address; correct the address"}, err)
		}
		return fmt.Errorf("%w: %w", errMail, err)
	}
	return nil
}

// EmailChanged tells the old address of an account, behind the answer, that it has another now.
func (s *Service) EmailChanged(ctx context.Context, old netmail.Address, now string) {
	err := s.behind(ctx, func(ctx context.Context) {
		m, err := notice.EmailChanged(old, now)
		s.tell(ctx, "email changed", m, err)
	})
	if err != nil {
		web.Log(ctx).Error("a mail about an account could not be sent", "mail", "email changed", "error", err)
	}
}
