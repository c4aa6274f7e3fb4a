package rewarder

import (
	"context"
	"strconv"

	"github.com/IBM/sarama"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
)

// spans are those of the records of a batch whose traces are recorded; nil for a batch without any, as nearly all are.
// Of each there is one from when the batch is taken until the record is dealt with, and within it one of the write of
// the store, which the batch's rows share.
type spans []rowSpan

type rowSpan struct {
	offset int64
	ctx    context.Context
	whole  trace.Span
	store  trace.Span // nil until the write begins
}

// traceOf is the header of a record whose trace is recorded, or nil.
func traceOf(msg *sarama.ConsumerMessage) []byte {
	for _, h := range msg.Headers {
		if h != nil && string(h.Key) == record.HeaderTrace && tracing.Sampled(h.Value) {
			return h.Value
		}
	}
	return nil
}

// trace begins the spans of a batch.
func (c *claim) trace(b *batch) (out spans) {
	if c.r.traces == nil {
		return nil
	}
	for _, msg := range b.messages {
		header := traceOf(msg)
		if header == nil {
			continue
		}
		ctx, span := c.r.traces.Start(tracing.From(context.Background(), string(header)), "process "+c.r.cfg.Topic,
			trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(
				attribute.String("messaging.system", "kafka"), attribute.String("messaging.operation.type", "process"),
				attribute.String("messaging.destination.name", c.r.cfg.Topic), attribute.String("messaging.destination.partition.id", strconv.Itoa(int(msg.Partition))),
				attribute.Int64("messaging.kafka.offset", msg.Offset), attribute.Int("messaging.batch.message_count", len(b.messages)),
			))
		out = append(out, rowSpan{msg.Offset, ctx, span, nil})
	}
	return out
}

// storing begins the spans of the write of the store.
func (c *claim) storing(s spans) {
	for i := range s {
		_, s[i].store = c.r.traces.Start(s[i].ctx, "put_rewards", trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(attribute.String("db.system.name", "cassandra"), attribute.String("db.operation.name", "put_rewards")))
	}
}

// stored ends those, once all rows are durable; err is that they are not.
func (s spans) stored(err error) {
	for i := range s {
		if s[i].store == nil {
			continue // there was nothing to store
		}
		if err != nil {
			s[i].store.SetStatus(codes.Error, "the partition was given back")
		}
		s[i].store.End()
	}
}

// setAside says of a record that it became a dead letter.
func (s spans) setAside(offset int64, reason string) {
	for i := range s {
		if s[i].offset == offset {
			s[i].whole.SetStatus(codes.Error, reason)
			s[i].whole.SetAttributes(attribute.String("angelowl.dead_letter", reason))
		}
	}
}

// end ends all; err is that the batch is not durable.
func (s spans) end(err error) {
	for i := range s {
		if err != nil {
			s[i].whole.SetStatus(codes.Error, "the partition was given back")
		}
		s[i].whole.End()
	}
}
