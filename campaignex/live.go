package campaignex

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/rules"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// liveRules are the rules as they stand in etcd: those that rewarders follow, other services' too.
// They are read when somebody asks, and only what has changed is decoded.
type liveRules struct {
	etcd    *clientv3.Client
	home    loyalty.Currency
	timeout time.Duration

	mu         sync.Mutex
	book       *rules.Book
	read       map[string]int64 // the ModRevision of each key
	campaigns  map[uuid.UUID]loyalty.Campaign
	exclusions map[uuid.UUID]loyalty.Exclusion
}

func newLiveRules(etcd *clientv3.Client, home loyalty.Currency, timeout time.Duration) *liveRules {
	l := &liveRules{etcd: etcd, home: home, timeout: timeout}
	l.reset()
	return l
}

func (l *liveRules) reset() {
	l.book = rules.NewBook(l.home)
	l.read = map[string]int64{}
	l.campaigns = map[uuid.UUID]loyalty.Campaign{}
	l.exclusions = map[uuid.UUID]loyalty.Exclusion{}
}

// hasCardType asks for one card type.
func (l *liveRules) hasCardType(ctx context.Context, cardType string) (bool, error) {
	r, err := l.etcd.Get(ctx, rulebook.Key(rulebook.CardTypes, cardType))
	if err != nil || len(r.Kvs) == 0 {
		return false, err
	}
	v, err := rulebook.DecodeValue(r.Kvs[0].Value)
	return err == nil && !v.Deleted, err
}

// try evaluates a transaction against the live rules plus drafts.
func (l *liveRules) try(ctx context.Context, t *loyalty.Transaction, d drafts) (loyalty.Reward, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refresh(ctx); err != nil {
		return loyalty.Reward{}, err
	}
	for _, c := range d.campaigns {
		l.book.PutCampaign(c)
		defer l.restoreCampaign(c.ID)
	}
	for _, e := range d.exclusions {
		l.book.PutExclusion(e)
		defer l.restoreExclusion(e.ID)
	}
	compiled, _, err := l.book.Compile()
	if err != nil {
		return loyalty.Reward{}, fmt.Errorf("compiling live rules and drafts: %w", err)
	}
	return compiled.Reward(t)
}

func (l *liveRules) restoreCampaign(id uuid.UUID) {
	if c, ok := l.campaigns[id]; ok {
		l.book.PutCampaign(c)
		return
	}
	l.book.DeleteCampaign(id)
}

func (l *liveRules) restoreExclusion(id uuid.UUID) {
	if e, ok := l.exclusions[id]; ok {
		l.book.PutExclusion(e)
		return
	}
	l.book.DeleteExclusion(id)
}

// refresh takes over what has changed in etcd.
func (l *liveRules) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	r, err := l.etcd.Get(ctx, rulebook.Prefix, clientv3.WithPrefix())
	if err != nil {
		web.Log(ctx).Warn("the live rules cannot be read", "error", err)
		return &web.Error{Status: http.StatusServiceUnavailable, Code: "rules_unavailable", Message: "the live rules cannot be read just now; try again"}
	}
	there := make(map[string]bool, len(r.Kvs))
	for _, kv := range r.Kvs {
		there[string(kv.Key)] = true
	}
	for key := range l.read {
		if !there[key] { // rules are never taken out of etcd; this is another one
			l.reset()
			break
		}
	}
	for _, kv := range r.Kvs {
		key := string(kv.Key)
		if l.read[key] == kv.ModRevision {
			continue
		}
		kind, id, ok := rulebook.SplitKey(key)
		if ok {
			if err := l.take(kind, id, kv.Value); err != nil {
				return fmt.Errorf("reading %s in etcd: %w", key, err)
			}
		}
		l.read[key] = kv.ModRevision
	}
	return nil
}

func (l *liveRules) take(kind rulebook.Kind, id string, value []byte) error {
	v, err := rulebook.DecodeValue(value)
	if err != nil {
		return err
	}
	switch kind {
	case rulebook.Campaigns:
		return takeByID(v, id, l.campaigns, l.restoreCampaign)
	case rulebook.Exclusions:
		return takeByID(v, id, l.exclusions, l.restoreExclusion)
	case rulebook.CardTypes:
		if v.Deleted {
			l.book.DeleteCardType(id)
			return nil
		}
		var t loyalty.CardType
		if err := json.Unmarshal(v.Data, &t); err != nil {
			return err
		}
		l.book.PutCardType(t)
	case rulebook.Quotes:
		if v.Deleted {
			year, err := strconv.Atoi(id)
			l.book.DeleteQuotes(year)
			return err
		}
		var y loyalty.YearQuotes
		if err := json.Unmarshal(v.Data, &y); err != nil {
			return err
		}
		l.book.PutQuotes(y)
	}
	return nil
}

// takeByID keeps a rule and brings the book in line with it.
func takeByID[T any](v rulebook.Value, id string, keep map[uuid.UUID]T, restore func(uuid.UUID)) error {
	parsed, err := loyalty.ParseUUID(id)
	if err != nil {
		return err
	}
	delete(keep, parsed)
	if !v.Deleted {
		var rule T
		if err := json.Unmarshal(v.Data, &rule); err != nil {
			return err
		}
		keep[parsed] = rule
	}
	restore(parsed)
	return nil
}
