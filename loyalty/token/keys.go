package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/go-jose/go-jose/v4"
)

// Fixed is a KeySource of keys that are at hand.
type Fixed []jose.JSONWebKey

// Key is KeySource's.
func (f Fixed) Key(_ context.Context, id string) (jose.JSONWebKey, error) {
	for _, k := range f {
		if k.KeyID == id {
			return k, nil
		}
	}
	return jose.JSONWebKey{}, fmt.Errorf("%w: there is no key %q", ErrInvalid, loyalty.StarPANs(id))
}

const (
	// askAgain is how long an unknown key is unknown before the keys are read again: whoever sends
	// tokens with made-up keys must not make us ask profiler each time.
	askAgain = time.Minute
	// stale is when keys are read again though all that come are known, so that a key that was
	// withdrawn is forgotten.
	stale = 15 * time.Minute
)

// Remote is a KeySource of the keys that profiler publishes (RFC 7517), which it remembers: while they
// cannot be had, those that it knows are still good.
type Remote struct {
	fetch func(ctx context.Context) (jose.JSONWebKeySet, error)
	clock func() time.Time

	mu    sync.Mutex // held while the keys are read: whoever needs them waits for one reader
	keys  Fixed
	read  time.Time // when keys were read
	asked time.Time // when it was last tried
}

// NewRemote returns the keys at url. Nothing is read before the first is asked for.
func NewRemote(url string, client *http.Client, clock func() time.Time) *Remote {
	return &Remote{clock: clock, fetch: func(ctx context.Context) (jose.JSONWebKeySet, error) { return fetch(ctx, client, url) }}
}

// Key is KeySource's. It reads the keys when it must, which takes as long as the client lets it.
func (r *Remote) Key(ctx context.Context, id string) (jose.JSONWebKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	key, err := r.keys.Key(ctx, id)
	known := err == nil
	if known && now.Sub(r.read) < stale || !r.asked.IsZero() && now.Sub(r.asked) < askAgain {
		return r.answer(key, err)
	}
	r.asked = now
	set, fetchErr := r.fetch(ctx)
	if fetchErr != nil {
		if ctx.Err() != nil {
			r.asked = time.Time{} // it is the asker who went away
		}
		if known || len(r.keys) > 0 {
			return r.answer(key, err)
		}
		return key, fmt.Errorf("%w: %w", ErrUnavailable, fetchErr)
	}
	r.keys, r.read = usable(set), now
	key, err = r.keys.Key(ctx, id)
	return r.answer(key, err)
}

// answer is that without any keys nobody can tell.
func (r *Remote) answer(key jose.JSONWebKey, err error) (jose.JSONWebKey, error) {
	if err != nil && len(r.keys) == 0 {
		return key, ErrUnavailable
	}
	return key, err
}

// usable are the public keys of a set that can be for our tokens.
func usable(set jose.JSONWebKeySet) Fixed {
	var out Fixed
	for _, k := range set.Keys {
		if k.IsPublic() && k.Valid() && k.KeyID != "" && k.Algorithm == string(jose.ES256) && k.Use == "sig" {
			out = append(out, k)
		}
	}
	return out
}

func fetch(ctx context.Context, client *http.Client, url string) (set jose.JSONWebKeySet, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return set, fmt.Errorf("reading keys: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return set, fmt.Errorf("reading keys: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 256<<10))
	if err != nil {
		return set, fmt.Errorf("reading keys: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return set, fmt.Errorf("reading keys: %s answers %s", url, res.Status)
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return set, fmt.Errorf("reading keys: %w", err)
	}
	if len(usable(set)) == 0 {
		return set, errors.New("reading keys: there is none for ES256")
	}
	return set, nil
}
