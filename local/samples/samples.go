// Package samples is the accounts with which a person tries AngelOwl out: one of each role, with
// passwords made up at the first start. They stand in a file of the data folder, so that whoever may
// read that folder may sign in, and nobody else.
package samples

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/token"
)

// File is the name of the file in the data folder. Only its owner may read it.
const File = "sample-users.json"

// Account is one of them.
type Account struct {
	Role     token.Role `json:"role"`
	ID       string     `json:"id"`
	Email    string     `json:"email"`
	Password string     `json:"password,omitempty"`
	// Secret is what a merchant signs in with at /auth/token, beside its id.
	Secret string `json:"secret,omitempty"`
}

// Load reads the accounts of a data folder. Where there are none, the error is os.ErrNotExist.
func Load(data string) ([]Account, error) {
	b, err := os.ReadFile(filepath.Join(data, File))
	if err != nil {
		return nil, fmt.Errorf("reading the sample users: %w", err)
	}
	var all []Account
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(data, File), err)
	}
	return all, nil
}

// Of returns the account of a role.
func Of(data string, role token.Role) (Account, error) {
	all, err := Load(data)
	if err != nil {
		return Account{}, err
	}
	for _, a := range all {
		if a.Role == role {
			return a, nil
		}
	}
	return Account{}, fmt.Errorf("there is no sample user of role %s", role)
}

// Transport sends requests as one of the accounts: those that have no token get one, for which it signs
// in where they go. It may be used by several goroutines at once.
type Transport struct {
	Data string
	Role token.Role
	Base http.RoundTripper

	mu   sync.Mutex
	held map[string]held // by host
}

type held struct {
	token string
	until time.Time
}

// RoundTrip is http.RoundTripper's.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") != "" {
		return t.Base.RoundTrip(r)
	}
	bearer, err := t.token(r.Context(), r.URL.Scheme+"://"+r.URL.Host)
	if err != nil {
		return nil, err
	}
	out := r.Clone(r.Context())
	out.Header.Set("Authorization", "Bearer "+bearer)
	return t.Base.RoundTrip(out)
}

// token is a token that is good for some minutes.
func (t *Transport) token(ctx context.Context, url string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h, ok := t.held[url]; ok && time.Now().Before(h.until) {
		return h.token, nil
	}
	account, err := Of(t.Data, t.Role)
	if err != nil {
		return "", err
	}
	now := time.Now()
	raw, err := signIn(ctx, t.Base, url, account)
	if err != nil {
		return "", err
	}
	if t.held == nil {
		t.held = map[string]held{}
	}
	t.held[url] = held{raw, now.Add(token.Lifetime / 2)}
	return raw, nil
}

func signIn(ctx context.Context, base http.RoundTripper, url string, a Account) (string, error) {
	body, err := json.Marshal(map[string]string{"email": a.Email, "password": a.Password})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/auth/login", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := base.RoundTrip(req)
	if err != nil {
		return "", fmt.Errorf("signing in: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return "", fmt.Errorf("signing in: %w", err)
	}
	// Whoever starts the system again and again, each time at another port, signs in too often for one account.
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && res.StatusCode == http.StatusTooManyRequests {
		select {
		case <-time.After(time.Duration(seconds) * time.Second):
			return signIn(ctx, base, url, a)
		case <-ctx.Done():
			return "", fmt.Errorf("signing in as %s: %w", a.Email, ctx.Err())
		}
	}
	var ok struct {
		Data struct {
			Token string `json:"token"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer, &ok); err != nil || res.StatusCode != http.StatusOK || ok.Data.Token == "" {
		return "", errors.Join(fmt.Errorf("signing in as %s: %s %s", a.Email, res.Status, answer), err)
	}
	return ok.Data.Token, nil
}
