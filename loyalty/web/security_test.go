package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/profile/profiletest"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

// engine has a route for readers, one for writers and its description.
func engine(log io.Writer, opts ...web.Option) *gin.Engine {
	r := web.New(slog.New(slog.NewJSONHandler(log, nil)), opts...)
	r.GET("/read/:id", web.Allow(token.Admin), func(c *gin.Context) { web.Data(c, 200, "read") })
	r.GET("/password", web.AllowMust(token.MustChangePassword, token.Admin), func(c *gin.Context) { web.Data(c, 200, "may change it") })
	r.GET(web.SwaggerRoute, func(c *gin.Context) { c.String(200, "<html>") })
	return r
}

func ask(h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestEveryAnswerTellsBrowsersToKeepOff(t *testing.T) {
	r := engine(io.Discard, web.WithPublic(web.SwaggerRoute))
	for _, tt := range []struct {
		name, method, path string
		status             int
		policy             string
	}{
		{"data", "GET", "/health", 200, "default-src 'none'; frame-ancestors 'none'"},
		{"an error", "GET", "/read/1", 401, "default-src 'none'; frame-ancestors 'none'"},
		{"no such address", "GET", "/nowhere", 404, "default-src 'none'; frame-ancestors 'none'"},
		{"a wrong method", "TRACE", "/read/1", 405, "default-src 'none'; frame-ancestors 'none'"},
		{"a page that describes the service", "GET", "/swagger/index.html", 200, "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := ask(r, tt.method, tt.path)
			if w.Code != tt.status {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
				"Cache-Control": "no-store", "Content-Security-Policy": tt.policy, "Strict-Transport-Security": "",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
	if got := ask(r, "GET", "/health", "X-Forwarded-Proto", "https").Header().Get("Strict-Transport-Security"); got != "max-age=31536000" {
		t.Errorf("behind TLS: %q", got)
	}
}

func TestWithoutIdentityNobodyPasses(t *testing.T) {
	w := ask(engine(io.Discard), "GET", "/read/1")
	if w.Code != 401 || !strings.Contains(w.Body.String(), `"no_token"`) || w.Header().Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
}

// events are the security events of a log.
func events(t *testing.T, log *bytes.Buffer) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if m["security_event"] != nil {
			out = append(out, m)
		}
	}
	log.Reset()
	return out
}

func TestWhoMayDoWhat(t *testing.T) {
	p := profiletest.Start(t)
	client := new(profile.Settings).HTTPClient()
	t.Cleanup(client.CloseIdleConnections)
	identity := web.Identity{JWKS: p.URL + "/.well-known/jwks.json", Party: token.DefaultParty}
	var log bytes.Buffer
	r := engine(&log, web.WithIdentity(identity.Bearer(client, time.Now)))
	admin := p.Account(t, "ann", token.Admin)
	for _, tt := range []struct {
		name, path    string
		authorization []string
		status        int
		code, event   string
	}{
		{"nobody", "/read/1", nil, 401, "no_token", ""},
		{"an admin", "/read/1", []string{"Bearer " + admin}, 200, "", ""},
		{"the scheme in any case", "/read/1", []string{"bEARER  " + admin}, 200, "", ""},
		{"two tokens", "/read/1", []string{"Bearer " + admin, "Bearer " + admin}, 401, "invalid_token", ""},
		{"another scheme", "/read/1", []string{"Basic " + admin}, 401, "invalid_token", ""},
		{"a token that was changed", "/read/1", []string{"Bearer " + admin[:len(admin)-8] + "AAAAAAAA"}, 401, "invalid_token", "token_refused"},
		{"another role", "/read/1", []string{"Bearer " + p.Account(t, "bob", token.Bank)}, 403, "forbidden", "forbidden"},
		{"one who must change the password", "/read/1", []string{"Bearer " + p.NewAccount(t, "new", token.Admin, token.MustChangePassword)}, 403, "password_change_required", "forbidden"},
		{"who does so", "/password", []string{"Bearer " + p.NewAccount(t, "new", token.Admin, token.MustChangePassword)}, 200, "", ""},
		{"one who must set up a second factor", "/password", []string{"Bearer " + p.NewAccount(t, "new", token.Admin, token.MustEnrolTOTP)}, 403, "totp_required", "forbidden"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log.Reset()
			headers := []string{web.RequestIDHeader, "r-1", web.SourceIPHeader, "203.0.113.7"}
			for _, a := range tt.authorization {
				headers = append(headers, "Authorization", a)
			}
			w := ask(r, "GET", tt.path, headers...)
			if w.Code != tt.status || tt.code != "" && !strings.Contains(w.Body.String(), `"code":"`+tt.code+`"`) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			got := events(t, &log)
			switch {
			case tt.event == "" && len(got) > 0, tt.event != "" && (len(got) != 1 || got[0]["security_event"] != tt.event):
				t.Errorf("events: %v", got)
			case tt.event != "" && (got[0]["request_id"] != "r-1" || got[0]["source_ip"] != "203.0.113.7"):
				t.Errorf("the event does not say of what request, and from where: %v", got)
			case tt.event == "forbidden" && (got[0]["caller"] == "" || got[0]["route"] != strings.Replace(tt.path, "1", ":id", 1) || got[0]["code"] != tt.code):
				t.Errorf("the event does not say who and what: %v", got)
			}
		})
	}
}

func TestASourceThatIsNoAddressIsNotLogged(t *testing.T) {
	var log bytes.Buffer
	r := web.New(slog.New(slog.NewJSONHandler(&log, nil)))
	r.GET("/", func(c *gin.Context) { web.SecurityEvent(c.Request.Context(), "x", slog.Int("n", 1)) })
	for in, want := range map[string]string{"": "", "2001:db8::1": "2001:db8::1", "fe80::1%eth0": "", "203.0.113.7, 10.0.0.1": "", "<script>": ""} {
		log.Reset()
		ask(r, "GET", "/", web.SourceIPHeader, in)
		if got := events(t, &log); len(got) != 1 || got[0]["source_ip"] != want || got[0]["n"] != 1.0 {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestAWriterHasToBeWhoTheTokenSays(t *testing.T) {
	caller := web.Caller{ID: "ann", Role: token.Admin, Session: 3}
	for _, tt := range []struct {
		name    string
		session profile.Session
		err     error
		status  int
		code    string
		event   bool
	}{
		{"the session holds", profile.Session{Role: token.Admin, Version: 3}, nil, 200, "", false},
		{"the account is locked", profile.Session{Role: token.Admin, Version: 3, Locked: true}, nil, 401, "session_ended", true},
		{"the session has ended", profile.Session{Role: token.Admin, Version: 4}, nil, 401, "session_ended", true},
		{"the token is of a later one", profile.Session{Role: token.Admin, Version: 2}, nil, 401, "session_ended", true},
		{"the role is another", profile.Session{Role: token.User, Version: 3}, nil, 401, "session_ended", true},
		{"the account was deleted", profile.Session{}, fmt.Errorf("asking: %w", profile.ErrNotFound), 401, "session_ended", true},
		{"profiler is away", profile.Session{Role: token.Admin, Version: 3}, fmt.Errorf("%w: at 10.0.0.7", profile.ErrUnavailable), 503, "session_unknown", false},
		{"profiler refuses", profile.Session{}, &profile.Refused{Status: 400, Code: "odd", Message: "odd"}, 503, "session_unknown", false},
		{"anything else", profile.Session{}, errors.New("odd"), 503, "session_unknown", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			wrote := false
			r := web.New(slog.New(slog.NewJSONHandler(&log, nil)), web.WithIdentity(func(*http.Request) (web.Caller, error) { return caller, nil }))
			r.POST("/", web.Allow(token.Admin), web.Fresh(func(_ context.Context, id string) (profile.Session, error) {
				if id != caller.ID {
					t.Errorf("%q is asked for", id)
				}
				return tt.session, tt.err
			}), func(c *gin.Context) { wrote = true })
			w := ask(r, "POST", "/")
			if w.Code != tt.status || wrote != (tt.status == 200) || tt.code != "" && !strings.Contains(w.Body.String(), `"code":"`+tt.code+`"`) || strings.Contains(w.Body.String(), "10.0.0.7") {
				t.Errorf("%d %s, wrote: %t", w.Code, w.Body, wrote)
			}
			if retry := w.Header().Get("Retry-After"); (retry != "") != (tt.status == 503) {
				t.Errorf("Retry-After: %q", retry)
			}
			if got := events(t, &log); (len(got) == 1 && got[0]["security_event"] == "session_refused" && got[0]["caller"] == "ann") != tt.event {
				t.Errorf("events: %v", got)
			}
		})
	}
}

func TestIdentitySettings(t *testing.T) {
	for url, ok := range map[string]bool{
		"http://profiler:8081/.well-known/jwks.json": true, "https://p/": true, "profiler:8081": false, "ftp://p/": false, "http://u:p@h/": false, "http://": false,
	} {
		if problems := (&web.Identity{JWKS: url}).Check(); (len(problems) == 0) != ok {
			t.Errorf("%s: %v", url, problems)
		}
	}
}
