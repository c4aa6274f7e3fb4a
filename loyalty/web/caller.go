package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"

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

// Anonymous is who calls while there is no sign-in.
var Anonymous = Caller{ID: "anonymous", Role: token.Admin}

func anonymous(*http.Request) (Caller, error) { return Anonymous, nil }

var (
	errNoToken   = &Error{http.StatusUnauthorized, "no_token", "sign in first: the request has no token"}
	errBadToken  = &Error{http.StatusUnauthorized, "invalid_token", "sign in again: the token is not valid, or no longer"}
	errNoKeys    = &Error{http.StatusServiceUnavailable, "keys_unavailable", "who calls cannot be verified just now; try again"}
	errForbidden = &Error{http.StatusForbidden, "forbidden", "your account may not do this"}
	errPassword  = &Error{http.StatusForbidden, "password_change_required", "change the first password before anything else"}
	errTOTP      = &Error{http.StatusForbidden, "totp_required", "set up the second factor before anything else"}
)

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
			Log(r.Context()).Info("a token was refused", "error", err)
			return Caller{}, errBadToken
		}
		return Caller{ID: c.Subject, Role: c.Role, Must: c.Must, Session: c.Session}, nil
	}
}

// Allow lets callers of these roles pass who have nothing to do first; others are 403.
func Allow(roles ...token.Role) gin.HandlerFunc { return allow(token.MustNothing, roles) }

// AllowMust is Allow for the routes by which callers do what they must: those who must do it pass too.
func AllowMust(must token.Must, roles ...token.Role) gin.HandlerFunc { return allow(must, roles) }

func allow(must token.Must, roles []token.Role) gin.HandlerFunc {
	return func(c *gin.Context) {
		caller := CallerOf(c.Request.Context())
		switch {
		case !slices.Contains(roles, caller.Role):
			Fail(c, errForbidden)
		case caller.Must == token.MustNothing, caller.Must == must:
			c.Next()
		case caller.Must == token.MustChangePassword:
			Fail(c, errPassword)
		default:
			Fail(c, errTOTP)
		}
	}
}
