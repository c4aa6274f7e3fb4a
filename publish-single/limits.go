package publish

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

const (
	// limitsLast is how long what profiler said of a merchant is taken for true.
	limitsLast = time.Minute
	// mostMerchants is of how many it is remembered.
	mostMerchants = 10_000
)

// limits remember what merchants may send.
type limits struct {
	profile Profile
	clock   func() time.Time

	mu    sync.Mutex
	known map[string]known
}

type known struct {
	merchant profile.Merchant
	until    time.Time
}

func newLimits(p Profile, clock func() time.Time) *limits {
	return &limits{profile: p, clock: clock, known: map[string]known{}}
}

// of looks a merchant up. Errors are profile's.
func (l *limits) of(ctx context.Context, id string) (profile.Merchant, error) {
	now := l.clock()
	l.mu.Lock()
	k, ok := l.known[id]
	l.mu.Unlock()
	if ok && now.Before(k.until) {
		return k.merchant, nil
	}
	m, err := l.profile.Merchant(ctx, id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		delete(l.known, id)
		return m, err
	}
	if len(l.known) >= mostMerchants {
		maps.DeleteFunc(l.known, func(_ string, k known) bool { return !now.Before(k.until) })
	}
	if len(l.known) >= mostMerchants {
		clear(l.known)
	}
	l.known[id] = known{m, now.Add(limitsLast)}
	return m, nil
}

// limited says whether anything is limited.
func limited(l *profile.Limits) bool {
	return l != nil && len(l.Merchants)+len(l.MCCs)+len(l.Currencies)+len(l.DailySums) > 0
}

const codeNotYours = "not_your_merchant"

// within says whether a transaction is one that the limits let through. The daily sum is profiler's to
// look at.
func within(l *profile.Limits, t *loyalty.Transaction) error {
	if l == nil {
		return nil
	}
	no := &failure{status: http.StatusForbidden, code: codeNotYours, fields: map[string]string{}}
	var words []string
	add := func(field, reason string) {
		words = append(words, field+" "+reason)
		no.fields[field] = reason
	}
	if len(l.Merchants) > 0 && !slices.ContainsFunc(l.Merchants, func(m string) bool {
		return rules.EqualFold(strings.TrimSpace(m), t.Merchant)
	}) {
		add("merchant", fmt.Sprintf("%s is none of those that your account may send transactions of", shown(t.Merchant)))
	}
	if !l.MCCs.Contains(t.MCC) {
		add("mcc", fmt.Sprintf("%s is none of those that your account may send: %s", t.MCC, l.MCCs))
	}
	if len(l.Currencies) > 0 && !slices.Contains(l.Currencies, t.Currency) {
		add("currency", fmt.Sprintf("%s is none of those that your account may send: %s", t.Currency, list(l.Currencies)))
	}
	if len(words) == 0 {
		return nil
	}
	no.message = strings.Join(words, "; ") + "; ask the bank if it should be allowed"
	return no
}

// shown is a text in an error, at most 40 characters of it.
func shown(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return strconv.Quote(s)
}

func list(currencies []loyalty.Currency) string {
	names := make([]string, len(currencies))
	for i, c := range currencies {
		names[i] = c.String()
	}
	return strings.Join(names, ", ")
}
