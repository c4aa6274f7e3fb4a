package signin

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

// Codes are those that every app makes: six digits by HMAC-SHA-1, each for 30 seconds (RFC 6238). One
// step before and after is taken, for clocks that are off.
const (
	period = 30
	skew   = 1
)

// FactorSecret is what an app needs to make codes.
type FactorSecret struct {
	Secret string `json:"secret" example:"JBSWY3DPEHPK3PXP"` // base32, to be typed
	URL    string `json:"url" example:"otpauth://totp/AngelOwl:ada@example.com?secret=JBSWY3DPEHPK3PXP&issuer=AngelOwl"`
}

// FactorAnswer is it.
type FactorAnswer struct {
	Data FactorSecret `json:"data"`
}

// beginFactor makes a secret for the caller's second factor.
//
//	@Summary		Begin to set up a second factor
//	@Description	Put the secret into an app, then confirm it by a code. Until then nothing changes. Who has a second factor already asks an admin to remove it first.
//	@Tags			sign-in
//	@Produce		json
//	@Security		Bearer
//	@Success		200	{object}	FactorAnswer
//	@Failure		401	{object}	ErrorBody
//	@Failure		403	{object}	ErrorBody
//	@Failure		409	{object}	ErrorBody	"there is a second factor already"
//	@Router			/auth/totp [post]
func (s *Service) beginFactor(c *gin.Context) {
	ctx := c.Request.Context()
	a, err := s.store.Account(ctx, web.CallerOf(ctx).ID)
	if err != nil {
		fail(c, gone(err, errEnded))
		return
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "AngelOwl", AccountName: a.Email, SecretSize: 20, Period: period})
	if err != nil {
		fail(c, fmt.Errorf("making a second factor: %w", err))
		return
	}
	err = s.store.PutFactor(ctx, a.ID, s.seal("totp", a.ID, key.Secret()))
	switch {
	case errors.Is(err, ErrConflict):
		fail(c, errHasFactor)
		return
	case err != nil:
		fail(c, gone(err, errEnded))
		return
	}
	web.SecurityEvent(ctx, "totp_begun", slog.String("account", a.ID))
	web.Data(c, http.StatusOK, FactorSecret{key.Secret(), key.URL()})
}

var (
	errHasFactor = &web.Error{Status: http.StatusConflict, Code: "totp_exists", Message: "the account has a second factor; to set up another, ask an admin to remove it"}
	errNoFactor  = &web.Error{Status: http.StatusConflict, Code: "totp_not_begun", Message: "there is no second factor to confirm; begin with one"}
)

// CodeBody is a code of the app.
type CodeBody struct {
	Code string `json:"code" example:"123456"`
}

// confirmFactor takes a first code.
//
//	@Summary		Confirm the second factor by a code
//	@Description	From now on each sign-in needs a code. All sessions of the account end, since none of them needed one; the answer is a new one.
//	@Tags			sign-in
//	@Accept			json
//	@Produce		json
//	@Security		Bearer
//	@Param			body	body		CodeBody	true	"a code of the app"
//	@Success		200		{object}	SessionAnswer
//	@Failure		400		{object}	ErrorBody	"code: it is not right"
//	@Failure		401		{object}	ErrorBody
//	@Failure		403		{object}	ErrorBody
//	@Failure		409		{object}	ErrorBody
//	@Failure		429		{object}	ErrorBody	"too many tries; Retry-After says when"
//	@Router			/auth/totp/confirm [post]
func (s *Service) confirmFactor(c *gin.Context) {
	var body CodeBody
	err := web.Bind(c, &body)
	if err == nil {
		var errs loyalty.FieldErrors
		text(&errs, "code", body.Code, 16)
		err = errs.Err()
	}
	if err != nil {
		fail(c, err)
		return
	}
	ctx := c.Request.Context()
	a, err := s.store.Account(ctx, web.CallerOf(ctx).ID)
	switch {
	case err != nil:
		err = gone(err, errEnded)
	case a.Factor == nil:
		err = errNoFactor
	case a.Factor.Confirmed:
		err = errHasFactor
	default:
		err = s.take(c, Limit{"first code of " + a.ID, s.cfg.Rates.Account})
	}
	if err != nil {
		fail(c, err)
		return
	}
	step, err := s.step(a, body.Code)
	if err == nil && step < 0 {
		err = web.Invalid("code", "wrong", "is not right; look whether the clock of the device is")
	}
	if err == nil {
		a, err = s.store.ConfirmFactor(ctx, a.ID, a.Factor.Secret, step)
		err = gone(err, errEnded)
	}
	if err != nil {
		fail(c, err)
		return
	}
	web.SecurityEvent(ctx, "totp_confirmed", slog.String("account", a.ID))
	session, err := s.begin(ctx, a)
	if err != nil {
		fail(c, err)
		return
	}
	web.Data(c, http.StatusOK, session)
}

// removeFactor removes a lost second factor.
//
//	@Summary		Remove a lost second factor
//	@Description	All sessions of the account end. Nobody removes the own one: whoever holds a session without the device could.
//	@Tags			sign-in
//	@Security		Bearer
//	@Param			id	path	string	true	"the account"	format(uuid)
//	@Success		204
//	@Failure		400	{object}	ErrorBody
//	@Failure		403	{object}	ErrorBody
//	@Failure		404	{object}	ErrorBody
//	@Router			/user/{id}/totp [delete]
func (s *Service) removeFactor(c *gin.Context) {
	id, err := pathID(c, "id")
	ctx := c.Request.Context()
	if err == nil && id == web.CallerOf(ctx).ID {
		err = &web.Error{Status: http.StatusForbidden, Code: "not_your_own", Message: "another admin has to remove your second factor"}
	}
	if err == nil {
		err = s.store.RemoveFactor(ctx, id)
		err = gone(err, &web.Error{Status: http.StatusNotFound, Code: "not_found", Message: "there is no such account, or it has no second factor"})
	}
	if err != nil {
		fail(c, err)
		return
	}
	web.SecurityEvent(ctx, "totp_removed", slog.String("account", id))
	c.Status(http.StatusNoContent)
}

// secondFactor checks and uses up the code of a sign-in.
func (s *Service) secondFactor(c *gin.Context, a Account, code string) error {
	switch {
	case a.Factor == nil || !a.Factor.Confirmed:
		return nil
	case code == "":
		return errNeedsTOTP
	}
	if err := s.take(c, Limit{"code of " + a.ID, s.cfg.Rates.Codes}); err != nil {
		return err
	}
	step, err := s.step(a, code)
	if err != nil {
		return err
	}
	if step < 0 {
		return errTOTP
	}
	err = s.store.UseStep(c.Request.Context(), a.ID, step)
	if errors.Is(err, ErrConflict) {
		return errTOTP
	}
	return err
}

// step is the step that a code is of, or -1.
func (s *Service) step(a Account, code string) (int64, error) {
	secret, err := s.open("totp", a.ID, a.Factor.Secret)
	if err != nil {
		return 0, err
	}
	now, found := s.clock().Unix()/period, int64(-1)
	for step := now - skew; step <= now+skew; step++ {
		want, err := totp.GenerateCodeCustom(secret, time.Unix(step*period, 0), totp.ValidateOpts{Period: period, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, fmt.Errorf("making a code: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found = step
		}
	}
	return found, nil
}

// seal encrypts a secret for the database (AES-256-GCM), bound to what it is for and to its account.
func (s *Service) seal(what, id, secret string) string {
	nonce := make([]byte, s.factors.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return base64.RawStdEncoding.EncodeToString(s.factors.Seal(nonce, nonce, []byte(secret), []byte(what+" "+id)))
}

func (s *Service) open(what, id, sealed string) (string, error) {
	b, err := base64.RawStdEncoding.DecodeString(sealed)
	if n := s.factors.NonceSize(); err == nil && len(b) > n {
		var plain []byte
		if plain, err = s.factors.Open(nil, b[:n], b[n:], []byte(what+" "+id)); err == nil {
			return string(plain), nil
		}
	}
	return "", fmt.Errorf("a secret (%s) cannot be decrypted: is DATA_KEY the one that it was made under?", what)
}
