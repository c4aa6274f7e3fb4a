package campaignex_test

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/campaignex"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/profile/profiletest"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

// access says what each caller is answered on each route, in the order of callers. Requests have no
// body and name rules that there are not, so whoever may use a route gets 200, 400 or 404 there.
var callers = []string{"nobody", "user", "new user", "merchant", "bank", "admin", "new admin", "service", "locked admin"}

var access = []struct {
	route, path string
	want        [9]int
}{
	//                                     nobody user new  merch bank admin new  serv locked
	{"GET /health", "", [9]int{200, 200, 200, 200, 200, 200, 200, 200, 200}},
	{"GET /swagger/*any", "/swagger/index.html", [9]int{200, 200, 200, 200, 200, 200, 200, 200, 200}},

	{"GET /campaign", "", [9]int{401, 200, 403, 403, 200, 200, 403, 403, 200}},
	{"POST /campaign", "", [9]int{401, 403, 403, 403, 400, 400, 403, 403, 401}},
	{"POST /campaign/try", "", [9]int{401, 403, 403, 403, 400, 400, 403, 403, 400}},
	{"GET /campaign/:id", "/campaign/" + id, [9]int{401, 404, 403, 403, 404, 404, 403, 403, 404}},
	{"PUT /campaign/:id", "/campaign/" + id, [9]int{401, 403, 403, 403, 400, 400, 403, 403, 401}},
	{"DELETE /campaign/:id", "/campaign/" + id, [9]int{401, 403, 403, 403, 404, 404, 403, 403, 401}},
	{"GET /campaign/:id/history", "/campaign/" + id + "/history", [9]int{401, 403, 403, 403, 404, 404, 403, 403, 404}},

	{"GET /exclusion", "", [9]int{401, 200, 403, 403, 200, 200, 403, 403, 200}},
	{"POST /exclusion", "", [9]int{401, 403, 403, 403, 400, 400, 403, 403, 401}},
	{"GET /exclusion/:id", "/exclusion/" + id, [9]int{401, 404, 403, 403, 404, 404, 403, 403, 404}},
	{"PUT /exclusion/:id", "/exclusion/" + id, [9]int{401, 403, 403, 403, 400, 400, 403, 403, 401}},
	{"DELETE /exclusion/:id", "/exclusion/" + id, [9]int{401, 403, 403, 403, 404, 404, 403, 403, 401}},
	{"GET /exclusion/:id/history", "/exclusion/" + id + "/history", [9]int{401, 403, 403, 403, 404, 404, 403, 403, 404}},

	{"GET /mcc", "", [9]int{401, 200, 403, 403, 200, 200, 403, 403, 200}},

	{"GET /fx", "", [9]int{401, 403, 403, 403, 200, 200, 403, 403, 200}},
	{"POST /fx", "", [9]int{401, 403, 403, 403, 415, 415, 403, 403, 401}},
	{"GET /fx/:date", "/fx/2021-09-01", [9]int{401, 403, 403, 403, 404, 404, 403, 403, 404}},
	{"PUT /fx/:date", "/fx/2021-09-01", [9]int{401, 403, 403, 403, 400, 400, 403, 403, 401}},
	{"DELETE /fx/:date", "/fx/2021-09-01", [9]int{401, 403, 403, 403, 404, 404, 403, 403, 401}},
	{"GET /fx/:date/history", "/fx/2021-09-01/history", [9]int{401, 403, 403, 403, 404, 404, 403, 403, 404}},
}

// guarded is the service with tokens and a profiler that says who is who; tokens are in the order of
// callers.
func guarded(t *testing.T) (a api, p *profiletest.Profiler, tokens []string) {
	p = profiletest.Start(t)
	a = startFor(t, web.Bearer(p.Signer.Verifier()), p.Client("campaignex").Session)
	tokens = []string{
		"",
		p.Account(t, "carol", token.User),
		p.NewAccount(t, "nina", token.User, token.MustChangePassword),
		p.Account(t, "kaligo", token.Merchant),
		p.Account(t, "bob", token.Bank),
		p.Account(t, "ann", token.Admin),
		p.NewAccount(t, "adam", token.Admin, token.MustEnrolTOTP),
		p.Account(t, profile.ServiceID("informer"), token.Service),
		p.Account(t, "lou", token.Admin),
	}
	p.SetSession("lou", profile.Session{Role: token.Admin, Version: 2, Locked: true})
	return a, p, tokens
}

// as is a request's header for a token.
func as(token string) []string {
	if token == "" {
		return nil
	}
	return []string{"Authorization: Bearer " + token}
}

func TestWhoMayUseWhichRoute(t *testing.T) {
	a, _, tokens := guarded(t)
	methods := map[string][]string{} // of each path
	for _, tt := range access {
		method, path, _ := strings.Cut(tt.route, " ")
		if tt.path != "" {
			path = tt.path
		}
		methods[path] = append(methods[path], method)
		for i, caller := range callers {
			got := a.do(method, path, "", as(tokens[i])...)
			if got.status != tt.want[i] {
				t.Errorf("%s by %s: %d, want %d: %s", tt.route, caller, got.status, tt.want[i], got.body)
			}
			if got.status >= 400 && got.failure(t).Code == "" {
				t.Errorf("%s by %s: %s", tt.route, caller, got.body)
			}
		}
	}
	methods["/campaign/try"] = append(methods["/campaign/try"], "GET", "PUT", "DELETE") // for them it is an id, and none
	for path, known := range methods {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			if slices.Contains(known, method) {
				continue
			}
			for i, caller := range callers {
				want := 405
				if i == 0 {
					want = 401
				}
				if got := a.do(method, path, "", as(tokens[i])...); got.status != want {
					t.Errorf("%s %s by %s: %d, want %d", method, path, caller, got.status, want)
				}
			}
		}
	}
}

func TestTheTableHasEveryRoute(t *testing.T) {
	var there, listed []string
	for _, r := range campaignex.Routes() {
		there = append(there, r.Method+" "+r.Path)
	}
	for _, tt := range access {
		listed = append(listed, tt.route)
	}
	slices.Sort(there)
	slices.Sort(listed)
	if !slices.Equal(there, listed) {
		t.Errorf("there are\n%s\nand the table has\n%s", strings.Join(there, "\n"), strings.Join(listed, "\n"))
	}
}

// A writer is asked for anew each time: who is locked, demoted, deleted or signed out everywhere
// writes nothing more, and while profiler is away nobody does.
func TestAWriteNeedsASessionThatHolds(t *testing.T) {
	a, p, tokens := guarded(t)
	ann := as(tokens[slices.Index(callers, "admin")])
	holds := profile.Session{Role: token.Admin, Version: 1}
	a.want(201, "POST", "/campaign", kaligo, ann...)
	for _, tt := range []struct {
		name   string
		change func()
		status int
		code   string
	}{
		{"locked", func() { p.SetSession("ann", profile.Session{Role: token.Admin, Version: 1, Locked: true}) }, 401, "session_ended"},
		{"signed out everywhere", func() { p.SetSession("ann", profile.Session{Role: token.Admin, Version: 2}) }, 401, "session_ended"},
		{"a user now", func() { p.SetSession("ann", profile.Session{Role: token.User, Version: 1}) }, 401, "session_ended"},
		{"deleted", func() { p.Delete("ann") }, 401, "session_ended"},
		{"profiler is away", func() { p.Away(true) }, 503, "session_unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.change()
			for _, w := range []struct{ method, path, body string }{
				{"POST", "/campaign", strings.Replace(kaligo, id, "6a0ea1a5-7f1c-4a1b-9a4f-000000000002", 1)},
				{"PUT", "/campaign/" + id, strings.Replace(kaligo, `"name":"Kaligo"`, `"name":"Changed"`, 1)},
				{"DELETE", "/campaign/" + id, ""}, {"POST", "/exclusion", excluded}, {"PUT", "/exclusion/" + id, excluded},
				{"PUT", "/fx/2021-09-01", `{"base":"EUR","quotes":{"SGD":1.5}}`}, {"DELETE", "/fx/2021-09-01", ""}, {"POST", "/fx", "Date,SGD\n2021-09-01,1.5\n"},
			} {
				if got := a.want(tt.status, w.method, w.path, w.body, ann...).failure(t); got.Code != tt.code {
					t.Errorf("%s %s: %+v", w.method, w.path, got)
				}
			}
			p.SetSession("ann", holds)
			p.Away(false)
			for path, words := range map[string]string{"/campaign": `"total":1`, "/exclusion": `"total":0`, "/fx": `"total":0`} {
				if got := a.want(200, "GET", path, "", ann...); !bytes.Contains(got.body, []byte(words)) {
					t.Errorf("%s was changed: %s", path, got.body)
				}
			}
			if got := a.want(200, "GET", "/campaign/"+id, "", ann...).data(t); string(got["name"]) != `"Kaligo"` || string(got["version"]) != "1" {
				t.Errorf("the campaign was changed: %v", got)
			}
		})
	}
	a.want(200, "PUT", "/campaign/"+id, kaligo, ann...)
	p.Asked()
	a.want(200, "PUT", "/campaign/"+id, kaligo, append(ann, "X-Request-Id: r-1")...)
	if asked := p.Asked(); len(asked) != 1 || asked[0] != (profiletest.Question{Path: "/internal/session/ann", RequestID: "r-1"}) {
		t.Errorf("profiler was asked %v", asked)
	}
}

func TestItDoesNotRunForAnybody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	err = campaignex.Run(t.Context(), campaignex.DefaultConfig(), campaignex.Deps{Listener: l, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "Identify and Session are needed") {
		t.Errorf("%v", err)
	}
	if _, err := http.Get("http://" + l.Addr().String()); err == nil {
		t.Error("the listener was left open")
	}
}

// The pages of Swagger UI work under their policy: they have no script of their own, and load nothing
// from elsewhere.
func TestThePagesThatDescribeTheServiceKeepToTheirPolicy(t *testing.T) {
	a, _, _ := guarded(t)
	page := a.want(200, "GET", "/swagger/index.html", "")
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self';") {
		t.Errorf("the policy is %q", policy)
	}
	text := string(page.body)
	loads := regexp.MustCompile(`<(?:script|link)[^>]*>`).FindAllString(text, -1)
	if len(loads) < 5 {
		t.Fatalf("it loads %v", loads)
	}
	for _, tag := range loads {
		ref := regexp.MustCompile(`(?:src|href)="(?:\./)?([a-z0-9.-]+)"`).FindStringSubmatch(tag)
		if ref == nil {
			t.Errorf("%s is not of a file beside the page", tag)
			continue
		}
		if file := a.want(200, "GET", "/swagger/"+ref[1], ""); file.header.Get("Content-Type") == "" {
			t.Errorf("%s has no type, and may not be sniffed", ref[1])
		}
	}
	if found := regexp.MustCompile(`\son[a-z]+=|javascript:`).FindString(text); found != "" {
		t.Errorf("it has a script in it: %q", found)
	}
	if doc := a.want(200, "GET", "/swagger/doc.json", ""); !bytes.Contains(doc.body, []byte(`"Bearer"`)) {
		t.Error("it does not say how to sign in")
	}
}
