// Package web is the thin kit of HTTP that every service stands on: one engine with request ids,
// recovery, limits, an access log and identity; one shape of answers; one place where errors
// become statuses; one way to serve and to drain.
package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"
	"slices"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/answer"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
	"github.com/gin-gonic/gin"
)

// MaxBody is the most bytes that a request's body may have unless a route says otherwise.
const MaxBody = 1 << 20

// RequestIDHeader carries a request's id both ways.
const RequestIDHeader = "X-Request-Id"

type options struct {
	identify func(*http.Request) (Caller, error)
	public   []string
	maxBody  int64
	portal   string
	meter    *Meter
	traces   *tracing.Provider
}

// Option changes what New does.
type Option func(*options)

// WithIdentity says who calls. Without it nobody is known, and no Allow lets anybody pass.
func WithIdentity(identify func(*http.Request) (Caller, error)) Option {
	return func(o *options) { o.identify = identify }
}

// WithPublic names the routes, as they are registered, that take whoever comes: nobody is asked who
// calls. It goes for all methods of them.
func WithPublic(routes ...string) Option {
	return func(o *options) { o.public = append(o.public, routes...) }
}

// WithMaxBody is another limit than MaxBody for all routes.
func WithMaxBody(bytes int64) Option { return func(o *options) { o.maxBody = bytes } }

// WithPortal lets scripts of the portal's pages read answers (the CORS protocol of the Fetch standard): API
// Gateway touches no header of what a service answers, so services say so themselves. The gateway
// answers preflights. An origin is like https://portal.example.com; "" is none.
func WithPortal(origin string) Option { return func(o *options) { o.portal = origin } }

// WithTraces has each request traced, and the log say of which trace it is.
func WithTraces(p *tracing.Provider) Option { return func(o *options) { o.traces = p } }

// New returns an engine with GET /health and everything that is alike in all services; routes
// that are added to it know their caller.
func New(log *slog.Logger, opts ...Option) *gin.Engine {
	o := options{identify: nobody, maxBody: MaxBody}
	for _, opt := range opts {
		opt(&o)
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false
	// No address in a header is believed: the gateway is known by its token.
	if err := r.SetTrustedProxies(nil); err != nil {
		panic(err) // only a proxy that cannot be parsed is an error
	}
	r.Use(observe(log, o.meter, o.traces), recovery, LimitBody(o.maxBody))
	if o.portal != "" {
		r.Use(readable(o.portal))
	}
	r.GET("/health", func(c *gin.Context) { JSON(c, http.StatusOK, gin.H{"status": "OK"}) })
	if o.meter != nil {
		r.GET(MetricsPath, gin.WrapH(o.meter.handler()))
	}
	identify := Identify(o.identify)
	r.Use(func(c *gin.Context) {
		if !slices.Contains(o.public, c.FullPath()) {
			identify(c)
		}
	})
	r.NoRoute(func(c *gin.Context) {
		Fail(c, &Error{Status: http.StatusNotFound, Code: "not_found", Message: "there is no such address"})
	})
	r.NoMethod(func(c *gin.Context) {
		Fail(c, &Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: c.Request.Method + " is not allowed here"})
	})
	return r
}

type contextKey int

const (
	logKey contextKey = iota
	requestIDKey
	callerKey
	sourceKey
)

// Log is the logger of a request, which names its id; outside of one it writes nothing.
func Log(ctx context.Context) *slog.Logger {
	if log, ok := ctx.Value(logKey).(*slog.Logger); ok {
		return log
	}
	return slog.New(slog.DiscardHandler)
}

// RequestID is the id of the request, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey).(string)
	return id
}

// observe gives a request its id and its logger, and writes the access log.
func observe(log *slog.Logger, meter *Meter, traces *tracing.Provider) gin.HandlerFunc {
	tracer := traces.Tracer()
	return func(c *gin.Context) {
		start := time.Now()
		defer meter.begin(c)()
		id := c.GetHeader(RequestIDHeader)
		if !saneID(id) {
			id = answer.NewRequestID()
		}
		log := log.With("request_id", id)
		ctx, span := traced(c, tracer)
		defer func() { endSpan(span, c.Writer.Status()) }()
		if trace := tracing.ID(ctx); trace != "" {
			log = log.With("trace_id", trace)
		}
		ctx = context.WithValue(ctx, requestIDKey, id)
		ctx = context.WithValue(profile.WithRequestID(ctx, id), sourceKey, sourceIP(c.Request))
		c.Request = c.Request.WithContext(context.WithValue(ctx, logKey, log))
		c.Header(RequestIDHeader, id)
		policy := policyOfData
		if c.FullPath() == SwaggerRoute {
			policy = policyOfSwagger
		}
		secure(c.Writer.Header(), c.Request, policy)
		defer func() {
			level := slog.LevelInfo
			if c.FullPath() == "/health" || c.FullPath() == MetricsPath {
				level = slog.LevelDebug // probes would drown the rest
			}
			log.Log(ctx, level, "request",
				"method", c.Request.Method,
				"path", loyalty.StarPANs(c.Request.URL.Path), // never the query: it holds what people search for
				"status", c.Writer.Status(),
				"bytes", max(c.Writer.Size(), 0),
				"duration", time.Since(start),
				"caller", CallerOf(c.Request.Context()).ID,
			)
		}()
		c.Next()
	}
}

func saneID(s string) bool {
	if s == "" || len(s) > 64 || loyalty.StarPANs(s) != s { // it goes into logs and into Kafka
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// recovery turns a panic into an answer, or, where an answer has begun, into a connection that
// breaks: half an answer must not look whole.
func recovery(c *gin.Context) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if r == http.ErrAbortHandler {
			c.Abort()
			panic(r)
		}
		Log(c.Request.Context()).Error("panic in a handler",
			"panic", loyalty.StarPANs(fmt.Sprint(r)), "stack", string(debug.Stack()))
		c.Abort()
		if c.Writer.Written() {
			panic(http.ErrAbortHandler)
		}
		writeError(c, errInternal, nil)
	}()
	c.Next()
}

// LimitBody limits the body of the routes it stands before, in place of the engine's limit. A
// longer one is 413.
func LimitBody(bytes int64) gin.HandlerFunc {
	return func(c *gin.Context) {
		body := c.Request.Body
		if limited, ok := body.(*limitedBody); ok {
			body = limited.whole
		}
		if body != nil {
			c.Request.Body = &limitedBody{http.MaxBytesReader(c.Writer, body, bytes), body}
		}
		c.Next()
	}
}

// limitedBody remembers the whole body, so that a route may set another limit.
type limitedBody struct {
	io.ReadCloser
	whole io.ReadCloser
}

// Identify is the one middleware that says who calls. An error of identify is the answer.
func Identify(identify func(*http.Request) (Caller, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		caller, err := identify(c.Request)
		if err != nil {
			Fail(c, err)
			return
		}
		c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), callerKey, caller))
		c.Next()
	}
}

// CallerOf is who sent the request, or the zero Caller.
func CallerOf(ctx context.Context) Caller {
	caller, _ := ctx.Value(callerKey).(Caller)
	return caller
}

// Data answers {"data": v}. A nil slice is an empty list.
func Data(c *gin.Context, status int, v any) {
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Slice && rv.IsNil() {
		v = []struct{}{}
	}
	JSON(c, status, struct {
		Data any `json:"data"`
	}{v})
}

// JSON answers v as it is, for the few routes whose answer has another shape than {"data": …}.
func JSON(c *gin.Context, status int, v any) {
	body, err := encode(v)
	if err != nil {
		Fail(c, fmt.Errorf("encoding the answer: %w", err))
		return
	}
	write(c, status, body)
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func write(c *gin.Context, status int, body []byte) {
	c.Header("Content-Type", "application/json; charset=utf-8")
	c.Status(status)
	if _, err := c.Writer.Write(body); err != nil {
		// The client went away; that is its own business.
		Log(c.Request.Context()).Debug("writing an answer", "error", err)
	}
}
