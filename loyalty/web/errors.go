package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/answer"
	"github.com/gin-gonic/gin"
)

// Error is an answer that is an error: what the caller may know of it.
type Error = answer.Error

var errInternal = &Error{Status: http.StatusInternalServerError, Code: "internal", Message: "something went wrong on our side; the request id helps to find out what"}

// statusClientGone is what the access log shows where nobody was left to answer, as nginx does.
const statusClientGone = 499

// Invalid is a loyalty.FieldErrors of one field.
func Invalid(field, code, format string, args ...any) error {
	return loyalty.FieldErrors{{Field: field, Code: code, Reason: fmt.Sprintf(format, args...)}}
}

// CheckText says what is wrong with a parameter that is any text, of so many characters at most.
func CheckText(field, text string, most int) error {
	switch {
	case !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0:
		return Invalid(field, "not_text", "is not text")
	case utf8.RuneCountInString(text) > most:
		return Invalid(field, "too_long", "has more than %d characters", most)
	}
	return nil
}

// Fail answers an error and ends the request: a loyalty.FieldErrors (or *loyalty.FieldError) is
// 400 "invalid" with its fields, an *Error is as it says, and anything else is 500 "internal",
// whose inside is logged and not shown.
func Fail(c *gin.Context, err error) {
	c.Abort()
	var (
		answer  *Error
		fields  loyalty.FieldErrors
		field   *loyalty.FieldError
		tooLong *http.MaxBytesError
	)
	switch {
	case errors.As(err, &answer):
		if answer.Status >= 500 && err.Error() != answer.Message { // what is behind it is for us
			Log(c.Request.Context()).Warn("a request failed", "error", loyalty.StarPANs(err.Error()))
		}
		writeError(c, answer, nil)
	case errors.As(err, &fields):
		failFields(c, fields)
	case errors.As(err, &field):
		failFields(c, loyalty.FieldErrors{field})
	case errors.As(err, &tooLong):
		writeError(c, &Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: fmt.Sprintf("the body has more than %d bytes", tooLong.Limit)}, nil)
	case c.Request.Context().Err() != nil && errors.Is(err, context.Canceled):
		c.Status(statusClientGone)
	default:
		Log(c.Request.Context()).Error("a request failed", "error", loyalty.StarPANs(err.Error()))
		if c.Writer.Written() {
			panic(http.ErrAbortHandler) // half an answer must not look whole
		}
		writeError(c, errInternal, nil)
	}
}

func failFields(c *gin.Context, errs loyalty.FieldErrors) {
	fields := make(map[string]string, len(errs))
	var words []string
	for _, e := range errs {
		if e.Field == "" {
			words = append(words, e.Reason)
			continue
		}
		words = append(words, e.Field+" "+e.Reason)
		if said, ok := fields[e.Field]; ok {
			fields[e.Field] = said + "; " + e.Reason
		} else {
			fields[e.Field] = e.Reason
		}
	}
	writeError(c, &Error{Status: http.StatusBadRequest, Code: "invalid", Message: strings.Join(words, "; ")}, fields)
}

func writeError(c *gin.Context, e *Error, fields map[string]string) {
	body, err := encode(struct {
		Error  string            `json:"error"`
		Code   string            `json:"code"`
		Fields map[string]string `json:"fields,omitempty"`
	}{e.Message, e.Code, fields})
	if err != nil {
		panic(err) // texts always encode
	}
	header := c.Writer.Header()
	if e.Status == http.StatusUnauthorized && header.Get("WWW-Authenticate") == "" {
		header.Set("WWW-Authenticate", "Bearer") // RFC 9110, 15.5.2
	}
	if e.Status == http.StatusServiceUnavailable && header.Get("Retry-After") == "" {
		header.Set("Retry-After", "5")
	}
	write(c, e.Status, body)
}

// Bind reads the request's body into v: one JSON object of v's fields and no others, or, where v reads
// JSON by itself, one JSON value. What a client sends back of an answer, and may not write, is named in
// ignored. Bind's errors are for Fail.
func Bind(c *gin.Context, v any, ignored ...string) error {
	if c.Request.Body == nil {
		return &Error{Status: http.StatusBadRequest, Code: "no_body", Message: "the request has no body"}
	}
	body, err := io.ReadAll(c.Request.Body)
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return err
	case err != nil:
		return &Error{Status: http.StatusBadRequest, Code: "no_body", Message: "the request's body broke off"}
	case len(bytes.TrimSpace(body)) == 0:
		return &Error{Status: http.StatusBadRequest, Code: "no_body", Message: "the request has no body"}
	case !utf8.Valid(body):
		return &Error{Status: http.StatusBadRequest, Code: "not_json", Message: "the body is not valid UTF-8"}
	}
	err = json.Unmarshal(body, v)
	var (
		fields loyalty.FieldErrors
		field  *loyalty.FieldError
		syntax *json.SyntaxError
		typed  *json.UnmarshalTypeError
	)
	switch {
	case err == nil:
		return onlyFields(body, v, ignored)
	case errors.As(err, &fields), errors.As(err, &field):
		return err
	case errors.As(err, &syntax):
		return &Error{Status: http.StatusBadRequest, Code: "not_json", Message: fmt.Sprintf("the body is not valid JSON at byte %d: %s", syntax.Offset, loyalty.StarPANs(syntax.Error()))}
	case errors.As(err, &typed) && typed.Field == "":
		return &Error{Status: http.StatusBadRequest, Code: "not_json", Message: "the body must be another JSON value than a " + typed.Value}
	case errors.As(err, &typed):
		return Invalid(typed.Field, "wrong_type", "cannot be a JSON %s", typed.Value)
	}
	return &Error{Status: http.StatusBadRequest, Code: "not_json", Message: "the body cannot be read: " + loyalty.StarPANs(err.Error())}
}

// onlyFields refuses what v would have passed over. The body is valid JSON.
func onlyFields(body []byte, v any, ignored []string) error {
	if _, itself := v.(json.Unmarshaler); itself {
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return &Error{Status: http.StatusBadRequest, Code: "not_json", Message: "the body must be a JSON object"}
	}
	if len(ignored) > 0 {
		for _, name := range ignored {
			delete(fields, name)
		}
		var err error
		if body, err = json.Marshal(fields); err != nil {
			return fmt.Errorf("reading a body: %w", err)
		}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		return nil
	}
	name, ok := strings.CutPrefix(err.Error(), "json: unknown field ")
	if !ok {
		return fmt.Errorf("reading a body: %w", err)
	}
	name = loyalty.StarPANs(strings.Trim(name, `"`))
	if r := []rune(name); len(r) > 40 {
		name = string(r[:40]) + "…"
	}
	return Invalid(name, "unknown_field", "is not a field of this request")
}
