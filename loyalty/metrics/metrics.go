// Package metrics counts what a program does, and writes it as Prometheus reads it (its text format, 0.0.4).
//
// What is counted on a hot path is made once, with its labels, and then costs an atomic addition. Amounts are
// counted exactly, as whole numbers of their smallest unit, and become decimals only where they are written.
// docs/metrics.md lists every metric; a test compares it with what the running system answers.
package metrics

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Prefix is what all names begin with.
const Prefix = "angelowl_"

// Set is the metrics of a program. Its methods may be called at once from many goroutines. The nil Set takes
// everything and writes nothing.
type Set struct {
	constant string // the labels that all have: `service="informer"`

	mu       sync.Mutex
	families []*family
}

// family is all series of a name.
type family struct {
	name, help, kind string
	labels           []string
	constant         string // as the set's
	write            func(f *family, b []byte) []byte

	mu     sync.RWMutex
	series map[string]any // by the labels' text
}

// New returns a set whose metrics all have the given labels, as names and values in turn.
func New(constant ...string) *Set {
	s := &Set{}
	var names, values []string
	for i := 0; i+1 < len(constant); i += 2 {
		names, values = append(names, constant[i]), append(values, constant[i+1])
	}
	s.constant = labelText(names, values)
	return s
}

func (s *Set) add(f *family) *family {
	f.name = Prefix + f.name
	f.series = map[string]any{}
	if s == nil {
		return f
	}
	f.constant = s.constant
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.families {
		if other.name == f.name {
			panic("metrics: " + f.name + " is there twice")
		}
	}
	s.families = append(s.families, f)
	return f
}

// Counter is a number that only grows, one for each set of values of its labels.
type Counter struct{ f *family }

// Counter adds a counter; its name ends in _total and has no Prefix.
func (s *Set) Counter(name, help string, labels ...string) Counter {
	return Counter{s.add(&family{name: name, help: help, kind: "counter", labels: labels, write: func(f *family, b []byte) []byte {
		return f.each(b, func(b []byte, labels string, v any) []byte {
			return line(b, f.name, labels, strconv.AppendInt(nil, v.(*Count).v.Load(), 10))
		})
	}})}
}

// Count is one of a Counter's numbers.
type Count struct{ v atomic.Int64 }

// Add adds n, which is not negative.
func (c *Count) Add(n int64) { c.v.Add(n) }

// Load is the number as it is.
func (c *Count) Load() int64 { return c.v.Load() }

// With is the number for these values of the labels, in their order. Keep it where that happens often.
func (c Counter) With(values ...string) *Count {
	return series(c.f, values, func() *Count { return new(Count) })
}

// Histogram counts durations by how long they were, in seconds.
type Histogram struct {
	f      *family
	bounds []time.Duration
}

// Histogram adds a histogram of durations; its name ends in _seconds and has no Prefix. Bounds grow.
func (s *Set) Histogram(name, help string, bounds []time.Duration, labels ...string) Histogram {
	texts := make([]string, 0, len(bounds)+1)
	for _, d := range bounds {
		texts = append(texts, strconv.FormatFloat(d.Seconds(), 'f', -1, 64))
	}
	texts = append(texts, "+Inf")
	f := s.add(&family{name: name, help: help, kind: "histogram", labels: labels, write: func(f *family, b []byte) []byte {
		return f.each(b, func(b []byte, labels string, v any) []byte {
			t := v.(*Times)
			if labels != "" {
				labels += ","
			}
			var n int64
			for i, le := range texts {
				n += t.counts[i].Load()
				b = line(b, f.name+"_bucket", labels+`le="`+le+`"`, strconv.AppendInt(nil, n, 10))
			}
			labels = strings.TrimSuffix(labels, ",")
			b = line(b, f.name+"_sum", labels, strconv.AppendFloat(nil, time.Duration(t.sum.Load()).Seconds(), 'f', -1, 64))
			return line(b, f.name+"_count", labels, strconv.AppendInt(nil, n, 10))
		})
	}})
	return Histogram{f, bounds}
}

// Times is one of a Histogram's.
type Times struct {
	bounds []time.Duration
	counts []atomic.Int64
	sum    atomic.Int64
}

// Observe counts a duration; one below 0, for clocks differ, is 0.
func (t *Times) Observe(d time.Duration) { t.ObserveN(d, 1) }

// ObserveN counts a duration n times.
func (t *Times) ObserveN(d time.Duration, n int64) {
	d = max(d, 0)
	i, _ := slices.BinarySearch(t.bounds, d) // the first bound that is not below d
	t.counts[i].Add(n)
	t.sum.Add(int64(d) * n)
}

// With is the one for these values of the labels, in their order.
func (h Histogram) With(values ...string) *Times {
	return series(h.f, values, func() *Times { return &Times{bounds: h.bounds, counts: make([]atomic.Int64, len(h.bounds)+1)} })
}

// Gauge adds numbers that go up and down, asked for when they are read. Read may be called at once from many
// goroutines, does not block, and emits each set of labels once; a value is a decimal number.
func (s *Set) Gauge(name, help string, labels []string, read func(emit func(value string, values ...string))) {
	s.asked("gauge", name, help, labels, read)
}

// Sums adds a counter of which the program keeps the numbers itself, as Gauge does.
func (s *Set) Sums(name, help string, labels []string, read func(emit func(value string, values ...string))) {
	s.asked("counter", name, help, labels, read)
}

func (s *Set) asked(kind, name, help string, labels []string, read func(emit func(value string, values ...string))) {
	s.add(&family{name: name, help: help, kind: kind, labels: labels, write: func(f *family, b []byte) []byte {
		read(func(value string, values ...string) {
			b = line(b, f.name, f.text(values), []byte(value))
		})
		return b
	}})
}

// text is the labels with these values.
func (f *family) text(values []string) string {
	text := labelText(f.labels, values)
	if f.constant == "" || text == "" {
		return f.constant + text
	}
	return f.constant + "," + text
}

// series returns the series of these values, which it makes where it is new.
func series[T any](f *family, values []string, make func() *T) *T {
	key := f.text(values)
	f.mu.RLock()
	v, ok := f.series[key]
	f.mu.RUnlock()
	if ok {
		return v.(*T)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if v, ok := f.series[key]; ok {
		return v.(*T)
	}
	t := make()
	f.series[key] = t
	return t
}

// each writes all series, in the order of their labels.
func (f *family) each(b []byte, write func(b []byte, labels string, v any) []byte) []byte {
	f.mu.RLock()
	defer f.mu.RUnlock()
	keys := make([]string, 0, len(f.series))
	for k := range f.series {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		b = write(b, k, f.series[k])
	}
	return b
}

// Append writes all metrics.
func (s *Set) Append(b []byte) []byte {
	if s == nil {
		return b
	}
	s.mu.Lock()
	families := slices.Clone(s.families)
	s.mu.Unlock()
	for _, f := range families {
		b = append(b, "# HELP "+f.name+" "+strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(f.help)+"\n# TYPE "+f.name+" "+f.kind+"\n"...)
		b = f.write(f, b)
	}
	return b
}

// gatewayHeader is one that a request has only where it came through the gateway (web.SourceIPHeader).
const gatewayHeader = "X-Source-Ip"

// ServeHTTP answers all metrics. They are for whoever watches, inside: to the gateway there is no such address.
func (s *Set) ServeHTTP(w http.ResponseWriter, r *http.Request) { Join(s).ServeHTTP(w, r) }

// Join answers the metrics of several sets, whose names differ.
func Join(sets ...*Set) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header.Values(gatewayHeader)) > 0 {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		b := make([]byte, 0, 16<<10)
		for _, s := range sets {
			b = s.Append(b)
		}
		_, _ = w.Write(b) // whoever asked has gone
	})
}

// labelText is the labels as they are written, without braces.
func labelText(names, values []string) string {
	if len(names) != len(values) {
		panic("metrics: " + strconv.Itoa(len(values)) + " values for the labels " + strings.Join(names, ", "))
	}
	if len(names) == 0 {
		return ""
	}
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(name)
		b.WriteString(`="`)
		for _, r := range strings.ToValidUTF8(values[i], "\uFFFD") {
			switch r {
			case '\\', '"':
				b.WriteByte('\\')
				b.WriteRune(r)
			case '\n':
				b.WriteString(`\n`)
			default:
				b.WriteRune(r)
			}
		}
		b.WriteByte('"')
	}
	return b.String()
}

func line(b []byte, name, labels string, value []byte) []byte {
	b = append(b, name...)
	if labels != "" {
		b = append(append(append(b, '{'), labels...), '}')
	}
	return append(append(append(b, ' '), value...), '\n')
}
