//go:build unix

package seeing_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
)

// The trace of whoever sends a transaction, and their span.
const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	spanID  = "b7ad6b7169203331"
)

// wantSpan is a span as it has to be.
type wantSpan struct {
	parent     string // the name of the span that it is a part of
	kind       trace.SpanKind
	attributes []attribute.KeyValue
	status     codes.Code
}

// TestOneTraceFromPublishToTheRow follows a transaction: POST /publish, what it asks profiler, the record in Kafka, the
// rewarder, the write of the row.
func TestOneTraceFromPublishToTheRow(t *testing.T) {
	seen := tracetest.NewInMemoryExporter()
	traces := tracing.New("angelowl", 0, sdktrace.NewSimpleSpanProcessor(seen)) // nothing but what somebody asks for
	start(t, func(c *stack.Config) { c.Traces = traces }, func(w *world) {
		const card = "0d1e2f3a-aaaa-4bbb-8ccc-eeeeeeeeeeee"
		// Once without a trace: publish-single signs in at profiler, and remembers that.
		w.publish("scis_platinummiles", card, "0d1e2f3a-aaaa-4bbb-8ccc-eeeeeeeeeeee")
		w.eventually("the first row is stored", func() bool { return w.rows() == 1 })
		w.publish("scis_platinummiles", card, "1d1e2f3a-aaaa-4bbb-8ccc-eeeeeeeeeeee", tracing.Header, "00-"+traceID+"-"+spanID+"-01")
		const send, process, put = "send transaction", "process transaction", "put_rewards"
		w.eventually("the row's span has ended", func() bool { return find(seen, process) != nil })

		want := map[string]wantSpan{
			"POST /publish": {spanID, trace.SpanKindServer, []attribute.KeyValue{attribute.String("http.route", "/publish"), attribute.Int("http.response.status_code", 202)}, codes.Unset},
			"GET /internal/session/:id": {"POST /publish", trace.SpanKindServer,
				[]attribute.KeyValue{attribute.Int("http.response.status_code", 200)}, codes.Unset},
			send:    {"POST /publish", trace.SpanKindProducer, []attribute.KeyValue{attribute.String("messaging.destination.name", "transaction")}, codes.Unset},
			process: {send, trace.SpanKindConsumer, []attribute.KeyValue{attribute.String("messaging.destination.name", "transaction")}, codes.Unset},
			put:     {process, trace.SpanKindClient, []attribute.KeyValue{attribute.String("db.operation.name", "put_rewards")}, codes.Unset},
		}
		w.compare(seen, want)
		// The row is there, and the log names the trace.
		row := find(seen, put)
		if whole := find(seen, process); row.EndTime.After(whole.EndTime) || row.StartTime.Before(whole.StartTime) {
			w.t.Errorf("the write of %s to %s is not within the row's %s to %s", row.StartTime, row.EndTime, whole.StartTime, whole.EndTime)
		}
		for _, service := range []string{"publish-single", "profiler"} {
			if !slices.ContainsFunc(strings.Split(w.log.String(), "\n"), func(line string) bool {
				var l struct {
					Service string `json:"service"`
					Trace   string `json:"trace_id"`
					Request string `json:"request_id"`
				}
				return json.Unmarshal([]byte(line), &l) == nil && l.Service == service && l.Trace == traceID && l.Request != ""
			}) {
				w.t.Errorf("%s logs no request of the trace", service)
			}
		}

		// One that is set aside says so.
		seen.Reset()
		w.publish("no_such_card_type", card, "2d1e2f3a-aaaa-4bbb-8ccc-eeeeeeeeeeee", tracing.Header, "00-"+traceID+"-"+spanID+"-01")
		w.eventually("the dead letter's span has ended", func() bool { return find(seen, process) != nil })
		want[process] = wantSpan{send, trace.SpanKindConsumer, []attribute.KeyValue{attribute.String("angelowl.dead_letter", "unknown_card_type")}, codes.Error}
		delete(want, put)
		w.compare(seen, want)

		// What nobody asks to be traced leaves nothing, on the wire neither.
		seen.Reset()
		rows := w.rows()
		w.publish("scis_platinummiles", card, "3d1e2f3a-aaaa-4bbb-8ccc-eeeeeeeeeeee", tracing.Header, "00-"+traceID+"-"+spanID+"-00")
		w.eventually("the row is stored", func() bool { return w.rows() == rows+1 })
		if got := seen.GetSpans(); len(got) != 0 {
			w.t.Errorf("%d spans, the first %q", len(got), got[0].Name)
		}
	})
	if err := traces.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// rows is how many rows the rewarders have stored.
func (w *world) rows() (n int) {
	w.t.Helper()
	answers, err := w.Metrics(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, text := range answers {
		for line := range strings.Lines(text) {
			if value, ok := strings.CutPrefix(line, "angelowl_rewarder_rows_total "); ok {
				var more int
				if err := json.Unmarshal([]byte(value), &more); err != nil {
					w.t.Fatal(err)
				}
				n += more
			}
		}
	}
	return n
}

func find(seen *tracetest.InMemoryExporter, name string) *tracetest.SpanStub {
	for _, s := range seen.GetSpans() {
		if s.Name == name {
			return &s
		}
	}
	return nil
}

// compare holds that the trace has these spans and no others.
func (w *world) compare(seen *tracetest.InMemoryExporter, want map[string]wantSpan) {
	w.t.Helper()
	ids := map[string]string{spanID: spanID} // by name
	for _, s := range seen.GetSpans() {
		if _, twice := ids[s.Name]; twice {
			w.t.Errorf("two spans are %q", s.Name)
		}
		ids[s.Name] = s.SpanContext.SpanID().String()
	}
	for name := range want {
		if ids[name] == "" {
			w.t.Errorf("there is no span %q", name)
		}
	}
	for _, s := range seen.GetSpans() {
		e, ok := want[s.Name]
		if !ok {
			w.t.Errorf("unexpected: %q", s.Name)
			continue
		}
		if s.SpanContext.TraceID().String() != traceID {
			w.t.Errorf("%q is of trace %s", s.Name, s.SpanContext.TraceID())
		}
		if s.Parent.SpanID().String() != ids[e.parent] {
			w.t.Errorf("%q is a part of %s, want %q, %s", s.Name, s.Parent.SpanID(), e.parent, ids[e.parent])
		}
		if s.SpanKind != e.kind || s.Status.Code != e.status {
			w.t.Errorf("%q is of kind %s, status %s; want %s, %s", s.Name, s.SpanKind, s.Status.Code, e.kind, e.status)
		}
		for _, a := range e.attributes {
			if !slices.Contains(s.Attributes, a) {
				w.t.Errorf("%q has not %s=%s: %v", s.Name, a.Key, a.Value.String(), s.Attributes)
			}
		}
		for _, a := range s.Attributes {
			if text := a.Value.String(); strings.Contains(text, "1881") || strings.Contains(text, "Grocer") || strings.Contains(text, "Bearer") {
				w.t.Errorf("%q tells of what was bought: %s", s.Name, a.Key)
			}
		}
	}
}
