package tracing_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/angelowl-loyalties/app/loyalty/tracing"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"

func TestSampled(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, parent + "00": false, parent + "01": true, parent + "02": false, parent + "03": true, parent + "0b": true, parent + "0a": false,
		parent + "0": false, parent + "zz": false, "01" + parent[2:] + "01-more": true, "00": false,
	} {
		if got := tracing.Sampled([]byte(header)); got != want {
			t.Errorf("%q: %t", header, got)
		}
	}
	header := []byte(parent + "01")
	if n := testing.AllocsPerRun(100, func() { tracing.Sampled(header) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWhatIsTraced(t *testing.T) {
	for _, tt := range []struct {
		name, header string
		ratio        tracing.Ratio
		spans        int
	}{
		{"nobody has decided, all are", "", 1, 1},
		{"nobody has decided, none is", "", 0, 0},
		{"it was decided that it is", parent + "01", 0, 1},
		{"it was decided that it is not", parent + "00", 1, 0},
		{"what is no header decides nothing", "owl", 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen := tracetest.NewInMemoryExporter()
			p := tracing.New("owl", tt.ratio, sdktrace.NewSimpleSpanProcessor(seen))
			ctx, span := p.Tracer().Start(tracing.From(t.Context(), tt.header), "a")
			h := http.Header{}
			tracing.Inject(ctx, h)
			span.End()
			if got := seen.GetSpans(); len(got) != tt.spans {
				t.Errorf("%d spans, want %d", len(got), tt.spans)
			}
			if got := h.Get(tracing.Header); tracing.Sampled([]byte(got)) != (tt.spans == 1) || len(got) != len(parent)+2 {
				t.Errorf("passed on: %q", got)
			}
			if want := "0af7651916cd43dd8448eb211c80319c"; tt.header != "" && tt.header != "owl" && tracing.ID(ctx) != want {
				t.Errorf("trace %s, want %s", tracing.ID(ctx), want)
			}
		})
	}
}

func TestWithoutACollector(t *testing.T) {
	p, err := new(tracing.Settings).Open(t.Context(), "owl")
	if p != nil || err != nil {
		t.Fatal(p, err)
	}
	ctx, span := p.Tracer().Start(tracing.From(t.Context(), parent+"01"), "a")
	if span.IsRecording() || tracing.ID(ctx) != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("recording: %t, trace %q", span.IsRecording(), tracing.ID(ctx))
	}
	if _, span := p.Tracer().Start(t.Context(), "a"); span.SpanContext().IsValid() {
		t.Error("a trace begins that nobody records")
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSpansReachTheCollector(t *testing.T) {
	got := make(chan int, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%v %s %s %v", err, r.Method, r.URL, r.Header)
		}
		got <- len(body)
	}))
	defer collector.Close()
	s := tracing.Settings{Endpoint: collector.URL + "/", Ratio: 1}
	p, err := s.Open(context.Background(), "owl")
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.Tracer().Start(t.Context(), "a")
	span.End()
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := <-got; n == 0 {
		t.Error("nothing came")
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	for endpoint, ok := range map[string]bool{"": true, "http://collector:4318": true, "https://otel.example/": true, "collector:4318": false, "grpc://collector": false, "http://u:p@collector": false} {
		if problems := (&tracing.Settings{Endpoint: endpoint}).Check(); (len(problems) == 0) != ok {
			t.Errorf("%s: %v", endpoint, problems)
		}
	}
	for text, ok := range map[string]bool{"0": true, "1": true, "0.25": true, "-0.1": false, "1.1": false, "NaN": false, "": false} {
		var r tracing.Ratio
		if err := r.UnmarshalText([]byte(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
