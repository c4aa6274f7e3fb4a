// Package webtest has callers for tests of services.
package webtest

import (
	"context"
	"net/http"

	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

// As says that everybody is the account whose id is the role's name.
func As(role token.Role) func(*http.Request) (web.Caller, error) {
	return func(*http.Request) (web.Caller, error) {
		return web.Caller{ID: string(role), Role: role, Session: 1}, nil
	}
}

// Sessions says that the sessions of As's accounts hold.
func Sessions(_ context.Context, account string) (profile.Session, error) {
	return profile.Session{Role: token.Role(account), Version: 1}, nil
}
