package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/angelowl-loyalties/app/loyalty"
)

// failure is an answer that is an error: what the caller may know of it.
type failure struct {
	status  int
	code    string            // snake_case, for programs
	message string            // plain words, for people
	fields  map[string]string // what is wrong with each
	cause   error             // for the log
}

func (f *failure) Error() string { return f.message }

// because is the failure with what is behind it, for the log.
func (f failure) because(err error) *failure {
	f.cause = err
	return &f
}

// The words are those of the services' own answers.
var (
	errMethod     = failure{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "only POST is allowed here"}
	errNoToken    = failure{status: http.StatusUnauthorized, code: "no_token", message: "sign in first: the request has no token"}
	errBadToken   = failure{status: http.StatusUnauthorized, code: "invalid_token", message: "sign in again: the token is not valid, or no longer"}
	errEnded      = failure{status: http.StatusUnauthorized, code: "session_ended", message: "sign in again: the session has ended"}
	errForbidden  = failure{status: http.StatusForbidden, code: "forbidden", message: "your account may not do this"}
	errPassword   = failure{status: http.StatusForbidden, code: "password_change_required", message: "change the first password before anything else"}
	errTOTP       = failure{status: http.StatusForbidden, code: "totp_required", message: "set up the second factor before anything else"}
	errNoLimits   = failure{status: http.StatusForbidden, code: codeNotYours, message: "your account has no limits yet, and this bank takes transactions only from merchants that have; ask the bank to set them"}
	errMediaType  = failure{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "send the transaction as application/json, in UTF-8 and not compressed"}
	errTooLarge   = failure{status: http.StatusRequestEntityTooLarge, code: "too_large", message: "the body has more than 65536 bytes; a transaction has a few hundred"}
	errNotText    = failure{status: http.StatusBadRequest, code: "not_json", message: "the body is not valid UTF-8"}
	errNoBody     = failure{status: http.StatusBadRequest, code: "no_body", message: "the request has no body"}
	errNoKeys     = failure{status: http.StatusServiceUnavailable, code: "keys_unavailable", message: "who calls cannot be verified just now; send the same again in a few seconds"}
	errNoProfiler = failure{status: http.StatusServiceUnavailable, code: "accounts_unavailable", message: "what your account may send cannot be looked up just now; nothing was sent; send the same again in a few seconds"}
	errNoKafka    = failure{status: http.StatusServiceUnavailable, code: "log_unavailable", message: "it is not known whether the transaction was taken; send the same again in a few seconds: it counts once"}
	errInternal   = failure{status: http.StatusInternalServerError, code: "internal", message: "something went wrong on our side; the request id helps to find out what"}
)

// retryAfter is how many seconds a sender should wait after a 503.
const retryAfter = "5"

// failed is the answer that an error is. The inside of an error that is none of ours is not shown.
func failed(err error) *failure {
	var (
		f      *failure
		fields loyalty.FieldErrors
		field  *loyalty.FieldError
	)
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &fields):
	case errors.As(err, &field):
		fields = loyalty.FieldErrors{field}
	default:
		return errInternal.because(err)
	}
	f = &failure{status: http.StatusBadRequest, code: "invalid", fields: map[string]string{}}
	var words []string
	for _, e := range fields {
		if e.Field == "" {
			f.code = "not_json" // it is the whole that cannot be read
			words = append(words, e.Reason)
			continue
		}
		words = append(words, e.Field+" "+e.Reason)
		if said, ok := f.fields[e.Field]; ok {
			f.fields[e.Field] = said + "; " + e.Reason
		} else {
			f.fields[e.Field] = e.Reason
		}
	}
	f.message = strings.Join(words, "; ")
	return f
}

type errorJSON struct {
	Error  string            `json:"error"`
	Code   string            `json:"code"`
	Fields map[string]string `json:"fields,omitempty"`
}

// answer is what API Gateway passes on.
func (h *Handler) answer(status int, requestID string, v any) events.APIGatewayProxyResponse {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // texts, flags and a transaction
	}
	r := events.APIGatewayProxyResponse{
		StatusCode: status,
		Headers: map[string]string{
			"Content-Type":            "application/json; charset=utf-8",
			"Cache-Control":           "no-store",
			"X-Content-Type-Options":  "nosniff",
			"X-Frame-Options":         "DENY",
			"Referrer-Policy":         "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			"X-Request-Id":            requestID,
		},
		Body: b.String(),
	}
	if h.cfg.Portal != "" {
		r.Headers["Access-Control-Allow-Origin"] = h.cfg.Portal
		r.Headers["Access-Control-Expose-Headers"] = "X-Request-Id,Retry-After"
	}
	switch status {
	case http.StatusServiceUnavailable:
		r.Headers["Retry-After"] = retryAfter
	case http.StatusUnauthorized:
		r.Headers["WWW-Authenticate"] = "Bearer"
	case http.StatusMethodNotAllowed:
		r.Headers["Allow"] = http.MethodPost
	}
	return r
}
