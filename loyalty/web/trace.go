package web

import (
	"context"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/angelowl-loyalties/app/loyalty/tracing"
)

// traced begins the span of a request, in the trace of whoever sent it. Names of attributes are of OpenTelemetry's
// semantic conventions for HTTP.
func traced(c *gin.Context, tracer trace.Tracer) (context.Context, trace.Span) {
	route := c.FullPath()
	ctx := c.Request.Context()
	if route == "" || route == "/health" || route == MetricsPath {
		return ctx, trace.SpanFromContext(context.Background()) // one that does nothing
	}
	return tracer.Start(tracing.From(ctx, c.GetHeader(tracing.Header)), c.Request.Method+" "+route,
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", c.Request.Method), attribute.String("http.route", route)))
}

// endSpan ends it.
func endSpan(span trace.Span, status int) {
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= 500 {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
