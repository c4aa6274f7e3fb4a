package web

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/gin-gonic/gin"
)

// Caller is who sent a request.
type Caller struct {
	ID      string
	Role    token.Role
	Must    token.Must // what the account has to do before it may do anything else
	Session int64      // see token.Claims
}

// nobody is who calls an engine that has no identity.
func nobody(*http.Request) (Caller, error) { return Caller{}, nil }

var (
	errNoToken   = &Error{Status: http.StatusUnauthorized, Code: "no_token", Message: "sign in first: the request has no token"}
	errBadToken  = &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Message: "sign in again: the token is not valid, or no longer"}
	errNoKeys    = &Error{Status: http.StatusServiceUnavailable, Code: "keys_unavailable", Message: "who calls cannot be verified just now; try again"}
	errForbidden = &Error{Status: http.StatusForbidden, Code: "forbidden", Message: "your account may not do this"}
	errPassword  = &Error{Status: http.StatusForbidden, Code: "password_change_required", Message: "change the first password before anything else"}
	errTOTP      = &Error{Status: http.StatusForbidden, Code: "totp_required", Message: "set up the second factor before anything else"}
)

// Identity are the settings of who tells callers apart by their tokens.
type Identity struct {
	JWKS  string `env:"JWKS_URL" help:"where profiler publishes the keys of tokens: http://host:port/.well-known/jwks.json"`
	Party token.Party
}

// Check is config.Checker's.
func (i *Identity) Check() []config.Problem {
	if u, err := url.Parse(i.JWKS); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return []config.Problem{{Name: "JWKS_URL", Reason: "must be like http://profiler:8081/.well-known/jwks.json, without a user"}}
	}
	return nil
}

// Bearer is Bearer with the keys that profiler publishes.
func (i *Identity) Bearer(client *http.Client, clock func() time.Time) func(*http.Request) (Caller, error) {
	return Bearer(&token.Verifier{Party: i.Party, Keys: token.NewRemote(i.JWKS, client, clock), Clock: clock})
}

// Bearer says who calls by the token in the request's Authorization header (RFC 6750, 2.1).
func Bearer(v *token.Verifier) func(*http.Request) (Caller, error) {
	return func(r *http.Request) (Caller, error) {
		values := r.Header.Values("Authorization")
		if len(values) == 0 {
			return Caller{}, errNoToken
		}
		scheme, raw, _ := strings.Cut(values[0], " ")
		if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
			return Caller{}, errBadToken
		}
		c, err := v.Verify(r.Context(), strings.TrimSpace(raw))
		switch {
		case errors.Is(err, token.ErrUnavailable):
			Log(r.Context()).Error("tokens cannot be verified", "error", err)
			return Caller{}, errNoKeys
		case err != nil:
			SecurityEvent(r.Context(), "token_refused", slog.Any("error", err))
			return Caller{}, errBadToken
		}
		return Caller{ID: c.Subject, Role: c.Role, Must: c.Must, Session: c.Session}, nil
	}
}

// Allow lets callers of these roles pass who have nothing to do first; others are 403, and nobody
// is 401.
func Allow(roles ...token.Role) gin.HandlerFunc { return allow(token.MustNothing, roles) }

// AllowMust is Allow for the routes by which callers do what they must: those who must do it pass too.
func AllowMust(must token.Must, roles ...token.Role) gin.HandlerFunc { return allow(must, roles) }

func allow(must token.Must, roles []token.Role) gin.HandlerFunc {
	return func(c *gin.Context) {
		caller := CallerOf(c.Request.Context())
		var why *Error
		switch {
		case caller.Role == "":
			Fail(c, errNoToken)
			return
		case !slices.Contains(roles, caller.Role):
			why = errForbidden
		case caller.Must == token.MustNothing, caller.Must == must:
			c.Next()
			return
		case caller.Must == token.MustChangePassword:
			why = errPassword
		default:
			why = errTOTP
		}
		SecurityEvent(c.Request.Context(), "forbidden", slog.String("method", c.Request.Method), slog.String("route", c.FullPath()), slog.String("code", why.Code))
		Fail(c, why)
	}
}
