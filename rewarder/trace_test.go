package rewarder

import (
	"testing"

	"github.com/IBM/sarama"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
)

func batchOf(trace string) *batch {
	headers := []*sarama.RecordHeader{
		{Key: []byte(record.HeaderFormat), Value: []byte("1")},
		{Key: []byte(record.HeaderSource), Value: []byte("upload:a")},
	}
	if trace != "" {
		headers = append(headers, nil, &sarama.RecordHeader{Key: []byte(record.HeaderTrace), Value: []byte(trace)})
	}
	b := &batch{}
	for i := range 500 {
		b.messages = append(b.messages, &sarama.ConsumerMessage{Offset: int64(i), Headers: headers})
	}
	return b
}

// TestWhatIsNotTracedCostsNoAllocation: of a million transactions a handful are traced.
func TestWhatIsNotTracedCostsNoAllocation(t *testing.T) {
	seen := tracetest.NewInMemoryExporter()
	traces := tracing.New("rewarder", 1, sdktrace.NewSimpleSpanProcessor(seen))
	for name, header := range map[string]string{"without a trace": "", "not recorded": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"} {
		c := &claim{r: &rewarder{traces: traces.Tracer()}}
		b := batchOf(header)
		if n := testing.AllocsPerRun(20, func() {
			s := c.trace(b)
			c.storing(s)
			s.stored(nil)
			s.end(nil)
		}); n != 0 {
			t.Errorf("%s: %v allocations for 500 records", name, n)
		}
	}
	if n := len(seen.GetSpans()); n != 0 {
		t.Errorf("%d spans", n)
	}
	c := &claim{r: &rewarder{traces: traces.Tracer()}}
	s := c.trace(batchOf("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	s.end(nil)
	if n := len(seen.GetSpans()); n != 500 {
		t.Errorf("%d spans of 500 records that are traced", n)
	}
	c.r.traces = nil
	if s := c.trace(batchOf("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")); s != nil {
		t.Error("spans without a tracer")
	}
}
