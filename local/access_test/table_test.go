package access_test

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/angelowl-loyalties/app/campaignex"
	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/local/gateway"
	"github.com/angelowl-loyalties/app/profiler"
	"github.com/angelowl-loyalties/app/profiler/signin"
	"github.com/angelowl-loyalties/app/rewarder/ops"
)

// row is a route, what is sent to it, and what each caller is answered. In paths {x} is something
// that is there, {newx} something that is made for the one request, and so it is in bodies.
type row struct {
	route, path, body string
	want              [9]int
}

// door is every route of the front door.
var door = []row{
	//                                                                   nobody new own other mer bank admin serv totp
	{"GET /health", "", "", [9]int{200, 200, 200, 200, 200, 200, 200, 200, 200}},
	{"GET /.well-known/jwks.json", "", "", [9]int{200, 200, 200, 200, 200, 200, 200, 200, 200}},

	// Nothing is in what is sent: 400 is as far as whoever may call it comes.
	{"POST /auth/login", "", `{}`, [9]int{400, 400, 400, 400, 400, 400, 400, 400, 400}},
	{"POST /auth/refresh", "", `{}`, [9]int{400, 400, 400, 400, 400, 400, 400, 400, 400}},
	{"POST /auth/forgot", "", `{}`, [9]int{400, 400, 400, 400, 400, 400, 400, 400, 400}},
	{"POST /auth/reset", "", `{}`, [9]int{400, 400, 400, 400, 400, 400, 400, 400, 400}},
	{"POST /auth/token", "", `{}`, [9]int{400, 401, 401, 401, 401, 401, 401, 401, 401}}, // a token is no client's secret
	{"POST /unsubscribe/{token}", "/unsubscribe/x", "", [9]int{400, 400, 400, 400, 400, 400, 400, 400, 400}},
	{"POST /auth/password", "", `{}`, [9]int{401, 400, 400, 400, 403, 400, 400, 403, 400}},
	{"POST /auth/logout", "", `{"refresh_token":"of nobody"}`, [9]int{401, 200, 200, 200, 200, 200, 200, 403, 200}},
	{"POST /auth/totp", "", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 200}},
	{"POST /auth/totp/confirm", "", `{}`, [9]int{401, 403, 403, 403, 403, 400, 400, 403, 400}},

	{"GET /user", "", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"POST /user", "", "{userbody}", [9]int{401, 403, 403, 403, 403, 201, 201, 403, 403}},
	{"POST /user/search", "", `{"card_pan":"4111111111111111"}`, [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"GET /user/{id}", "/user/{user}", "", [9]int{401, 403, 200, 404, 403, 200, 200, 403, 403}},
	{"PUT /user/{id}", "/user/{user}", `{"last_name":"x"}`, [9]int{401, 403, 200, 404, 403, 200, 200, 403, 403}},
	{"DELETE /user/{id}", "/user/{newuser}", "", [9]int{401, 403, 403, 403, 403, 204, 204, 403, 403}},
	{"GET /user/{id}/history", "/user/{user}/history", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"POST /user/{id}/first-password", "/user/{newuser}/first-password", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"DELETE /user/{id}/totp", "/user/{newuser}/totp", "", [9]int{401, 403, 403, 403, 403, 403, 404, 403, 403}}, // there is none
	{"GET /user/{id}/secret", "/user/{merchant}/secret", "", [9]int{401, 403, 403, 403, 403, 403, 200, 403, 403}},
	{"POST /user/{id}/secret", "/user/{newmerchant}/secret", "", [9]int{401, 403, 403, 403, 403, 403, 201, 403, 403}},
	{"DELETE /user/{id}/secret/{secretId}", "/user/{newmerchant}/secret/{newsecret}", "", [9]int{401, 403, 403, 403, 403, 403, 204, 403, 403}},
	{"GET /user/{id}/limits", "/user/{merchant}/limits", "", [9]int{401, 403, 403, 403, 403, 403, 200, 403, 403}},
	{"PUT /user/{id}/limits", "/user/{newmerchant}/limits", `{"merchants":["Kaligo"]}`, [9]int{401, 403, 403, 403, 403, 403, 200, 403, 403}},

	{"GET /card", "", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"POST /card", "", "{cardbody}", [9]int{401, 403, 403, 403, 403, 201, 201, 403, 403}},
	{"GET /card/{id}", "/card/{card}", "", [9]int{401, 403, 200, 404, 403, 200, 200, 403, 403}},
	{"DELETE /card/{id}", "/card/{newcard}", "", [9]int{401, 403, 403, 403, 403, 204, 204, 403, 403}},
	{"GET /card/{id}/history", "/card/{card}/history", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},

	{"GET /card/type", "", "", [9]int{401, 403, 200, 200, 403, 200, 200, 403, 403}},
	{"POST /card/type", "", "{typebody}", [9]int{401, 403, 403, 403, 403, 201, 201, 403, 403}},
	{"GET /card/type/{card_type}", "/card/type/{type}", "", [9]int{401, 403, 200, 200, 403, 200, 200, 403, 403}},
	{"PUT /card/type/{card_type}", "/card/type/{newtype}", `{"card_type":"{newtype}","name":"n","reward_unit":"miles","reward_program":"p"}`, [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"DELETE /card/type/{card_type}", "/card/type/{newtype}", "", [9]int{401, 403, 403, 403, 403, 204, 204, 403, 403}},
	{"GET /card/type/{card_type}/history", "/card/type/{type}/history", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},

	{"GET /campaign", "", "", [9]int{401, 403, 200, 200, 403, 200, 200, 403, 403}},
	{"POST /campaign", "", campaignBody, [9]int{401, 403, 403, 403, 403, 201, 201, 403, 403}},
	{"POST /campaign/try", "", `{"transaction":{spend}}`, [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"GET /campaign/{id}", "/campaign/{campaign}", "", [9]int{401, 403, 200, 200, 403, 200, 200, 403, 403}},
	{"PUT /campaign/{id}", "/campaign/{newcampaign}", campaignBody, [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"DELETE /campaign/{id}", "/campaign/{newcampaign}", "", [9]int{401, 403, 403, 403, 403, 204, 204, 403, 403}},
	{"GET /campaign/{id}/history", "/campaign/{campaign}/history", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},

	{"GET /exclusion", "", "", [9]int{401, 403, 200, 200, 403, 200, 200, 403, 403}},
	{"POST /exclusion", "", exclusionBody, [9]int{401, 403, 403, 403, 403, 201, 201, 403, 403}},
	{"GET /exclusion/{id}", "/exclusion/{exclusion}", "", [9]int{401, 403, 200, 200, 403, 200, 200, 403, 403}},
	{"PUT /exclusion/{id}", "/exclusion/{newexclusion}", exclusionBody, [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"DELETE /exclusion/{id}", "/exclusion/{newexclusion}", "", [9]int{401, 403, 403, 403, 403, 204, 204, 403, 403}},
	{"GET /exclusion/{id}/history", "/exclusion/{exclusion}/history", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},

	{"GET /mcc", "", "", [9]int{401, 403, 200, 200, 403, 200, 200, 403, 403}},

	{"GET /fx", "", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"POST /fx", "", `{}`, [9]int{401, 403, 403, 403, 403, 415, 415, 403, 403}},
	{"GET /fx/{date}", "/fx/{day}", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"PUT /fx/{date}", "/fx/{newday}", quotesBody, [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"DELETE /fx/{date}", "/fx/{newday}", "", [9]int{401, 403, 403, 403, 403, 204, 204, 403, 403}},
	{"GET /fx/{date}/history", "/fx/{day}/history", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},

	{"GET /reward/{cardId}", "/reward/{card}", "", [9]int{401, 403, 200, 404, 403, 403, 200, 403, 403}},
	{"GET /reward/total/{cardId}", "/reward/total/{card}", "", [9]int{401, 403, 200, 404, 403, 403, 200, 403, 403}},
	{"GET /reward/summary/{cardId}", "/reward/summary/{card}", "", [9]int{401, 403, 200, 404, 403, 403, 200, 403, 403}},

	{"GET /publish/presigned", "", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"GET /user/presigned", "", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"GET /upload", "", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"POST /upload", "", `{"kind":"spend","filename":"a.csv"}`, [9]int{401, 403, 403, 403, 403, 201, 201, 403, 403}},
	{"GET /upload/{id}", "/upload/{upload}", "", [9]int{401, 403, 403, 403, 403, 200, 200, 403, 403}},
	{"POST /upload/{id}/complete", "/upload/{upload}/complete", `{"parts":[{"number":1,"etag":"x"}]}`, [9]int{401, 403, 403, 403, 403, 409, 409, 403, 403}}, // it comes in one piece

	{"GET /ops/status", "", "", [9]int{401, 403, 403, 403, 403, 403, 200, 403, 403}},
	{"GET /ops/deadletters", "", "", [9]int{401, 403, 403, 403, 403, 403, 200, 403, 403}},
	{"GET /ops/deadletters/{letter}", "/ops/deadletters/{letter}", "", [9]int{401, 403, 403, 403, 403, 403, 200, 403, 403}},
	{"POST /ops/deadletters/{letter}/resend", "/ops/deadletters/{letter}/resend", `{"set":{"card_type":"scis_premiummiles"},"again":true}`, [9]int{401, 403, 403, 403, 403, 403, 200, 403, 403}},

	{"POST /publish", "", "{spend}", [9]int{401, 403, 403, 403, 202, 202, 202, 403, 403}},
}

// A method that a path of the front door has not is no address, whoever calls; OPTIONS is for browsers.
const (
	noSuchMethod = 404
	preflight    = 204
)

// inside is every route of the ports that the front door does not lead to.
var inside = map[string][]row{
	"profiler-internal": {
		//                                                               nobody new own other mer bank admin serv totp
		{"GET /health", "", "", [9]int{200, 200, 200, 200, 200, 200, 200, 200, 200}},
		{"GET /.well-known/jwks.json", "", "", [9]int{200, 200, 200, 200, 200, 200, 200, 200, 200}},
		{"POST /auth/token", "", `{}`, [9]int{400, 401, 401, 401, 401, 401, 401, 401, 401}},
		{"GET /internal/card/:id", "/internal/card/{card}", "", [9]int{401, 403, 403, 403, 403, 403, 403, 200, 403}},
		{"GET /internal/user/:id/card", "/internal/user/{user}/card", "", [9]int{401, 403, 403, 403, 403, 403, 403, 200, 403}},
		{"POST /internal/users", "", `{"rows":[{}]}`, [9]int{401, 403, 403, 403, 403, 403, 403, 200, 403}},
		{"POST /internal/user/:id/first-password", "/internal/user/{newuser}/first-password", "", [9]int{401, 403, 403, 403, 403, 403, 403, 200, 403}},
		{"POST /internal/reward-mails/unmailed", "", `{}`, [9]int{401, 403, 403, 403, 403, 403, 403, 400, 403}},
		{"POST /internal/reward-mails/begin", "", `{}`, [9]int{401, 403, 403, 403, 403, 403, 403, 400, 403}},
		{"POST /internal/reward-mails/end", "", `{}`, [9]int{401, 403, 403, 403, 403, 403, 403, 400, 403}},
		{"GET /internal/reward-mails/day/:day", "/internal/reward-mails/day/{day}", "", [9]int{401, 403, 403, 403, 403, 403, 403, 200, 403}},
		{"POST /internal/reward-mails/day/:day", "/internal/reward-mails/day/{day}", "", [9]int{401, 403, 403, 403, 403, 403, 403, 200, 403}},
		{"GET /internal/session/:id", "/internal/session/{user}", "", [9]int{401, 403, 403, 403, 403, 403, 403, 200, 403}},
		{"GET /internal/merchant/:id", "/internal/merchant/{merchant}", "", [9]int{401, 403, 403, 403, 403, 403, 403, 200, 403}},
		{"POST /internal/merchant/:id/spend", "/internal/merchant/{merchant}/spend", `{}`, [9]int{401, 403, 403, 403, 403, 403, 403, 400, 403}},
	},
	"informer-internal": {
		{"GET /health", "", "", [9]int{200, 200, 200, 200, 200, 200, 200, 200, 200}},
		{"GET /reward/today", "", "", [9]int{401, 403, 403, 403, 403, 403, 403, 200, 403}},
	},
}

// A method that a path of a service has not.
var noMethodInside = [9]int{401, 405, 405, 405, 405, 405, 405, 405, 405}

// internal is what no client reaches, by the service that answers it.
var internal = map[string][]string{
	"profiler": {
		"GET /internal/card/:id", "GET /internal/user/:id/card", "POST /internal/users",
		"POST /internal/user/:id/first-password", "POST /internal/reward-mails/unmailed", "POST /internal/reward-mails/begin", "POST /internal/reward-mails/end",
		"GET /internal/reward-mails/day/:day", "POST /internal/reward-mails/day/:day",
		"GET /internal/session/:id", "GET /internal/merchant/:id", "POST /internal/merchant/:id/spend",
		"GET /swagger/*any", // the front door of a laptop shows it under /docs/
	},
	"informer":   {"GET /health", "GET /swagger/*any", "GET /reward/today"},
	"campaignex": {"GET /health", "GET /swagger/*any"},
	"rewarder":   {"GET /health", "GET /swagger/*any"},
}

// lambdas are those that the gateway's file may name.
var lambdas = []string{"publish-single", "uploads"}

var methods = []string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"}

func routesOf(all ...gin.RoutesInfo) (out []gateway.Route) {
	for _, r := range slices.Concat(all...) {
		out = append(out, gateway.Route{Method: r.Method, Path: r.Path})
	}
	return out
}

func TestNoRouteIsForgotten(t *testing.T) {
	profilers, profilersInside := profiler.Routes(&signin.Service{})
	informers, informersInside := informer.Routes()
	services := map[string][]gateway.Route{
		"profiler": routesOf(profilers, profilersInside), "informer": routesOf(informers, informersInside), "campaignex": routesOf(campaignex.Routes()),
		"rewarder": routesOf(ops.Routes()),
	}
	for _, d := range w.file.Compare(services, internal, lambdas) {
		t.Error(d)
	}
	inFile := map[string]bool{}
	for _, o := range w.file.Operations {
		if o.Method != "OPTIONS" {
			inFile[o.Method+" "+o.Path] = true
		}
	}
	sameRoutes(t, "the front door", door, inFile)
	for port, routes := range map[string]gin.RoutesInfo{"profiler-internal": profilersInside, "informer-internal": informersInside} {
		served := map[string]bool{}
		for _, r := range routes {
			served[r.Method+" "+r.Path] = true
		}
		sameRoutes(t, port, inside[port], served)
	}
}

// sameRoutes holds that a table has exactly the routes that there are.
func sameRoutes(t *testing.T, of string, table []row, routes map[string]bool) {
	t.Helper()
	seen := map[string]bool{}
	for _, r := range table {
		if !routes[r.route] || seen[r.route] {
			t.Errorf("%s has no %s, or the table has it twice", of, r.route)
		}
		seen[r.route] = true
	}
	for route := range routes {
		if !seen[route] {
			t.Errorf("%s has %s, which is not in the table", of, route)
		}
	}
}

// fill puts what there is, or what is made now, into a path and a body.
func fill(t *testing.T, path, body string, makes bool) (string, string) {
	t.Helper()
	both := path + "\n" + body
	put := func(name string, value func() (string, error)) {
		if strings.Contains(both, "{"+name+"}") {
			both = strings.ReplaceAll(both, "{"+name+"}", must[string](t)(value()))
		}
	}
	put("spend", func() (string, error) { return w.spend(w.card), nil })
	put("userbody", func() (string, error) { return w.userBody(), nil })
	put("cardbody", func() (string, error) { return w.cardBody(), nil })
	put("typebody", func() (string, error) { return typeBody("t" + name()), nil })
	if makes {
		var merchant string
		put("newuser", w.newUser)
		put("newcard", w.newCard)
		put("newtype", w.newType)
		put("newcampaign", w.newCampaign)
		put("newexclusion", w.newExclusion)
		put("newday", w.newDay)
		put("newmerchant", func() (id string, err error) {
			merchant, err = w.newMerchant()
			return merchant, err
		})
		put("newsecret", func() (string, error) { return w.newSecret(merchant) })
	}
	for name, id := range w.ids {
		both = strings.NewReplacer("{"+name+"}", id, "{new"+name+"}", id).Replace(both)
	}
	path, body, _ = strings.Cut(both, "\n")
	return path, body
}

// byPath are the rows of each path of a table.
func byPath(table []row) map[string]map[string]row {
	out := map[string]map[string]row{}
	for _, r := range table {
		method, path, _ := strings.Cut(r.route, " ")
		if out[path] == nil {
			out[path] = map[string]row{}
		}
		if r.path == "" {
			r.path = path
		}
		out[path][method] = r
	}
	return out
}

func TestTheFrontDoor(t *testing.T) {
	for path, rows := range byPath(door) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			at := rows[slices.Sorted(maps.Keys(rows))[0]].path
			for _, method := range methods {
				row, known := rows[method]
				for who := range callers {
					target, body, want := at, "", noSuchMethod
					switch {
					case known:
						target, body, want = row.path, row.body, row.want[who]
					case method == "OPTIONS":
						want = preflight
					}
					target, body = fill(t, target, body, known && want < 300)
					a, err := w.send(caller(who), method, target, body)
					if err != nil {
						t.Fatal(err)
					}
					holds(t, caller(who), a, want)
				}
			}
		})
	}
}

// holds compares an answer with the table, and looks whether errors have their shape, and whether it
// has the headers that every answer has.
func holds(t *testing.T, who caller, a answer, want int) {
	t.Helper()
	if a.status != preflight || !strings.HasPrefix(a.asked, "OPTIONS") {
		secured(t, a)
	}
	if a.status != want {
		t.Errorf("by %s: %s, not %d", callers[who], a, want)
	}
	if a.status >= 400 && !strings.HasPrefix(a.asked, "HEAD") && a.code() == "" {
		t.Errorf("by %s: %s, which has no code", callers[who], a)
	}
}

// secured holds that browsers are told to run, frame, sniff and keep nothing of an answer.
func secured(t *testing.T, a answer) {
	t.Helper()
	want := map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
	policy := []string{"default-src 'none'", "frame-ancestors 'none'"}
	_, path, _ := strings.Cut(a.asked, " ")
	switch {
	case strings.HasPrefix(path, "/mail"): // its pages show mails in frames of their own
		delete(want, "X-Frame-Options")
		policy = policy[:1]
	case path == "/.well-known/jwks.json" && a.status == 200:
		want["Cache-Control"] = "public, max-age=300"
	case path == "/mcc" && a.status == 200:
		want["Cache-Control"] = "private, max-age=3600"
	}
	// The gateway cannot say a policy in what it answers by itself, which no service calls so.
	if a.status >= 400 && a.header.Get("Content-Type") == "application/json" {
		policy = nil
	}
	for name, value := range want {
		if got := a.header.Values(name); len(got) != 1 || got[0] != value {
			t.Errorf("%s: %s is %q", a, name, got)
		}
	}
	got := a.header.Values("Content-Security-Policy")
	for _, rule := range policy {
		if len(got) != 1 || !strings.Contains(got[0], rule) {
			t.Errorf("%s: Content-Security-Policy is %q", a, got)
		}
	}
	if len(a.header.Values("X-Request-Id")) != 1 {
		t.Errorf("%s: X-Request-Id is %q", a, a.header.Values("X-Request-Id"))
	}
}

func TestPagesAreSecured(t *testing.T) {
	for path, status := range map[string]int{"/": 200, "/mail/": 200, "/docs/profiler/index.html": 200, "/docs/nothing": 404, "/mail/nothing": 404, "/nothing": 404} {
		secured(t, want(t, status, "", "GET", path, ""))
	}
}

func TestThePortsBehindIt(t *testing.T) {
	for port, table := range inside {
		t.Run(port, func(t *testing.T) {
			t.Parallel()
			c := w.behind(t, port)
			for _, rows := range byPath(table) {
				at := rows[slices.Sorted(maps.Keys(rows))[0]].path
				for _, method := range methods {
					row, known := rows[method]
					for who := range callers {
						target, body, want := at, "", noMethodInside[who]
						if known {
							target, body, want = row.path, row.body, row.want[who]
						}
						target, body = fill(t, target, body, false)
						a, err := through(c, "http://"+port, w.tokens[caller(who)], method, target, body)
						if err != nil {
							t.Fatal(err)
						}
						holds(t, caller(who), a, want)
					}
				}
			}
		})
	}
}

// What is internal is no address at the front door, and no service hears of it.
func TestTheFrontDoorLeadsToNothingInternal(t *testing.T) {
	for name, routes := range internal {
		for _, route := range routes {
			method, path, _ := strings.Cut(route, " ")
			if path == "/health" { // profiler's is public
				continue
			}
			path = strings.NewReplacer(":id", w.userID, "*any", "index.html").Replace(path)
			for who := range callers {
				id := rand.Text() // no UUID, which may look like a card number and is replaced then
				a, err := w.send(caller(who), method, path, "", "X-Request-Id: "+id)
				if err != nil {
					t.Fatal(err)
				}
				if a.status < 400 || a.status >= 500 {
					t.Errorf("%s: by %s: %s", name, callers[who], a)
				}
				if by := w.log.known(t, id, "gateway"); !slices.Equal(by, []string{"gateway"}) {
					t.Errorf("%s: by %s: %s, and %v know of it", name, callers[who], a, by)
				}
			}
		}
	}
}
