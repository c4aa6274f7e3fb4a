package uploads

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/answer"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// reply is an answer that is none of an error.
type reply struct {
	status  int
	headers map[string]string
	body    any
}

func data(status int, v any) reply {
	return reply{status: status, body: map[string]any{"data": v}}
}

// margin is how long before the invocation's end an answer must be on its way: what the runtime ends
// is answered 502 or 504, and tells nobody what to do.
const margin = 500 * time.Millisecond

// Handle answers one request. The error is always nil: API Gateway has an answer for whatever goes wrong.
func (h *Handler) Handle(ctx context.Context, event events.APIGatewayProxyRequest) (response events.APIGatewayProxyResponse, _ error) {
	started := h.deps.Clock()
	id := requestID(&event)
	log := h.deps.Log.With("request_id", id)
	var caller token.Claims
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic in the handler", "panic", loyalty.StarPANs(fmt.Sprint(p)), "stack", string(debug.Stack()))
			response = h.answer(errInternal.status, id, nil, errorJSON{Error: errInternal.message, Code: errInternal.code})
		}
		log.Info("request", "method", event.HTTPMethod, "path", loyalty.StarPANs(event.Path), "status", response.StatusCode,
			"duration", h.deps.Clock().Sub(started), "caller", caller.Subject)
	}()
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-margin))
		defer cancel()
	}
	r, err := h.route(profile.WithRequestID(ctx, id), &event, &caller)
	if err != nil {
		f := failed(err)
		if f.cause != nil {
			level := slog.LevelInfo
			if f.status >= 500 {
				level = slog.LevelError
			}
			log.Log(ctx, level, "a request failed", "code", f.code, "error", loyalty.StarPANs(f.cause.Error()))
		}
		return h.answer(f.status, id, nil, errorJSON{f.message, f.code, f.fields}), nil
	}
	return h.answer(r.status, id, r.headers, r.body), nil
}

func (h *Handler) route(ctx context.Context, e *events.APIGatewayProxyRequest, caller *token.Claims) (reply, error) {
	parts := strings.Split(strings.Trim(e.Path, "/"), "/")
	type handler = func(context.Context, *events.APIGatewayProxyRequest, *token.Claims) (reply, error)
	var methods map[string]handler
	switch {
	case e.Path == "/publish/presigned":
		methods = map[string]handler{http.MethodGet: h.presigned(upload.Spend)}
	case e.Path == "/user/presigned":
		methods = map[string]handler{http.MethodGet: h.presigned(upload.Users)}
	case e.Path == "/upload":
		methods = map[string]handler{http.MethodGet: h.list, http.MethodPost: h.create}
	case parts[0] == "upload" && len(parts) == 2:
		methods = map[string]handler{http.MethodGet: withID(parts[1], h.one)}
	case parts[0] == "upload" && len(parts) == 3 && parts[2] == "complete":
		methods = map[string]handler{http.MethodPost: withID(parts[1], h.complete)}
	default:
		return reply{}, &errRoute
	}
	do, ok := methods[e.HTTPMethod]
	if !ok {
		return reply{}, &errMethod
	}
	// A URL is as good as a write.
	writes := e.HTTPMethod != http.MethodGet || parts[len(parts)-1] == "presigned"
	var err error
	if *caller, err = h.identify(ctx, e, writes); err != nil {
		return reply{}, err
	}
	return do(ctx, e, caller)
}

func withID(id string, f func(context.Context, *events.APIGatewayProxyRequest, string, *token.Claims) (reply, error)) func(context.Context, *events.APIGatewayProxyRequest, *token.Claims) (reply, error) {
	return func(ctx context.Context, e *events.APIGatewayProxyRequest, caller *token.Claims) (reply, error) {
		u, err := uuid.Parse(id)
		if err != nil || len(id) != 36 {
			return reply{}, &errNotFound
		}
		return f(ctx, e, u.String(), caller)
	}
}

// identify says who calls. What the gateway's authorizer said is not relied on.
func (h *Handler) identify(ctx context.Context, e *events.APIGatewayProxyRequest, writes bool) (token.Claims, error) {
	values := header(e, "Authorization")
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
		return c, errNoKeys.because(err)
	case err != nil:
		return c, errBadToken.because(err)
	case c.Role != token.Bank && c.Role != token.Admin:
		return c, &errForbidden
	case c.Must == token.MustChangePassword:
		return c, &errPassword
	case c.Must != token.MustNothing:
		return c, &errTOTP
	case !writes || h.deps.Sessions == nil:
		return c, nil
	}
	s, err := h.deps.Sessions.Session(ctx, c.Subject)
	switch {
	case errors.Is(err, profile.ErrNotFound):
		return c, &errEnded
	case err != nil:
		return c, errNoProfiler.because(err)
	case s.Locked || s.Role != c.Role || s.Version != c.Session:
		return c, &errEnded
	}
	return c, nil
}

// header returns the values of a header, whose name may be written in any case.
func header(e *events.APIGatewayProxyRequest, name string) []string {
	var out []string
	for k, values := range e.MultiValueHeaders {
		if strings.EqualFold(k, name) {
			out = append(out, values...)
		}
	}
	for k, v := range e.Headers {
		if out == nil && strings.EqualFold(k, name) {
			return []string{v}
		}
	}
	return out
}

// requestID is what the gateway calls the request.
func requestID(e *events.APIGatewayProxyRequest) string {
	if id := e.RequestContext.RequestID; id != "" {
		return id
	}
	return answer.NewRequestID()
}

// maxBody is the most bytes that a body may have: the ETags of 10,000 parts.
const maxBody = 2 << 20

// bind reads the body, one JSON value, into v.
func bind(e *events.APIGatewayProxyRequest, v any) error {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return &errNotJSON
		}
	}
	switch {
	case len(body) > maxBody:
		return &errTooLarge
	case strings.TrimSpace(string(body)) == "":
		return &errNoBody
	}
	if !utf8.Valid(body) || bytes.ContainsRune(body, utf8.RuneError) { // the latter is what a gateway makes of bytes that are no text
		return &errNotJSON
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			return &errNotJSON
		}
	}
	if name, ok := upload.UnknownField(err); ok {
		return wrong(name, "unknown_field", "is not a field of this request")
	}
	var (
		fields loyalty.FieldErrors
		typed  *json.UnmarshalTypeError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &fields):
		for _, f := range fields { // of the control totals alone
			f.Field = strings.TrimSuffix("control."+f.Field, ".")
		}
		return fields
	case errors.As(err, &typed) && typed.Field != "":
		return wrong(typed.Field, "wrong_type", "cannot be a JSON "+typed.Value)
	}
	return errNotJSON.because(err)
}

func wrong(field, code, reason string) error {
	return loyalty.FieldErrors{{Field: field, Code: code, Reason: reason}}
}
