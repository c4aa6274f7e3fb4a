package signin

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler/password"
)

// LoginBody is what people sign in with.
type LoginBody struct {
	Email    string `json:"email" example:"ada@example.com"`
	Password string `json:"password" example:"four turquoise trains"`
	TOTP     string `json:"totp,omitempty" example:"123456"` // where the account has a second factor
}

// Session is what a sign-in gives.
type Session struct {
	Token        string `json:"token"` // for Authorization: Bearer
	UserID       string `json:"user_id" format:"uuid"`
	IsNew        bool   `json:"is_new"`                      // the first password has to be changed before anything else
	Must         string `json:"must" enums:",password,totp"` // what has to be done before anything else
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int    `json:"expires_in" example:"1200"` // seconds until token expires
}

// SessionAnswer is a session.
type SessionAnswer struct {
	Data Session `json:"data"`
}

var (
	errCredentials = &web.Error{Status: http.StatusUnauthorized, Code: "wrong_credentials", Message: "the email or the password is not right"}
	errExpired     = &web.Error{Status: http.StatusUnauthorized, Code: "password_expired", Message: "this first password has expired; ask for another, or choose one with \"Forgotten password\""}
	errNeedsTOTP   = &web.Error{Status: http.StatusUnauthorized, Code: "totp_required", Message: "the account has a second factor: send its code, too"}
	errTOTP        = &web.Error{Status: http.StatusUnauthorized, Code: "wrong_totp", Message: "the code is not right, or was used before; wait for the next one"}
	errRefresh     = &web.Error{Status: http.StatusUnauthorized, Code: "invalid_refresh_token", Message: "sign in again: the session has ended"}
)

// login signs a person in.
//
//	@Summary	Sign in
//	@Tags		sign-in
//	@Accept		json
//	@Produce	json
//	@Param		body	body		LoginBody	true	"email and password, and the code of the second factor where there is one"
//	@Success	200		{object}	SessionAnswer
//	@Failure	400		{object}	ErrorBody
//	@Failure	401		{object}	ErrorBody	"wrong_credentials, password_expired, totp_required or wrong_totp"
//	@Failure	429		{object}	ErrorBody	"too many tries; Retry-After says when"
//	@Failure	503		{object}	ErrorBody	"too many people sign in at this moment; Retry-After says when"
//	@Router		/auth/login [post]
func (s *Service) login(c *gin.Context) {
	var body LoginBody
	if err := web.Bind(c, &body); err != nil {
		fail(c, err)
		return
	}
	var errs loyalty.FieldErrors
	text(&errs, "email", body.Email, maxEmail)
	text(&errs, "password", body.Password, maxText)
	if body.TOTP != "" {
		text(&errs, "totp", body.TOTP, 16)
	}
	if err := errs.Err(); err != nil {
		fail(c, err)
		return
	}
	ctx, key := c.Request.Context(), EmailKey(body.Email)
	if err := s.take(c, Limit{"login from " + source(c), s.cfg.Rates.Address}, Limit{"login to " + loyalty.HashOf([]byte(key)).String(), s.cfg.Rates.Account}); err != nil {
		fail(c, err)
		return
	}
	a, err := s.authenticate(ctx, key, body.Password)
	if err == nil {
		err = s.secondFactor(c, a, body.TOTP)
	}
	if err != nil {
		var refused *web.Error
		if errors.As(err, &refused) && refused.Status == http.StatusUnauthorized {
			web.SecurityEvent(ctx, "sign_in_refused", slog.String("account", a.ID), slog.String("reason", refused.Code), slog.String("from", source(c)))
		}
		fail(c, err)
		return
	}
	session, err := s.begin(ctx, a)
	if err != nil {
		fail(c, err)
		return
	}
	web.SecurityEvent(ctx, "sign_in", slog.String("account", a.ID), slog.String("account_role", string(a.Role)), slog.Bool("totp", a.Factor != nil && a.Factor.Confirmed), slog.String("from", source(c)))
	web.Data(c, http.StatusOK, session)
}

// authenticate returns the account of an email and a password. It hashes once, whoever comes. With an
// error, the account is there for the log.
func (s *Service) authenticate(ctx context.Context, email, plain string) (Account, error) {
	a, err := s.store.AccountByEmail(ctx, email)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return a, err
	}
	hash := a.Hash
	if hash == "" {
		hash = password.Dummy
	}
	verdict, err := s.hasher.Verify(ctx, plain, hash)
	switch {
	case err != nil:
		return a, err
	case !verdict.OK, a.ID == "", a.Locked, a.Role != token.User && a.Role != token.Bank && a.Role != token.Admin:
		return a, errCredentials
	case !a.Expires.IsZero() && !s.clock().Before(a.Expires):
		return a, errExpired
	}
	if verdict.Rehash {
		if fresh, err := s.hasher.Hash(ctx, plain); err == nil {
			err = s.store.Rehash(ctx, a.ID, a.Hash, fresh)
			if err != nil {
				web.Log(ctx).Warn("a password's hash could not be made anew; it is tried at the next sign-in", "error", err)
			}
		}
	}
	return a, nil
}

// must is what an account has to do before anything else.
func (s *Service) must(a Account) token.Must {
	switch {
	case a.First || a.New:
		return token.MustChangePassword
	case s.cfg.RequireMFA && (a.Role == token.Bank || a.Role == token.Admin) && (a.Factor == nil || !a.Factor.Confirmed):
		return token.MustEnrolTOTP
	}
	return token.MustNothing
}

// begin starts a session.
func (s *Service) begin(ctx context.Context, a Account) (Session, error) {
	refresh, hash := secret("")
	idle, whole := s.lives(a.Role)
	if err := s.store.Begin(ctx, a.ID, a.Session, hash, idle, whole); err != nil {
		return Session{}, err
	}
	return s.session(ctx, a, refresh)
}

func (s *Service) lives(role token.Role) (idle, whole time.Duration) {
	if role == token.User {
		return s.cfg.Lives.Idle, s.cfg.Lives.Whole
	}
	return s.cfg.Lives.StaffIdle, s.cfg.Lives.StaffWhole
}

// session makes the answer of a sign-in or a refresh.
func (s *Service) session(ctx context.Context, a Account, refresh string) (Session, error) {
	must := s.must(a)
	access, err := s.access(ctx, a, must)
	if err != nil {
		return Session{}, err
	}
	return Session{
		Token: access, UserID: a.ID, IsNew: must == token.MustChangePassword, Must: string(must),
		RefreshToken: refresh, ExpiresIn: int(token.Lifetime / time.Second),
	}, nil
}

var errSigning = &web.Error{Status: http.StatusServiceUnavailable, Code: "keys_unavailable", Message: "nobody can be let in just now, since tokens cannot be signed; try again"}

// access makes an access token.
func (s *Service) access(ctx context.Context, a Account, must token.Must) (string, error) {
	now := s.clock()
	raw, err := s.cfg.Party.Sign(ctx, s.keys, token.Claims{
		Subject: a.ID, Role: a.Role, Must: must, Session: a.Session, ID: uuid.NewString(), Issued: now, Expires: now.Add(token.Lifetime),
	})
	if err != nil {
		return "", fmt.Errorf("%w: %w", errSigning, err)
	}
	return raw, nil
}

// secret makes 256 random bits as text, and what is kept of them.
func secret(prefix string) (string, loyalty.Hash) {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	text := prefix + base64.RawURLEncoding.EncodeToString(b)
	return text, loyalty.HashOf([]byte(text))
}

// take counts a try. Its error is the answer where there were too many.
func (s *Service) take(c *gin.Context, limits ...Limit) error {
	ctx := c.Request.Context()
	wait, err := s.store.Take(ctx, limits...)
	if err != nil || wait <= 0 {
		return err
	}
	seconds := int(math.Ceil(wait.Seconds()))
	c.Header("Retry-After", strconv.Itoa(seconds))
	web.SecurityEvent(ctx, "too_many_tries", slog.String("route", c.FullPath()), slog.String("from", source(c)))
	return &web.Error{Status: http.StatusTooManyRequests, Code: "too_many_tries", Message: fmt.Sprintf("too many tries; wait %d seconds, then try again", seconds)}
}
