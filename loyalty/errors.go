package loyalty

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// FieldError says what is wrong with one field of an input, in words for the person who sent it.
type FieldError struct {
	Field  string `json:"field"`  // the wire name, such as "transaction_date"
	Code   string `json:"code"`   // snake_case, for counting and for programs
	Reason string `json:"reason"` // plain words; PANs in it are starred
}

func (e *FieldError) Error() string {
	if e.Field == "" {
		return e.Reason
	}
	return e.Field + ": " + e.Reason
}

// FieldErrors are all that is wrong with one input, in the order of its fields. Match one with
// errors.As to a FieldErrors, or its first to a *FieldError.
type FieldErrors []*FieldError

func (e FieldErrors) Error() string {
	parts := make([]string, len(e))
	for i, f := range e {
		parts[i] = f.Error()
	}
	return strings.Join(parts, "; ")
}

// Unwrap lets errors.As find the first *FieldError.
func (e FieldErrors) Unwrap() []error {
	out := make([]error, len(e))
	for i, f := range e {
		out[i] = f
	}
	return out
}

// Add appends err, a *FieldError, a FieldErrors or nil. Any other error is named for field.
func (e *FieldErrors) Add(field string, err error) {
	switch v := err.(type) {
	case nil:
	case *FieldError:
		if v != nil {
			*e = append(*e, v)
		}
	case FieldErrors:
		*e = append(*e, v...)
	default:
		*e = append(*e, &FieldError{Field: field, Code: "invalid", Reason: StarPANs(err.Error())})
	}
}

// Err is nil when nothing was added.
func (e FieldErrors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

func invalid(field, code, format string, args ...any) *FieldError {
	return &FieldError{Field: field, Code: code, Reason: fmt.Sprintf(format, args...)}
}

// quote shows an input in an error: quoted, PANs starred, at most 40 characters.
func quote(s string) string {
	s = StarPANs(s)
	if utf8.RuneCountInString(s) > 40 {
		s = string([]rune(s)[:40]) + "…"
	}
	return strconv.Quote(s)
}
