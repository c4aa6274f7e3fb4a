package gateway

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/token"
)

func TestRequestsReachTheServiceOfTheFileOrNobody(t *testing.T) {
	w := newWorld(t)
	const id = someID
	for _, c := range []struct {
		name, method, path, role string
		status                   int
		code, service            string // of the error; who is asked
	}{
		{"a list", "GET", "/campaign", "user", 200, "", "campaignex"},
		{"an id", "GET", "/campaign/" + id, "user", 200, "", "campaignex"},
		{"an id in capitals", "GET", "/campaign/" + strings.ToUpper(id), "user", 200, "", "campaignex"},
		{"a literal beside ids", "POST", "/campaign/try", "bank", 200, "", "campaignex"},
		{"a literal beside ids by a method of the ids' only", "GET", "/user/search", "admin", 404, "not_found", ""},
		{"below ids", "GET", "/campaign/" + id + "/history", "bank", 200, "", "campaignex"},
		{"a literal that hides ids", "GET", "/card/type", "user", 200, "", "profiler"},
		{"below a literal that hides ids", "GET", "/card/type/history", "user", 200, "", "profiler"},
		{"a key", "GET", "/card/type/scis_platinummiles", "user", 200, "", "profiler"},
		{"another service", "GET", "/reward/total/" + id, "user", 200, "", "informer"},
		{"a dead letter", "GET", "/ops/deadletters/1.0.123", "admin", 200, "", "rewarder"},
		{"no dead letter", "GET", "/ops/deadletters/1.0", "admin", 400, "invalid", ""},
		{"a lambda", "POST", "/publish", "merchant", 202, "", "publish-single"},
		{"public", "POST", "/auth/login", "", 200, "", "profiler"},
		{"public with a dot", "GET", "/.well-known/jwks.json", "", 200, "", "profiler"},
		{"unknown parameters", "GET", "/card/type?scis_shopping", "user", 200, "", "profiler"},

		{"no such path", "GET", "/nothing", "admin", 404, "not_found", ""},
		{"the root", "GET", "/", "admin", 404, "not_found", ""},
		{"no such method", "PATCH", "/campaign", "admin", 404, "not_found", ""},
		{"HEAD", "HEAD", "/campaign", "admin", 404, "not_found", ""},
		{"TRACE", "TRACE", "/campaign", "admin", 404, "not_found", ""},
		{"CONNECT", "CONNECT", "/campaign", "admin", 404, "not_found", ""},
		{"a method in small letters", "get", "/campaign", "admin", 404, "not_found", ""},
		{"OPTIONS of no path", "OPTIONS", "/nothing", "", 404, "not_found", ""},
		{"internal: today", "GET", "/reward/today", "admin", 400, "invalid", ""},
		{"internal: a session", "GET", "/internal/session/" + id, "admin", 404, "not_found", ""},
		{"internal: a service's own pages", "GET", "/swagger/index.html", "admin", 404, "not_found", ""},
		{"a lambda beside a service", "GET", "/user/presigned", "admin", 200, "", "uploads"},

		{"not a UUID", "GET", "/campaign/17", "admin", 400, "invalid", ""},
		{"not a UUID, and no token", "GET", "/campaign/17", "", 401, "no_token", ""},
		{"a UUID in braces", "GET", "/campaign/{" + id + "}", "admin", 404, "not_found", ""},
		{"a UUID without hyphens", "GET", "/campaign/" + strings.ReplaceAll(id, "-", ""), "admin", 400, "invalid", ""},
		{"not a day", "GET", "/fx/today", "bank", 400, "invalid", ""},
		{"an encoded slash", "GET", "/reward/..%2ftotal", "admin", 404, "not_found", ""},
		{"an encoded slash alone", "GET", "/reward%2f" + id, "admin", 404, "not_found", ""},
		{"an encoded letter", "GET", "/c%61mpaign", "admin", 404, "not_found", ""},
		{"an encoded id", "GET", "/campaign/%36" + id[1:], "admin", 404, "not_found", ""},
		{"an encoded null", "GET", "/campaign/" + id + "%00", "admin", 404, "not_found", ""},
		{"two slashes", "GET", "//campaign", "admin", 404, "not_found", ""},
		{"two slashes inside", "GET", "/card//type", "admin", 404, "not_found", ""},
		{"a slash at the end", "GET", "/campaign/", "admin", 404, "not_found", ""},
		{"dots", "GET", "/campaign/../user", "admin", 404, "not_found", ""},
		{"a dot", "GET", "/./campaign", "admin", 404, "not_found", ""},
		{"dots for a key", "GET", "/card/type/..", "admin", 404, "not_found", ""},
		{"encoded dots", "GET", "/card/type/%2e%2e", "admin", 404, "not_found", ""},
		{"a path parameter of old", "GET", "/campaign;x", "admin", 404, "not_found", ""},
		{"capitals", "GET", "/Campaign", "admin", 404, "not_found", ""},
		{"a backslash", "GET", `/campaign\x`, "admin", 404, "not_found", ""},
		{"letters that are not ASCII", "GET", "/campaıgn", "admin", 404, "not_found", ""},
		{"far too long", "GET", "/card/type/" + strings.Repeat("a", 4000), "admin", 404, "not_found", ""},
		{"a query that cannot be read", "GET", "/campaign?q=%zz", "admin", 400, "invalid", ""},
		{"the whole URL", "GET", "http://elsewhere.example/nothing", "admin", 404, "not_found", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.send(c.method, c.path, c.role)
			if a.Status != c.status || a.Code != c.code {
				t.Errorf("%s %s: %d %q, should be %d %q: %s", c.method, c.path, a.Status, a.Code, c.status, c.code, a.Body)
			}
			got := w.reached()
			switch {
			case c.service == "" && len(got) > 0:
				t.Errorf("%s %s reached %s as %s", c.method, c.path, got[0].Service, got[0].Path)
			case c.service != "" && (len(got) != 1 || got[0].Service != c.service || got[0].Path != strings.SplitN(c.path, "?", 2)[0] || got[0].Method != c.method):
				t.Errorf("%s %s reached %+v, should reach %s", c.method, c.path, got, c.service)
			}
			if a.Header.Get("X-Request-Id") == "" {
				t.Error("the answer has no request id")
			}
		})
	}
	if a := w.send("GET", "/campaign/17", "admin"); a.Fields["id"] != "must be a UUID" || a.Error != "id must be a UUID" {
		t.Errorf("a wrong id is answered %+v", a)
	}
}

// Every operation is open to its roles, and closed to all others.
func TestEveryOperationIsOpenToItsRolesOnly(t *testing.T) {
	w := newWorld(t)
	for _, o := range w.file.Operations {
		if o.Method == http.MethodOptions {
			continue
		}
		path := somePath(o.Path)
		for _, role := range []string{"", "user", "bank", "merchant", "admin", "service", "nobody"} {
			w.clock.add(5e9) // beyond every throttle
			a := w.send(o.Method, path, role)
			want := http.StatusForbidden
			switch {
			case o.Roles == nil, slices.ContainsFunc(o.Roles, func(r token.Role) bool { return string(r) == role }):
				want = 0
			case role == "", role == "nobody":
				want = http.StatusUnauthorized
			}
			reached := w.reached()
			if want != 0 && (a.Status != want || len(reached) > 0) || want == 0 && (a.Status >= 300 || len(reached) != 1) {
				t.Errorf("%s %s for %q: %d %s, reached %d", o.Method, path, role, a.Status, a.Body, len(reached))
			}
		}
	}
}

// somePath is a path of the file with parameters that are of their patterns.
func somePath(path string) string {
	return pathParam.ReplaceAllStringFunc(path, func(p string) string {
		switch p {
		case "{card_type}", "{token}":
			return "some_key"
		case "{letter}":
			return "1.0.123"
		case "{date}":
			return "2021-09-02"
		}
		return someID
	})
}

// FuzzRouter: whatever is asked, a service sees only what matches the file, as it was sent.
func FuzzRouter(f *testing.F) {
	for _, path := range []string{"/campaign", "/campaign/" + someID, "/reward/..%2ftotal", "//user", "/user/search", "/card/type/..", "/fx/2021-09-02",
		"/unsubscribe/a~b", "/campaign?x=%zz", "/auth/../user", "/reward/today", "/user/" + someID + "/secret/" + someID, "/.well-known/jwks.json", "/%2e", "/a;b"} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			f.Add(method, path)
		}
	}
	w := newWorld(f)
	var operations []*regexp.Regexp
	for _, o := range w.file.Operations {
		re := regexp.QuoteMeta(o.Method+" "+o.Path) + "$"
		for name, p := range o.pathParams {
			re = strings.ReplaceAll(re, regexp.QuoteMeta("{"+name+"}"), strings.Trim(p.pattern.String(), "^$"))
		}
		operations = append(operations, regexp.MustCompile("^"+re))
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		r := rawRequest(method, path)
		if r == nil {
			return
		}
		sent := r.URL.EscapedPath()
		w.clock.add(5e9)
		w.t = t
		w.send(method, path, "admin")
		for _, s := range w.reached() {
			asked := s.Method + " " + s.Path
			if !slices.ContainsFunc(operations, func(re *regexp.Regexp) bool { return re.MatchString(asked) }) {
				t.Errorf("%q %q reached %s as %q, which is not in the file", method, path, s.Service, asked)
			}
			if s.Method != method || s.Path != sent {
				t.Errorf("%q %q reached %s as %q", method, path, s.Service, asked)
			}
		}
	})
}
