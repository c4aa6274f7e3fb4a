// Package redact keeps secrets and card numbers out of logs. All programs log through its Handler, so
// that no call has to remember to.
package redact

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
)

// Handler returns a handler that writes records to next after it has starred what nobody may read:
//
//   - a config.Secret, wherever it stands: in a group, behind a pointer, in a struct that is logged;
//   - in texts, errors and whatever else is written as a text or as JSON: card numbers but for their
//     last four digits (loyalty.StarPANs), tokens (the three parts of a JWS, RFC 7515) and what follows
//     the word Bearer.
//
// The message is a text too. Numbers, times and the names of attributes are left as they are.
func Handler(next slog.Handler) slog.Handler { return handler{next} }

type handler struct{ next slog.Handler }

// Enabled is slog.Handler's.
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle is slog.Handler's.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, Text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(attr(a))
		return true
	})
	return h.next.Handle(ctx, out)
}

// WithAttrs is slog.Handler's.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.next.WithAttrs(all(attrs))}
}

// WithGroup is slog.Handler's.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.next.WithGroup(name)} }

func all(attrs []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(attrs))
	for i := range attrs {
		out[i] = attr(attrs[i])
	}
	return out
}

func attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		v = slog.StringValue(Text(v.String()))
	case slog.KindGroup:
		v = slog.GroupValue(all(v.Group())...)
	case slog.KindAny:
		v = value(v.Any())
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// value is what is written of a value of any type.
func value(x any) slog.Value {
	switch x := x.(type) {
	case nil:
		return slog.AnyValue(nil)
	case *config.Secret:
		return slog.StringValue(config.Secret{}.String())
	case error:
		if v := reflect.ValueOf(x); v.Kind() == reflect.Pointer && v.IsNil() {
			return slog.StringValue(fmt.Sprintf("%v", x)) // fmt outlives an Error that does not
		}
		return slog.StringValue(Text(x.Error()))
	case []byte:
		return slog.StringValue(Text(string(x)))
	}
	plain, err := json.Marshal(x)
	if err != nil {
		return slog.StringValue(Text(fmt.Sprintf("%+v", x)))
	}
	if starred := Text(string(plain)); starred != string(plain) {
		return slog.StringValue(starred) // starred, it may be JSON no longer
	}
	return slog.AnyValue(json.RawMessage(plain))
}

const stars = "***"

var (
	// jws is three parts of base64url, the first of which begins like a JSON object: with {" or with
	// { and white space.
	jws    = regexp.MustCompile(`e(?:y[A-DI-L]|w[k-r0-3])[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*`)
	bearer = regexp.MustCompile(`(?i)(\bbearer[ :=]+)[A-Za-z0-9._~+/=-]{8,}`)
)

// Text stars what nobody may read in a text.
func Text(s string) string {
	if strings.Count(s, ".") >= 2 {
		s = jws.ReplaceAllString(s, stars)
	}
	if len(s) > len("bearer ") {
		s = bearer.ReplaceAllString(s, "${1}"+stars)
	}
	return loyalty.StarPANs(s)
}
