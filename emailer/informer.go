package emailer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
)

const (
	// pageSize is how many rewards are asked for at once.
	pageSize = 500
	// maxPage is the most that is read of an answer; a reward has a few kilobytes at most.
	maxPage = 16 << 20
	// tries of one question: a run that breaks off has to begin anew.
	tries = 4
)

// Informer asks informer on its internal port. *profile.Credentials are the tokens.
type Informer struct {
	Endpoint string // http://host:port
	Tokens   interface {
		Token(ctx context.Context) (string, error)
		Forget()
	}
	HTTP *http.Client
}

var errAway = errors.New("informer cannot be asked")

// Day is Rewards'.
func (i *Informer) Day(ctx context.Context, day loyalty.Date, cursor string) ([]loyalty.Reward, string, error) {
	q := url.Values{"day": {day.String()}, "page_size": {fmt.Sprint(pageSize)}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	var page struct {
		Day  loyalty.Date     `json:"day"`
		Data []loyalty.Reward `json:"data"`
		Next string           `json:"next"`
	}
	err := again(ctx, errAway, func() error { return i.get(ctx, "/reward/today?"+q.Encode(), &page) })
	if err != nil {
		return nil, "", fmt.Errorf("reading the rewards of %s: %w", day, err)
	}
	if page.Day != day {
		return nil, "", fmt.Errorf("informer answers with the rewards of %s, not of %s", page.Day, day)
	}
	return page.Data, page.Next, nil
}

func (i *Informer) get(ctx context.Context, path string, out any) error {
	bearer, err := i.Tokens.Token(ctx)
	if err != nil {
		return errors.Join(errAway, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(i.Endpoint, "/")+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Accept", "application/json")
	res, err := i.HTTP.Do(req)
	if err != nil {
		return errors.Join(errAway, err)
	}
	defer func() { _ = res.Body.Close() }()
	body := io.LimitReader(res.Body, maxPage)
	switch {
	case res.StatusCode == http.StatusUnauthorized: // the keys have changed
		i.Tokens.Forget()
		return fmt.Errorf("%w: it does not take our token", errAway)
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("%w: it answers %d", errAway, res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("informer answers %d", res.StatusCode)
	}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fmt.Errorf("%w: reading its answer: %w", errAway, err)
	}
	return nil
}

// again asks until there is an answer or an error that is not away, a few times.
func again(ctx context.Context, away error, ask func() error) error {
	for try, wait := 1, time.Second; ; try, wait = try+1, 2*wait {
		err := ask()
		if err == nil || try == tries || !errors.Is(err, away) || ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}
