package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
)

// margin is how long before the invocation's end an answer must be on its way: what the runtime ends
// is answered 502 or 504, and tells nobody what to do.
const margin = 500 * time.Millisecond

// Published is the answer's data. Of a dry run it says that the transaction is valid, and what would
// be queued.
type Published struct {
	ID          uuid.UUID            `json:"id"`
	Valid       bool                 `json:"valid,omitempty"`
	Transaction *loyalty.Transaction `json:"transaction,omitempty"`
}

// Handle takes one transaction. The error is always nil: API Gateway has an answer for whatever goes
// wrong.
func (h *Handler) Handle(ctx context.Context, event events.APIGatewayProxyRequest) (response events.APIGatewayProxyResponse, _ error) {
	started := h.deps.Clock()
	r := &request{event: &event, id: requestID(&event)}
	log := h.deps.Log.With("request_id", r.id)
	tracer := h.deps.Traces.Tracer()
	ctx, span := tracer.Start(tracing.From(ctx, first(header(&event, tracing.Header))), "POST /publish", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", http.MethodPost), attribute.String("http.route", "/publish")))
	if id := tracing.ID(ctx); id != "" {
		log = log.With("trace_id", id)
	}
	var caller token.Claims
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic in the handler", "panic", loyalty.StarPANs(fmt.Sprint(p)), "stack", string(debug.Stack()))
			response = h.answer(errInternal.status, r.id, errorJSON{Error: errInternal.message, Code: errInternal.code})
		}
		span.SetAttributes(attribute.Int("http.response.status_code", response.StatusCode))
		if response.StatusCode >= 500 {
			span.SetStatus(codes.Error, "")
		}
		span.End()
		h.deps.Metrics.Put(map[string]string{"status": strconv.Itoa(response.StatusCode/100) + "xx"},
			metrics.Value{Name: "Requests", Unit: "Count", V: 1},
			metrics.Value{Name: "Duration", Unit: "Milliseconds", V: h.deps.Clock().Sub(started).Milliseconds()})
		log.Info("request", "method", event.HTTPMethod, "path", "/publish", "status", response.StatusCode,
			"duration", h.deps.Clock().Sub(started), "caller", caller.Subject, "dry_run", r.dryRun)
	}()
	wait := h.cfg.Wait
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end)-margin)
	}
	ctx, cancel := context.WithTimeout(profile.WithRequestID(ctx, r.id), wait)
	defer cancel()

	data, status, err := h.take(ctx, r, &caller)
	if err != nil {
		f := failed(err)
		logFailure(log, f)
		return h.answer(f.status, r.id, errorJSON{Error: f.message, Code: f.code, Fields: f.fields}), nil
	}
	return h.answer(status, r.id, struct {
		Data Published `json:"data"`
	}{data}), nil
}

func logFailure(log *slog.Logger, f *failure) {
	if f.cause == nil {
		return
	}
	level := slog.LevelInfo
	if f.status >= 500 {
		level = slog.LevelError
	}
	log.Log(context.Background(), level, "a request failed", "code", f.code, "error", loyalty.StarPANs(f.cause.Error()))
}

// take does what is to be done, in this order: who calls; is the transaction one; may they send it;
// is there room in the daily sum; queue it.
func (h *Handler) take(ctx context.Context, r *request, caller *token.Claims) (Published, int, error) {
	var none Published
	if r.event.HTTPMethod != http.MethodPost {
		return none, 0, &errMethod
	}
	var err error
	if *caller, err = h.identify(ctx, r); err != nil {
		return none, 0, err
	}
	if err := r.readHeaders(); err != nil {
		return none, 0, err
	}
	t, err := r.transaction(caller.Subject, h.cfg.Home)
	if err != nil {
		return none, 0, err
	}
	sum, err := h.mayThey(ctx, caller, &t)
	if err != nil {
		return none, 0, err
	}
	if r.dryRun {
		return Published{ID: t.ID, Valid: true, Transaction: &t}, http.StatusOK, nil
	}
	if sum {
		err := h.deps.Profile.Spend(ctx, caller.Subject, profile.Spend{
			CardID: t.CardID, Date: t.Date, ID: t.ID, Currency: t.Currency, Amount: t.Money().Number(),
		})
		if err := h.profilers(err); err != nil {
			return none, 0, err
		}
	}
	m := kafkaconn.Transaction(h.cfg.Topic, &t, []byte(record.SourceAccount+caller.Subject),
		sarama.RecordHeader{Key: []byte(record.HeaderRequestID), Value: []byte(r.id)})
	if err := h.produce(ctx, m); err != nil {
		return none, 0, errNoKafka.because(err)
	}
	return Published{ID: t.ID}, http.StatusAccepted, nil
}

// produce sends a transaction, in a span of its own. The record says of which trace it is where that is recorded: most
// are not, and their records stay as they were.
func (h *Handler) produce(ctx context.Context, m *sarama.ProducerMessage) error {
	ctx, span := h.deps.Traces.Tracer().Start(ctx, "send "+m.Topic, trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attribute.String("messaging.system", "kafka"), attribute.String("messaging.operation.type", "send"),
			attribute.String("messaging.destination.name", m.Topic)))
	defer span.End()
	if span.SpanContext().IsSampled() && span.IsRecording() {
		m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(record.HeaderTrace), Value: []byte(tracing.Of(ctx))})
	}
	err := h.queue.send(ctx, m)
	if err != nil {
		span.SetStatus(codes.Error, "")
	}
	return err
}

// first is the only one of some values, "" where there is none or several.
func first(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// identify says who calls. What the gateway's authorizer said is not relied on.
func (h *Handler) identify(ctx context.Context, r *request) (token.Claims, error) {
	values := header(r.event, "Authorization")
	if len(values) == 0 {
		return token.Claims{}, &errNoToken
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return token.Claims{}, &errBadToken
	}
	c, err := h.deps.Verifier.Verify(ctx, strings.TrimSpace(raw))
	switch {
	case errors.Is(err, token.ErrUnavailable):
		return token.Claims{}, errNoKeys.because(err)
	case err != nil:
		return token.Claims{}, errBadToken.because(err)
	}
	switch {
	case c.Role != token.Merchant && c.Role != token.Bank && c.Role != token.Admin:
		return c, &errForbidden
	case c.Must == token.MustChangePassword:
		return c, &errPassword
	case c.Must != token.MustNothing:
		return c, &errTOTP
	}
	return c, nil
}

// mayThey looks at the account behind the token, and says whether the transaction has to be counted
// against a daily sum.
func (h *Handler) mayThey(ctx context.Context, c *token.Claims, t *loyalty.Transaction) (bool, error) {
	if c.Role != token.Merchant {
		s, err := h.deps.Profile.Session(ctx, c.Subject)
		if err := h.profilers(err); err != nil {
			return false, err
		}
		if s.Locked || s.Role != c.Role || s.Version != c.Session {
			return false, &errEnded
		}
		return false, nil
	}
	m, err := h.limits.of(ctx, c.Subject)
	if err := h.profilers(err); err != nil {
		return false, err
	}
	switch {
	case m.Locked || m.Role != token.Merchant:
		return false, &errEnded
	case h.cfg.RequireLimits && !limited(m.Limits):
		return false, &errNoLimits
	case m.Limits == nil:
		return false, nil
	}
	return len(m.Limits.DailySums) > 0, within(m.Limits, t)
}

// profilers is an error of profiler's as the caller may know it.
func (h *Handler) profilers(err error) error {
	var refused *profile.Refused
	switch {
	case err == nil:
		return nil
	case errors.Is(err, profile.ErrNotFound): // the account was deleted
		return &errEnded
	case errors.As(err, &refused) && refused.Code == codeNotYours:
		return &failure{status: http.StatusForbidden, code: codeNotYours, message: refused.Message, fields: map[string]string{"amount": refused.Message}}
	case errors.As(err, &refused):
		return errInternal.because(fmt.Errorf("profiler refuses (%d %s): %w", refused.Status, refused.Code, err))
	}
	return errNoProfiler.because(err)
}
