package signin

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/angelowl-loyalties/app/profiler/password"
)

// How long what is sent may be.
const (
	maxBody  = 16 << 10
	maxEmail = 254 // RFC 5321, 4.5.3.1.3
	maxText  = 1024
)

// fail answers an error; who came to a full queue is told when to come again.
func fail(c *gin.Context, err error) {
	if errors.Is(err, password.ErrBusy) || errors.Is(err, errQueue) {
		c.Header("Retry-After", "5")
	}
	web.Fail(c, err)
}

// text checks one field of a body: it is there, and it can be stored.
func text(errs *loyalty.FieldErrors, field, value string, most int) {
	reason, code := "", ""
	switch {
	case value == "":
		code, reason = "missing", "is missing"
	case utf8.RuneCountInString(value) > most:
		code, reason = "too_long", fmt.Sprintf("is longer than %d characters", most)
	case strings.ContainsFunc(value, unicode.IsControl):
		code, reason = "not_text", "has characters that cannot be typed"
	default:
		return
	}
	*errs = append(*errs, &loyalty.FieldError{Field: field, Code: code, Reason: reason})
}

// pathID is a UUID in the path.
func pathID(c *gin.Context, name string) (string, error) {
	raw := c.Param(name)
	id, err := uuid.Parse(raw)
	if err != nil || len(raw) != 36 {
		return "", web.Invalid(name, "not_a_uuid", "must be a UUID")
	}
	return id.String(), nil
}

// SourceHeader is where the gateway says from which address a request came.
const SourceHeader = "X-Source-Ip"

// source is the address that limits count: of IPv6 the network of 64 bits, which is one customer's.
func source(c *gin.Context) string {
	addr, err := netip.ParseAddr(c.GetHeader(SourceHeader))
	if err != nil {
		at, err := netip.ParseAddrPort(c.Request.RemoteAddr)
		if err != nil {
			return "unknown"
		}
		addr = at.Addr()
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			return network.String()
		}
	}
	return addr.String()
}

// EmailKey is what an email is looked up by: two that differ in case alone are one.
func EmailKey(email string) string { return ruledb.Fold(strings.TrimSpace(email)) }

// The types below describe the API to people and to generators.

// ErrorBody is an answer that is an error.
type ErrorBody struct {
	Error  string            `json:"error" example:"email is missing"`
	Code   string            `json:"code" example:"invalid"`
	Fields map[string]string `json:"fields,omitempty"` // what is wrong with each field
}

// OKAnswer says that it was done.
type OKAnswer struct {
	Data string `json:"data" example:"OK"`
}
