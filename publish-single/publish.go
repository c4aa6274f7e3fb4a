// Package publish is the lambda behind POST /publish: one transaction, as JSON, from a merchant or
// the bank. It answers 202 when Kafka has it.
//
// A transaction passes the same checks as a row of a file, and its PAN is masked here. It may be
// sent as often as wanted: what comes again with the same card, date and id earns once. So where
// the outcome is unknown, since time ran out, the answer is 503 and the sender tries again. The same
// goes for a merchant's daily sum: a transaction is counted once, before it is produced.
package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
)

// Config is what a deployment sets.
type Config struct {
	Topic string           // "" is record.Topic
	Home  loyalty.Currency // the home currency
	// RequireLimits refuses merchants that have no limits.
	RequireLimits bool
	// Portal is the origin whose pages may read answers in a browser; "" is none. API Gateway adds
	// nothing to what a lambda answers.
	Portal string
	// Wait is the most that a request may take; 0 is 10 s. It ends before the invocation does, too.
	Wait time.Duration
}

// Profile is what profiler knows of accounts. It may be called by several goroutines at once. Errors
// are those of package profile. *profile.Client is one.
type Profile interface {
	// Merchant says what a merchant may send.
	Merchant(ctx context.Context, id string) (profile.Merchant, error)
	// Spend counts a transaction against a merchant's daily sum, once however often it is called for it.
	Spend(ctx context.Context, id string, s profile.Spend) error
	// Session says what an account's tokens are worth now.
	Session(ctx context.Context, id string) (profile.Session, error)
}

// Deps is what the handler works with.
type Deps struct {
	Verifier *token.Verifier
	Profile  Profile
	// NewProducer connects to Kafka with the settings given, to which it may add what the network
	// needs (TLS, SASL). It is called at the first transaction, and again after it has failed.
	NewProducer func(*sarama.Config) (sarama.SyncProducer, error)
	Log         *slog.Logger
	Clock       func() time.Time
	Traces      *tracing.Provider // nil: nothing is traced
	Metrics     *metrics.Embedded // nil: nothing is counted
}

// Handler handles requests. It may be called by several goroutines at once.
type Handler struct {
	cfg    Config
	deps   Deps
	queue  *queue
	limits *limits
}

// New returns a handler, or says what is missing. Nothing is connected yet.
func New(cfg Config, deps Deps) (*Handler, error) {
	switch {
	case cfg.Home == 0:
		return nil, errors.New("configuring publish-single: the home currency is missing")
	case cfg.Wait < 0:
		return nil, fmt.Errorf("configuring publish-single: it cannot wait for %s", cfg.Wait)
	case deps.Verifier == nil || deps.Profile == nil || deps.NewProducer == nil:
		return nil, errors.New("configuring publish-single: the verifier, profiler or Kafka is missing")
	}
	if cfg.Topic == "" {
		cfg.Topic = record.Topic
	}
	if cfg.Wait == 0 {
		cfg.Wait = 10 * time.Second
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	return &Handler{
		cfg: cfg, deps: deps,
		queue:  newQueue(deps.NewProducer),
		limits: newLimits(deps.Profile, deps.Clock),
	}, nil
}

// Close waits for what is on its way to Kafka and ends the connection. A lambda need not call it.
func (h *Handler) Close() error { return h.queue.close() }
