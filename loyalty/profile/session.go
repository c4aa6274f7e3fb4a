package profile

import (
	"context"
	"net/http"
	"net/url"

	"github.com/angelowl-loyalties/app/loyalty/token"
)

// Session says what an account's tokens are worth now.
type Session struct {
	Role    token.Role `json:"role"`
	Version int64      `json:"session"` // tokens of another one have ended
	Locked  bool       `json:"locked"`
}

// Session looks an account up, each time anew: a locked admin's next write must fail, so nothing is
// remembered. The error is ErrNotFound where there is no such account, or no longer.
func (c *Client) Session(ctx context.Context, id string) (Session, error) {
	var s Session
	err := c.do(ctx, http.MethodGet, "/internal/session/"+url.PathEscape(id), nil, &s)
	return s, err
}
