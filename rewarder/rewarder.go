// Package rewarder turns the log of transactions into rewards.
//
// A reward is a function of the transaction, the rule set in force at its offset, and nothing
// else. The rules in force change where a rule marker stands in the log, so whoever evaluates an
// offset, now or in a replay years later, evaluates it alike. A rewarder reads its partitions in
// order, evaluates in batches, stores rows so that the first arrival of a transaction wins, and
// commits offsets only up to the highest contiguous record that is durable: its row stored, its
// dead letter acknowledged or its marker's row stored. Every step may be repeated by anyone at
// any time; that is why nothing here is locked, fenced or transactional.
//
// An error about a record makes a dead letter. An error about another system pauses the partition
// and never makes one.
package rewarder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/trace"

	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

// Deps are what a rewarder works with. None is closed by it but the listener.
type Deps struct {
	Store    Store
	Etcd     *clientv3.Client
	Log      *slog.Logger
	Clock    func() time.Time     // for the status only; a reward depends on no clock
	Listener net.Listener         // of GET /health and /metrics; nil: none
	Ops      http.Handler         // of /ops/ and /swagger/, on the same listener; nil: none
	More     *metrics.Set         // of whatever else the program does; nil: none
	Traces   *tracing.Provider    // nil: nothing is traced
	Kafka    func(*sarama.Config) // sets what the network to Kafka needs (TLS, SASL); nil: nothing
}

// ErrOffsetGone says that records were deleted from the log before they were read.
var ErrOffsetGone = errors.New("records were deleted from the log before they were read; see docs/runbooks/offset-gone.md")

type rewarder struct {
	cfg    Config
	log    *slog.Logger
	clock  func() time.Time
	store  Store
	client sarama.Client // for all but reading: a waiting fetch holds up its connection
	sender sarama.SyncProducer
	sets   *ruleSets
	live   *live
	board  *board
	status *status
	count  counters
	shown  *metrics.Set
	traces trace.Tracer // nil: nothing is traced
	fail   context.CancelCauseFunc
	opened atomic.Pointer[topicInfo]
	claims sync.WaitGroup // goroutines of claims
	sends  sync.WaitGroup
}

// Run rewards what arrives until ctx ends; then it finishes the writes under way, commits, and
// returns nil. It returns an error only when a person has to look: a configuration that cannot
// be, ErrTopicChanged, ErrOffsetGone. Everything else it waits for, and says so in its status.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	cfg.setDefaults()
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("configuring the rewarder: %w", err)
	}
	run, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r := &rewarder{
		cfg: cfg, log: deps.Log.With("rewarder", cfg.Name), clock: deps.Clock, store: deps.Store,
		live: newLive(), status: newStatus(), fail: fail,
	}
	if deps.Traces != nil {
		r.traces = deps.Traces.Tracer()
	}
	r.shown = r.show()
	r.sets = newRuleSets(r.store, cfg.RuleSets)
	r.board = newBoard(deps.Etcd, r.log, cfg.Topic, cfg.LeaseTTL, r.say)
	conf := saramaConfig(cfg)
	if deps.Kafka != nil {
		deps.Kafka(conf)
	}
	if err := conf.Validate(); err != nil {
		return fmt.Errorf("configuring the rewarder's Kafka client: %w", err)
	}
	r.sets.log = newPartTopic(r, conf)

	// What shows the work ends after the work.
	shown, hide := context.WithCancel(context.WithoutCancel(ctx))
	var shows, runs sync.WaitGroup
	shows.Go(func() { r.board.run(shown) })
	if deps.Listener != nil {
		shows.Go(func() {
			if err := web.Serve(shown, deps.Listener, r.handler(deps.Ops, deps.More), time.Second); err != nil {
				fail(fmt.Errorf("serving the rewarder's health: %w", err))
			}
		})
	}
	runs.Go(func() {
		w := rulebook.Watcher{
			Client: deps.Etcd, Home: cfg.Home, Log: r.log, CheckEvery: cfg.CheckEvery,
			Problem:   r.status.setProblem,
			Confirmed: func() { r.status.confirmed.Store(r.clock().UnixMilli()) },
			// A change is announced while it is compiled: the reader waits for the rules at the
			// marker, should it be there first.
			Stored: func(s rulebook.Snapshot) {
				r.sets.expect(s.Hash)
				r.live.set(s)
			},
			Changed: func(s rulebook.Snapshot) { r.sets.keep(s.Rules) },
		}
		_ = w.Run(run) // nil, when run ends
	})
	r.work(run, conf)
	runs.Wait()
	hide()
	shows.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(run)
}

// work connects, then consumes until ctx ends.
func (r *rewarder) work(ctx context.Context, conf *sarama.Config) {
	if !r.connect(ctx, conf) {
		return
	}
	defer func() {
		r.sends.Wait()
		if err := errors.Join(r.sender.Close(), r.client.Close()); err != nil {
			r.log.Warn("closing the Kafka client", "error", err)
		}
	}()
	var checks sync.WaitGroup
	checks.Go(func() { r.checkTopic(ctx) })
	r.consume(ctx, conf)
	r.claims.Wait()
	checks.Wait()
}

// again calls f until it succeeds or ctx ends, and says whether it succeeded.
func (r *rewarder) again(ctx context.Context, what string, f func() error) bool {
	for wait := r.cfg.RetryMin; ctx.Err() == nil; wait = min(2*wait, r.cfg.RetryMax) {
		err := f()
		if err == nil {
			r.status.set(stateStarting, "")
			return true
		}
		r.trouble(ctx, what, err, wait)
	}
	return false
}

// trouble says what is wrong, and waits.
func (r *rewarder) trouble(ctx context.Context, what string, err error, wait time.Duration) {
	r.count.errors.Add(1)
	r.status.set(statePaused, what+": "+err.Error())
	r.log.Error("the rewarder pauses", "reason", what, "error", err)
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}
