package outbox

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/metrics"
)

// lookEvery is between two looks at the backlog: each counts rows in the database.
const lookEvery = 5 * time.Second

// meter is what a publisher knows of its outbox.
type meter struct {
	waiting, held atomic.Int64
	empty         atomic.Int64 // when nothing waited, in ms: at the last look that found that, or the first
	looked        time.Time

	published, failures atomic.Int64
}

// Measure adds to a service's metrics how its outbox is. It is called once, before the publisher runs.
func (p *Publisher) Measure(set *metrics.Set) {
	m := p.meter
	m.empty.Store(p.clock().UnixMilli())
	number := func(of func() int64) func(func(string, ...string)) {
		return func(emit func(string, ...string)) { emit(strconv.FormatInt(of(), 10)) }
	}
	set.Gauge("outbox_waiting", "Rules that wait to be published to etcd, as of the last look.", nil, number(m.waiting.Load))
	set.Gauge("outbox_held", "Rules that are held back, since etcd has what this database has never had: a person has to look.", nil, number(m.held.Load))
	set.Gauge("outbox_behind_seconds", "For how long the outbox has not been seen empty; it grows while the database is away, too.", nil, number(func() int64 {
		return max(p.clock().UnixMilli()-m.empty.Load(), 0) / 1000
	}))
	set.Sums("outbox_published_total", "Rules that this instance brought to etcd.", nil, number(m.published.Load))
	set.Sums("outbox_failures_total", "Times that publishing failed; it is tried again.", nil, number(m.failures.Load))
}

// look counts the backlog, now and then. Only the goroutine that runs the publisher calls it.
func (p *Publisher) look(ctx context.Context) {
	m := p.meter
	if now := p.clock(); now.Sub(m.looked) < lookEvery {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	waiting, held, err := p.store.Backlog(ctx)
	if err != nil {
		p.log.LogAttrs(ctx, slog.LevelDebug, "the outbox cannot be counted", slog.Any("error", err)) // publishing says so, too
		return
	}
	m.looked = p.clock()
	m.waiting.Store(waiting)
	m.held.Store(held)
	if waiting == 0 {
		m.empty.Store(m.looked.UnixMilli())
	}
}
