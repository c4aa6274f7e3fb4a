// Package tracing follows a request through the system: from the gateway by HTTP (W3C Trace Context) to Kafka, in a
// record's header, to the reward's row. Spans go to a collector by OpenTelemetry's protocol; without one nothing is
// recorded, and logs name the trace of whoever sent one all the same.
//
// A span says what was done and how long it took: methods, routes, statuses, topics, partitions, offsets. Never a path,
// a query, a body, a name or a card's number.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/angelowl-loyalties/app/loyalty/config"
)

// Header carries a trace from one program to the next, by HTTP and in Kafka (W3C Trace Context, 3.2).
const Header = "traceparent"

// Settings say where spans go. Their names are OpenTelemetry's, whose other variables of the exporter
// (OTEL_EXPORTER_OTLP_HEADERS and so on) hold as well.
type Settings struct {
	Endpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT,optional" help:"the collector of traces, http://host:4318 (OTLP by HTTP); default: nothing is traced"`
	Ratio    Ratio  `env:"OTEL_TRACES_SAMPLER_ARG" default:"0.01" help:"how many of the requests that come without a decision are traced, from 0 to 1"`
}

// Ratio is from 0 to 1.
type Ratio float64

// UnmarshalText is encoding's.
func (r *Ratio) UnmarshalText(b []byte) error {
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil || !(v >= 0 && v <= 1) {
		return errors.New("must be a number from 0 to 1")
	}
	*r = Ratio(v)
	return nil
}

// MarshalText is encoding's.
func (r Ratio) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(r), 'f', -1, 64), nil
}

// Check is config.Checker's.
func (s *Settings) Check() []config.Problem {
	if s.Endpoint == "" {
		return nil
	}
	if u, err := url.Parse(s.Endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return []config.Problem{{Name: "OTEL_EXPORTER_OTLP_ENDPOINT", Reason: "must be like http://collector:4318, without a user"}}
	}
	return nil
}

// Provider makes the spans of a program. Its zero value, and nil, make none.
type Provider struct {
	sdk *sdktrace.TracerProvider
	api trace.TracerProvider
}

// New returns a provider that gives spans to a processor: those of requests that come with the decision that they are
// traced, and of the others the share of ratio.
func New(service string, ratio Ratio, processor sdktrace.SpanProcessor) *Provider {
	sdk := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(processor),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(float64(ratio)))),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service))),
	)
	return &Provider{sdk, sdk}
}

// Open returns the provider that settings ask for: nil without a collector. A collector that is away holds nothing up:
// what cannot be sent is dropped.
func (s *Settings) Open(ctx context.Context, service string) (*Provider, error) {
	if s.Endpoint == "" {
		return nil, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimRight(s.Endpoint, "/")+"/v1/traces"))
	if err != nil {
		return nil, fmt.Errorf("preparing to send traces: %w", err)
	}
	return New(service, s.Ratio, sdktrace.NewBatchSpanProcessor(exporter)), nil
}

// Flush sends what there is. A lambda calls it before it freezes.
func (p *Provider) Flush(ctx context.Context) error {
	if p == nil || p.sdk == nil {
		return nil
	}
	return p.sdk.ForceFlush(ctx)
}

// Close sends what there is, and ends.
func (p *Provider) Close(ctx context.Context) error {
	if p == nil || p.sdk == nil {
		return nil
	}
	return p.sdk.Shutdown(ctx)
}

// Done is Close for the end of a program, which waits for some seconds at most, and logs what goes wrong.
func (p *Provider) Done(log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		log.Warn("the last traces could not be sent", "error", err)
	}
}

// Tracer makes spans.
func (p *Provider) Tracer() trace.Tracer {
	if p == nil || p.api == nil {
		return noop.NewTracerProvider().Tracer("")
	}
	return p.api.Tracer("github.com/angelowl-loyalties/app")
}

var w3c propagation.TraceContext

// From is a context with the trace that a header names, if it does.
func From(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return w3c.Extract(ctx, propagation.MapCarrier{Header: traceparent})
}

// Of is the header of a context's trace, "" where there is none.
func Of(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	c := propagation.MapCarrier{}
	w3c.Inject(ctx, c)
	return c[Header]
}

// Inject has a request say of which trace it is.
func Inject(ctx context.Context, h http.Header) {
	if v := Of(ctx); v != "" {
		h.Set(Header, v)
	}
}

// ID is the id of a context's trace, for logs; "" where there is none.
func ID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		return sc.TraceID().String()
	}
	return ""
}

// Sampled says whether a header asks for its trace to be recorded. It does not look at the rest and allocates nothing.
func Sampled(traceparent []byte) bool {
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(traceparent) < length || traceparent[length-3] != '-' {
		return false
	}
	switch last := traceparent[length-1]; {
	case '0' <= last && last <= '9':
		return last&1 == 1
	case 'a' <= last && last <= 'f':
		return (last-'a')&1 == 1
	}
	return false
}
