package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// etcd takes 128 operations and 1.5 MiB a request; both are kept well clear of.
const (
	maxKeys  = 100
	maxBytes = 1 << 20
)

// Config of a Publisher.
type Config struct {
	Reconcile time.Duration // between two comparisons of database and etcd
	Poll      time.Duration // between two looks into the outbox when nobody wakes the publisher
	Timeout   time.Duration // for one request to etcd
}

// DefaultConfig is what services use.
func DefaultConfig() Config {
	return Config{Reconcile: time.Minute, Poll: time.Second, Timeout: 5 * time.Second}
}

// Validate says what is wrong.
func (c Config) Validate() error {
	if c.Reconcile <= 0 || c.Poll <= 0 || c.Timeout <= 0 {
		return errors.New("the outbox's times must be above 0")
	}
	return nil
}

// Publisher brings what waits in the outbox into etcd. One goroutine runs it, or flushes and fills;
// Wake and Wait may be called from any.
type Publisher struct {
	store Store
	etcd  *clientv3.Client
	cfg   Config
	log   *slog.Logger
	clock func() time.Time
	wake  chan struct{}
	begun bool // etcd has an epoch, as far as is known
	meter *meter

	mu      sync.Mutex
	passed  chan struct{} // closed and made anew whenever rules have left the outbox or are held
	checked map[Ref]check // rules that were found or put alike in database and etcd
}

// check is what database and etcd had when they were alike.
type check struct{ version, revision int64 }

// New returns a publisher; Run sets it to work.
func New(store Store, etcd *clientv3.Client, cfg Config, log *slog.Logger, clock func() time.Time) *Publisher {
	return &Publisher{
		store: store, etcd: etcd, cfg: cfg, log: log, clock: clock,
		wake: make(chan struct{}, 1), passed: make(chan struct{}), checked: map[Ref]check{}, meter: &meter{},
	}
}

// Wake makes the publisher look into the outbox at once. It does not block.
func (p *Publisher) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Wait wakes the publisher and waits until it has done with a rule or the context ends. It says
// whether the rule is published.
func (p *Publisher) Wait(ctx context.Context, ref Ref) bool {
	p.Wake()
	for {
		p.mu.Lock()
		passed := p.passed
		p.mu.Unlock()
		state, err := p.store.State(ctx, ref)
		if err != nil || state != Waits {
			return err == nil && state == Published
		}
		select {
		case <-passed:
		case <-ctx.Done():
			return false
		}
	}
}

func (p *Publisher) announce() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.passed)
	p.passed = make(chan struct{})
}

// Run publishes until the context ends. No failure ends it: what waits stays in the outbox and is
// tried again.
func (p *Publisher) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var reconciled time.Time // zero: compare at once, what happened while no publisher ran is unknown
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-timer.C:
		}
		err := p.Flush(ctx)
		due := p.clock().Sub(reconciled) >= p.cfg.Reconcile
		if err == nil && !due {
			due = p.anew(ctx)
		}
		if err == nil && due {
			if err = p.Fill(ctx); err == nil {
				reconciled = p.clock()
			}
		}
		if ctx.Err() == nil {
			p.look(ctx)
		}
		pause := p.cfg.Poll
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			p.meter.failures.Add(1)
			pause = min(p.cfg.Poll<<min(failures-1, 3), 10*time.Second)
			p.log.LogAttrs(ctx, slog.LevelWarn, "rules wait to be published; trying again",
				slog.Any("error", err), slog.Int("failures", failures), slog.Duration("pause", pause))
		case failures > 0:
			p.log.LogAttrs(ctx, slog.LevelInfo, "publishing again", slog.Int("failures", failures))
			failures = 0
		}
		timer.Reset(pause)
	}
}

// Flush publishes all that waits.
func (p *Publisher) Flush(ctx context.Context) error {
	return p.store.Exclusively(ctx, func(ctx context.Context) error {
		for {
			rules, err := p.store.Waiting(ctx, maxKeys)
			if err != nil {
				return fmt.Errorf("reading the outbox: %w", err)
			}
			if len(rules) == 0 {
				return nil
			}
			for len(rules) > 0 {
				n := batch(rules)
				if err := p.publish(ctx, rules[:n]); err != nil {
					return err
				}
				rules = rules[n:]
			}
		}
	})
}

// Fill brings etcd up to all that the database holds, and says there that it has.
func (p *Publisher) Fill(ctx context.Context) error {
	if err := p.Reconcile(ctx); err != nil {
		return err
	}
	if err := p.Flush(ctx); err != nil {
		return err
	}
	var puts []clientv3.Op
	for _, k := range p.store.Kinds() {
		key := rulebook.FilledKey(k)
		puts = append(puts, clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(key), "=", 0)},
			[]clientv3.Op{clientv3.OpPut(key, "1")}, nil))
	}
	asking, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	if _, err := p.etcd.Txn(asking).Then(puts...).Commit(); err != nil {
		return fmt.Errorf("saying in etcd that it is filled: %w", err)
	}
	p.begun = false // look again, somebody may have deleted it
	return p.begin(ctx)
}

// anew says whether etcd has to be filled: whether it is known that it has not been since it began.
func (p *Publisher) anew(ctx context.Context) bool {
	filled, err := p.get(ctx, rulebook.FilledKey(p.store.Kinds()[0]), clientv3.WithCountOnly())
	return err == nil && filled.Count == 0
}

// begin writes the epoch if there is none, there are rules, and all kinds are filled.
func (p *Publisher) begin(ctx context.Context) error {
	if p.begun {
		return nil
	}
	epoch, err := p.get(ctx, rulebook.EpochKey, clientv3.WithCountOnly())
	if err != nil || epoch.Count > 0 {
		p.begun = err == nil
		return err
	}
	var rules int64 // once there they stay, if only as tombstones
	whole := []clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(rulebook.EpochKey), "=", 0)}
	for _, k := range rulebook.Kinds {
		some, err := p.get(ctx, rulebook.Key(k, ""), clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())
		if err != nil {
			return err
		}
		rules += some.Count
		whole = append(whole, clientv3.Compare(clientv3.CreateRevision(rulebook.FilledKey(k)), ">", 0))
	}
	if rules == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	_, err = p.etcd.Txn(ctx).If(whole...).Then(clientv3.OpPut(rulebook.EpochKey, strconv.FormatInt(p.clock().UnixMilli(), 10))).Commit()
	if err != nil {
		return fmt.Errorf("beginning the epoch: %w", err)
	}
	return nil
}

// batch is how many of the rules go into one request.
func batch(rules []Rule) int {
	size := 0
	for i := range rules {
		if size += len(rules[i].Data); i == maxKeys || i > 0 && size > maxBytes {
			return i
		}
	}
	return len(rules)
}

func (p *Publisher) publish(ctx context.Context, rules []Rule) error {
	done, ahead, err := p.put(ctx, rules)
	if err == nil {
		err = p.begin(ctx)
	}
	if err != nil {
		return fmt.Errorf("publishing to etcd: %w", err)
	}
	if len(ahead) > 0 {
		if err := p.hold(ctx, ahead); err != nil {
			return err
		}
	}
	if err := p.store.Done(ctx, done); err != nil {
		return fmt.Errorf("clearing the outbox: %w", err)
	}
	p.meter.published.Add(int64(len(done)))
	p.announce()
	return nil
}

// hold sets rules aside of which etcd has what the database has never had.
func (p *Publisher) hold(ctx context.Context, ahead []Rule) error {
	held, err := p.store.Hold(ctx, ahead)
	if err != nil {
		return fmt.Errorf("holding back rules that etcd has newer: %w", err)
	}
	if len(held) > 0 {
		p.log.LogAttrs(ctx, slog.LevelError,
			"ALARM: etcd has rules that the database has never had like that; was an older database restored? They are left alone until they are changed again",
			slog.Int("rules", len(held)), slog.Any("keys", firstKeys(held)))
	}
	return nil
}

func firstKeys(rules []Rule) []string {
	keys := make([]string, 0, 10)
	for _, r := range rules[:min(len(rules), 10)] {
		keys = append(keys, r.Key())
	}
	return keys
}

// put writes rules of one batch into etcd, each unless its version is there already. It returns
// those that stand in etcd now, and those of which etcd has a newer version or another content.
func (p *Publisher) put(ctx context.Context, rules []Rule) (done, ahead []Rule, err error) {
	for range 20 {
		var ok bool
		if done, ahead, ok, err = p.tryPut(ctx, rules); err != nil || ok {
			return done, ahead, err
		}
	}
	return nil, nil, errors.New("others kept changing the same rules")
}

func (p *Publisher) tryPut(ctx context.Context, rules []Rule) (done, ahead []Rule, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	gets := make([]clientv3.Op, len(rules))
	for i, r := range rules {
		gets[i] = clientv3.OpGet(r.Key())
	}
	there, err := p.etcd.Txn(ctx).Then(gets...).Commit()
	if err != nil {
		return nil, nil, false, err
	}
	var (
		same    []clientv3.Cmp
		puts    []clientv3.Op
		written []Rule
	)
	for i, r := range rules {
		var revision int64
		if kvs := there.Responses[i].GetResponseRange().Kvs; len(kvs) > 0 {
			revision = kvs[0].ModRevision
			switch compare(r, kvs[0].Value) {
			case equal:
				done = append(done, r)
				p.alike(r, revision)
				continue
			case etcdAhead:
				ahead = append(ahead, r)
				continue
			}
		}
		value, err := rulebook.Value{Version: r.Version, Deleted: r.Deleted, Data: r.Data}.Encode()
		if err != nil {
			return nil, nil, false, fmt.Errorf("encoding %s: %w", r.Key(), err)
		}
		same = append(same, clientv3.Compare(clientv3.ModRevision(r.Key()), "=", revision))
		puts = append(puts, clientv3.OpPut(r.Key(), string(value)))
		written = append(written, r)
	}
	done = append(done, written...)
	if len(puts) == 0 {
		return done, ahead, true, nil
	}
	answer, err := p.etcd.Txn(ctx).If(same...).Then(puts...).Commit()
	if err != nil || !answer.Succeeded {
		return nil, nil, false, err
	}
	for _, r := range written {
		p.alike(r, answer.Header.Revision)
	}
	return done, ahead, true, nil
}

// alike remembers that etcd has a rule as the database has it.
func (p *Publisher) alike(r Rule, revision int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checked[r.Ref] = check{r.Version, revision}
}

// isAlike says whether that is known of this version and this revision.
func (p *Publisher) isAlike(r Rule, revision int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.checked[r.Ref] == check{r.Version, revision}
}

type comparison int

const (
	equal      comparison = iota
	etcdBehind            // older, or nothing that a publisher wrote
	etcdAhead             // newer, or the same version with another content
)

func compare(r Rule, value []byte) comparison {
	v, err := rulebook.DecodeValue(value)
	switch {
	case err != nil || v.Version < r.Version:
		return etcdBehind
	case v.Version == r.Version && v.Deleted == r.Deleted && sameData(r.Kind, r.Data, v.Data):
		return equal
	}
	return etcdAhead
}

// sameData compares what is said, not how: an older program may have written fewer fields.
func sameData(kind rulebook.Kind, a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	a, errA := canonical(kind, a)
	b, errB := canonical(kind, b)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

func canonical(kind rulebook.Kind, data []byte) ([]byte, error) {
	var rule any
	switch kind {
	case rulebook.Campaigns:
		rule = new(loyalty.Campaign)
	case rulebook.Exclusions:
		rule = new(loyalty.Exclusion)
	case rulebook.CardTypes:
		rule = new(loyalty.CardType)
	case rulebook.Quotes:
		rule = new(loyalty.YearQuotes)
	default:
		return nil, fmt.Errorf("no such kind of rule: %q", kind)
	}
	if err := json.Unmarshal(data, rule); err != nil {
		return nil, err
	}
	return json.Marshal(rule)
}

// While runs the publisher as long as serve does, and after it publishes once more: what the last
// requests changed. Serve ends with ctx.
func (p *Publisher) While(ctx context.Context, serve func(context.Context) error) error {
	// The publisher outlives ctx: requests that drain still wait for it.
	publishing, stop := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.Run(publishing)
	}()
	err := serve(ctx)
	stop()
	<-stopped
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := p.Flush(last); err != nil {
		p.log.LogAttrs(ctx, slog.LevelWarn, "rules wait to be published by the next instance", slog.Any("error", err))
	}
	return err
}
