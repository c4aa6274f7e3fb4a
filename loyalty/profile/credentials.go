package profile

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/config"
)

// Credentials get tokens for an account with a secret (OAuth2 client credentials, RFC 6749, 4.4), and
// keep one until shortly before its end. They may be used by several goroutines at once.
type Credentials struct {
	tokenURL string
	clientID string
	secret   config.Secret
	http     *http.Client
	clock    func() time.Time

	turn  chan struct{} // held by the one who signs in; the others wait for it, as long as they may
	token string
	until time.Time
}

// NewCredentials returns the credentials of an account. Nothing is sent before the first token is
// asked for.
func NewCredentials(tokenURL, clientID string, secret config.Secret, client *http.Client, clock func() time.Time) *Credentials {
	return &Credentials{tokenURL: tokenURL, clientID: clientID, secret: secret, http: direct(client), clock: clock, turn: make(chan struct{}, 1)}
}

// early is how long before its end a token is given up: it has to last for the way and for what it is
// shown for. Short-lived ones are used for half their life.
const early = time.Minute

// Token is a token that is good for a while. Its error matches ErrUnavailable.
func (c *Credentials) Token(ctx context.Context) (string, error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return "", fmt.Errorf("%w: waiting for a token: %w", ErrUnavailable, context.Cause(ctx))
	}
	now := c.clock()
	if c.token != "" && now.Before(c.until) {
		return c.token, nil
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.tokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("%w: signing in: %w", ErrUnavailable, err)
	}
	req.SetBasicAuth(url.QueryEscape(c.clientID), url.QueryEscape(c.secret.Reveal())) // RFC 6749, 2.3.1
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	status, answer, err := send(c.http, req)
	switch {
	case err != nil:
		return "", fmt.Errorf("signing in: %w", err)
	case status == http.StatusUnauthorized || status == http.StatusBadRequest:
		return "", fmt.Errorf("%w: it does not let account %s in (%d): is CLIENT_SECRET the one in its SERVICE_SECRETS?", ErrUnavailable, c.clientID, status)
	case status != http.StatusOK:
		return "", fmt.Errorf("%w: signing in, it answers %d", ErrUnavailable, status)
	}
	var granted struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	if err := json.Unmarshal(answer, &granted); err != nil || granted.AccessToken == "" || granted.ExpiresIn <= 0 || granted.ExpiresIn > 1<<31 {
		return "", fmt.Errorf("%w: signing in, its answer has no token with an end", ErrUnavailable)
	}
	life := time.Duration(granted.ExpiresIn) * time.Second
	c.token, c.until = granted.AccessToken, now.Add(life-min(early, life/2))
	return c.token, nil
}

// Forget gives the token up that is kept: it was not taken.
func (c *Credentials) Forget() {
	c.turn <- struct{}{}
	c.token = ""
	<-c.turn
}
