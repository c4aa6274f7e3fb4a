package uploads

import (
	"bytes"
	"context"
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
	errRoute      = failure{status: http.StatusNotFound, code: "not_found", message: "there is no such route"}
	errMethod     = failure{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "this method is not allowed here"}
	errNoToken    = failure{status: http.StatusUnauthorized, code: "no_token", message: "sign in first: the request has no token"}
	errBadToken   = failure{status: http.StatusUnauthorized, code: "invalid_token", message: "sign in again: the token is not valid, or no longer"}
	errEnded      = failure{status: http.StatusUnauthorized, code: "session_ended", message: "sign in again: the session has ended"}
	errForbidden  = failure{status: http.StatusForbidden, code: "forbidden", message: "your account may not do this"}
	errPassword   = failure{status: http.StatusForbidden, code: "password_change_required", message: "change the first password before anything else"}
	errTOTP       = failure{status: http.StatusForbidden, code: "totp_required", message: "set up the second factor before anything else"}
	errNotFound   = failure{status: http.StatusNotFound, code: "not_found", message: "there is no upload with this id"}
	errNotYours   = failure{status: http.StatusForbidden, code: "not_yours", message: "another account began this upload; only that one, or an admin, can complete it"}
	errNoParts    = failure{status: http.StatusConflict, code: "no_parts", message: "this upload does not come in parts: PUT the file to its URL, and that is all"}
	errComplete   = failure{status: http.StatusConflict, code: "already_complete", message: "this upload has been completed already, or its parts were given up; if there is no report, ask for a new upload"}
	errBadParts   = failure{status: http.StatusBadRequest, code: "invalid", message: "the parts are not those that were sent: number them from 1 on, with the ETag that each PUT answered, each but the last of the size that was said"}
	errTooLarge   = failure{status: http.StatusRequestEntityTooLarge, code: "too_large", message: "the body has more than 2 MiB"}
	errNoBody     = failure{status: http.StatusBadRequest, code: "no_body", message: "the request has no body"}
	errNotJSON    = failure{status: http.StatusBadRequest, code: "not_json", message: "the body is not valid JSON"}
	errNoKeys     = failure{status: http.StatusServiceUnavailable, code: "keys_unavailable", message: "who calls cannot be verified just now; send the same again in a few seconds"}
	errNoProfiler = failure{status: http.StatusServiceUnavailable, code: "accounts_unavailable", message: "your account cannot be looked up just now; send the same again in a few seconds"}
	errNoTime     = failure{status: http.StatusServiceUnavailable, code: "unavailable", message: "this cannot be answered in time just now; send the same again in a few seconds"}
	errInternal   = failure{status: http.StatusInternalServerError, code: "internal", message: "something went wrong on our side; the request id helps to find out what"}
)

// failed is the answer that an error is. The inside of an error that is none of ours is not shown.
func failed(err error) *failure {
	var (
		f      *failure
		fields loyalty.FieldErrors
	)
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.DeadlineExceeded):
		return errNoTime.because(err)
	case !errors.As(err, &fields):
		return errInternal.because(err)
	}
	f = &failure{status: http.StatusBadRequest, code: "invalid", fields: map[string]string{}}
	var words []string
	for _, e := range fields {
		words = append(words, strings.TrimSpace(e.Field+" "+e.Reason))
		if e.Field != "" {
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
func (h *Handler) answer(status int, requestID string, headers map[string]string, v any) events.APIGatewayProxyResponse {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // URLs are full of &
	if err := enc.Encode(v); err != nil {
		panic(err) // texts and numbers
	}
	r := events.APIGatewayProxyResponse{
		StatusCode: status,
		Headers: map[string]string{
			"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store",
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Request-Id": requestID,
		},
		Body: b.String(),
	}
	for k, v := range headers {
		r.Headers[k] = v
	}
	if h.cfg.Portal != "" {
		r.Headers["Access-Control-Allow-Origin"] = h.cfg.Portal
		r.Headers["Access-Control-Expose-Headers"] = "X-Request-Id,X-Upload-Id,Retry-After"
	}
	switch status {
	case http.StatusServiceUnavailable:
		r.Headers["Retry-After"] = "5"
	case http.StatusUnauthorized:
		r.Headers["WWW-Authenticate"] = "Bearer"
	}
	return r
}
