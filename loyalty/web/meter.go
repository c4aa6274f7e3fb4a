package web

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/angelowl-loyalties/app/loyalty/metrics"
)

// MetricsPath is where a service's metrics are, on each of its ports.
const MetricsPath = "/metrics"

// durations are the bounds of how long answers take. The goal for a page of history, at p99, is one of them.
var durations = []time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// Meter counts a service's requests, those of all its ports together, by route as it is registered: a path
// may hold whatever somebody sends. The nil Meter counts nothing.
type Meter struct {
	set      *metrics.Set
	inFlight atomic.Int64
	requests metrics.Counter
	took     metrics.Histogram
	known    sync.Map // answerKind: *answered, so that counting makes no texts
}

type answerKind struct {
	method, route string
	class         int
}

type answered struct {
	n    *metrics.Count
	took *metrics.Times
}

// NewMeter returns a meter that shows what it counts in a service's metrics.
func NewMeter(set *metrics.Set) *Meter {
	m := &Meter{
		set:      set,
		requests: set.Counter("http_requests_total", "Requests answered, by route, method and class of status (2xx); probes are left out.", "method", "route", "status"),
		took:     set.Histogram("http_request_duration_seconds", "Time from a request's first byte to its answer's last.", durations, "method", "route"),
	}
	set.Gauge("http_requests_in_flight", "Requests that are being answered.", nil, func(emit func(string, ...string)) {
		emit(strconv.FormatInt(m.inFlight.Load(), 10))
	})
	return m
}

// WithMeter counts requests, and serves the service's metrics at MetricsPath.
func WithMeter(m *Meter) Option { return func(o *options) { o.meter = m } }

// begin counts a request that is being answered, until the function that it returns is called.
func (m *Meter) begin(c *gin.Context) func() {
	route := c.FullPath()
	if m == nil || route == "/health" || route == MetricsPath {
		return func() {}
	}
	began := time.Now()
	m.inFlight.Add(1)
	return func() {
		m.inFlight.Add(-1)
		kind := answerKind{c.Request.Method, route, c.Writer.Status() / 100}
		if kind.route == "" {
			kind.method, kind.route = "", "none" // a stranger chooses the method, too
		}
		v, ok := m.known.Load(kind)
		if !ok {
			v, _ = m.known.LoadOrStore(kind, &answered{
				m.requests.With(kind.method, kind.route, strconv.Itoa(kind.class)+"xx"), m.took.With(kind.method, kind.route),
			})
		}
		a := v.(*answered)
		a.n.Add(1)
		a.took.Observe(time.Since(began))
	}
}

func (m *Meter) handler() http.Handler { return m.set }
