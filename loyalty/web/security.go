package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/gin-gonic/gin"
)

// SourceIPHeader is the address of the client as the gateway saw it. Only the gateway sets it: what a
// client sends under that name is replaced there.
const SourceIPHeader = "X-Source-Ip"

// SwaggerRoute is where a service describes itself. Its pages are for browsers, and hold no data.
const SwaggerRoute = "/swagger/*any"

// What browsers are told. An answer is data: no browser may run, frame, sniff or keep it. The pages of
// Swagger UI are of our own files, with styles in the page and pictures in the styles.
const (
	policyOfData    = "default-src 'none'; frame-ancestors 'none'"
	policyOfSwagger = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	hsts = "max-age=31536000" // a year; of this very host, since the rest of the domain is not ours
)

// SecurityHeaders are the names of the headers that every answer has, Strict-Transport-Security only
// where it came by TLS (RFC 6797, 7.2), to us or to the gateway.
var SecurityHeaders = []string{
	"X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy", "Cache-Control", "Strict-Transport-Security",
}

// secure writes them.
func secure(h http.Header, r *http.Request, policy string) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		h.Set("Strict-Transport-Security", hsts)
	}
}

// sourceIP is the client's address, or "".
func sourceIP(r *http.Request) string {
	if ip, err := netip.ParseAddr(r.Header.Get(SourceIPHeader)); err == nil && ip.Zone() == "" {
		return ip.String()
	}
	return ""
}

// SecurityEvent logs what whoever watches over the system wants to know, under its name and with who
// called and from where. docs/security-events.md lists the names.
func SecurityEvent(ctx context.Context, name string, attrs ...slog.Attr) {
	caller := CallerOf(ctx)
	source, _ := ctx.Value(sourceKey).(string)
	all := append([]slog.Attr{
		slog.String("security_event", name), slog.String("caller", caller.ID), slog.String("role", string(caller.Role)), slog.String("source_ip", source),
	}, attrs...)
	Log(ctx).LogAttrs(ctx, slog.LevelInfo, "security event", all...)
}

var (
	errEnded   = &Error{Status: http.StatusUnauthorized, Code: "session_ended", Message: "sign in again: your session has ended"}
	errUnknown = &Error{Status: http.StatusServiceUnavailable, Code: "session_unknown",
		Message: "nothing was changed: whether your session still holds cannot be found out just now; try again in a moment"}
)

// Fresh lets callers pass whose session still holds: whose account is there and not locked, with the
// session version and the role of the token. A token is good for 20 minutes whatever becomes of its
// account, which is enough for reading; whoever writes rules has to be who the token says they are.
// Ask is a profile.Client's Session. It stands behind Allow.
func Fresh(ask func(ctx context.Context, account string) (profile.Session, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx := c.Request.Context()
		caller := CallerOf(ctx)
		now, err := ask(ctx, caller.ID)
		switch missing := errors.Is(err, profile.ErrNotFound); {
		case err != nil && !missing:
			Log(ctx).Error("whether a session holds is unknown", "error", err)
			Fail(c, errUnknown)
		case missing, now.Locked, now.Version != caller.Session, now.Role != caller.Role:
			SecurityEvent(ctx, "session_refused", slog.String("method", c.Request.Method), slog.String("route", c.FullPath()), slog.Bool("locked", now.Locked))
			Fail(c, errEnded)
		default:
			c.Next()
		}
	}
}
