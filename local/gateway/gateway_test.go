package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func TestTheAuthorizerIsAskedOnceInFiveMinutes(t *testing.T) {
	w := newWorld(t)
	for i, c := range []struct {
		name  string
		wait  time.Duration
		role  string
		asked int
	}{
		{"first", 0, "user", 1},
		{"again", 0, "user", 1},
		{"almost too late", 299 * time.Second, "user", 1},
		{"another token", 0, "bank", 2},
		{"too late", time.Second, "user", 3},
	} {
		w.clock.add(c.wait)
		if a := w.send("GET", "/campaign", c.role); a.Status != 200 {
			t.Errorf("%s: %d", c.name, a.Status)
		}
		if len(w.asked) != c.asked {
			t.Errorf("%d, %s: asked %d times, should be %d", i, c.name, len(w.asked), c.asked)
		}
	}
	r := w.asked[0]
	if r.Type != "TOKEN" || r.AuthorizationToken != bearer("user") || r.MethodArn != "arn:aws:execute-api:local:000000000000:angelowl/local/GET/campaign" {
		t.Errorf("the authorizer saw %+v", r)
	}
	// The policy of the first answer is for all routes: what it does not allow is refused without asking.
	asked := len(w.asked)
	if a := w.send("POST", "/campaign", "user"); a.Status != 403 || a.Code != "forbidden" || len(w.asked) != asked {
		t.Errorf("another route: %d %s, asked %d times more", a.Status, a.Code, len(w.asked)-asked)
	}
}

func TestWhatTheAuthorizerSays(t *testing.T) {
	one := func(policy ...events.IAMPolicyStatement) events.APIGatewayCustomAuthorizerResponse {
		return events.APIGatewayCustomAuthorizerResponse{PrincipalID: "x", PolicyDocument: events.APIGatewayCustomAuthorizerPolicy{Statement: policy}}
	}
	all := events.IAMPolicyStatement{Action: []string{"execute-api:Invoke"}, Effect: "Allow", Resource: []string{"*"}}
	for _, c := range []struct {
		name   string
		answer events.APIGatewayCustomAuthorizerResponse
		err    error
		status int
		code   string
	}{
		{"all", one(all), nil, 200, ""},
		{"no", events.APIGatewayCustomAuthorizerResponse{}, errors.New("Unauthorized"), 401, "no_token"},
		{"no keys", events.APIGatewayCustomAuthorizerResponse{}, errors.New("no keys"), 503, "keys_unavailable"},
		{"no, in other words", events.APIGatewayCustomAuthorizerResponse{}, errors.New("unauthorized"), 503, "keys_unavailable"},
		{"nothing", events.APIGatewayCustomAuthorizerResponse{}, nil, 500, "internal"},
		{"a policy of nothing", one(), nil, 500, "internal"},
		{"nobody", events.APIGatewayCustomAuthorizerResponse{PolicyDocument: one(all).PolicyDocument}, nil, 500, "internal"},
		{"a denial", one(events.IAMPolicyStatement{Action: []string{"execute-api:Invoke"}, Effect: "Deny", Resource: []string{"*"}}), nil, 403, "forbidden"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				w.cfg.Authorizer = func(context.Context, events.APIGatewayCustomAuthorizerRequest) (events.APIGatewayCustomAuthorizerResponse, error) {
					return c.answer, c.err
				}
			})
			a := w.send("GET", "/campaign", "user")
			if a.Status != c.status || a.Code != c.code {
				t.Errorf("%d %q, should be %d %q", a.Status, a.Code, c.status, c.code)
			}
			if reached := w.reached(); (len(reached) > 0) != (c.status == 200) {
				t.Errorf("reached %v", reached)
			}
			if c.err != nil && w.gateway.policies.all != nil {
				t.Error("an error was kept")
			}
		})
	}
}

func TestTokensThatCannotBeOneAreNotAskedAbout(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name   string
		tokens []string
		status int
	}{
		{"none", nil, 401},
		{"empty", []string{""}, 401},
		{"another scheme", []string{"Basic dXNlcjpwYXNz"}, 401},
		{"no scheme", []string{"user.of.test"}, 401},
		{"two parts", []string{"Bearer user.of"}, 401},
		{"no signature", []string{"Bearer user.of."}, 401},
		{"five parts", []string{"Bearer user.of.test.a.b"}, 401},
		{"two headers", []string{bearer("user"), bearer("admin")}, 401},
		{"a line more", []string{bearer("user") + "\nx"}, 401},
		{"one", []string{bearer("user")}, 200},
		{"one, the scheme in small letters", []string{"bearer user.of.test"}, 401}, // the test's authorizer says so: it was asked
	} {
		w.asked = nil
		a := w.send("GET", "/campaign", "", func(r *http.Request) { r.Header["Authorization"] = c.tokens })
		if a.Status != c.status {
			t.Errorf("%s: %d, should be %d", c.name, a.Status, c.status)
		}
		if asked := strings.HasPrefix(c.name, "one"); asked != (len(w.asked) == 1) {
			t.Errorf("%s: the authorizer was asked %d times", c.name, len(w.asked))
		}
		if c.status == 401 && a.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: WWW-Authenticate is %q", c.name, a.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestPolicies(t *testing.T) {
	const base = "arn:aws:execute-api:local:000000000000:angelowl/local/"
	st := func(effect, action string, resources ...string) events.IAMPolicyStatement {
		return events.IAMPolicyStatement{Action: []string{action}, Effect: effect, Resource: resources}
	}
	const invoke = "execute-api:Invoke"
	const uuids = "????????-????-????-????-????????????"
	for _, c := range []struct {
		name   string
		policy []events.IAMPolicyStatement
		asked  string
		want   bool
	}{
		{"no statement", nil, "GET/a", false},
		{"the very one", []events.IAMPolicyStatement{st("Allow", invoke, base+"GET/a")}, "GET/a", true},
		{"another method", []events.IAMPolicyStatement{st("Allow", invoke, base+"GET/a")}, "POST/a", false},
		{"longer", []events.IAMPolicyStatement{st("Allow", invoke, base+"GET/a")}, "GET/a/b", false},
		{"capitals", []events.IAMPolicyStatement{st("Allow", invoke, base+"GET/a")}, "GET/A", false},
		{"a star over slashes", []events.IAMPolicyStatement{st("Allow", invoke, base+"GET/a/*")}, "GET/a/b/c", true},
		{"a star for nothing", []events.IAMPolicyStatement{st("Allow", invoke, base+"GET/a*")}, "GET/a", true},
		{"stars that go back", []events.IAMPolicyStatement{st("Allow", invoke, "*/a/*/b")}, "GET/a/b/a/x/b", true},
		{"stars that find no end", []events.IAMPolicyStatement{st("Allow", invoke, "*/a/*/b")}, "GET/a/x/c", false},
		{"ids", []events.IAMPolicyStatement{st("Allow", invoke, base+"GET/user/"+uuids)}, "GET/user/" + someID, true},
		{"not an id", []events.IAMPolicyStatement{st("Allow", invoke, base+"GET/user/"+uuids)}, "GET/user/search", false},
		{"one character too few", []events.IAMPolicyStatement{st("Allow", invoke, base+"GET/??")}, "GET/a", false},
		{"a denial wins", []events.IAMPolicyStatement{st("Allow", invoke, "*"), st("Deny", invoke, base+"GET/a")}, "GET/a", false},
		{"a denial wins before", []events.IAMPolicyStatement{st("Deny", invoke, base+"GET/a"), st("Allow", invoke, "*")}, "GET/a", false},
		{"a denial of another", []events.IAMPolicyStatement{st("Allow", invoke, "*"), st("Deny", invoke, base+"GET/b")}, "GET/a", true},
		{"another action", []events.IAMPolicyStatement{st("Allow", "execute-api:ManageConnections", "*")}, "GET/a", false},
		{"all actions", []events.IAMPolicyStatement{st("Allow", "execute-api:*", "*")}, "GET/a", true},
		{"an effect that is none", []events.IAMPolicyStatement{st("allow", invoke, "*")}, "GET/a", false},
		{"another API", []events.IAMPolicyStatement{st("Allow", invoke, strings.Replace(base, "angelowl", "other", 1)+"*")}, "GET/a", false},
	} {
		if got := allows(c.policy, base+c.asked); got != c.want {
			t.Errorf("%s: %v, should be %v", c.name, got, c.want)
		}
	}
}

func TestTheCacheOfPoliciesIsBounded(t *testing.T) {
	var p policies
	now := time.Unix(0, 0)
	for i := range maxCached + 10 {
		p.put([32]byte{byte(i), byte(i >> 8)}, &grant{until: now.Add(time.Minute)}, now)
	}
	if len(p.all) != maxCached {
		t.Errorf("it holds %d", len(p.all))
	}
	p.put([32]byte{31: 1}, &grant{until: now.Add(time.Hour)}, now.Add(time.Minute))
	if len(p.all) != 1 {
		t.Errorf("it holds %d of which all but one are over", len(p.all))
	}
}

func TestThrottles(t *testing.T) {
	for _, c := range []struct {
		name, method, path string
		change             func(*File)
		passes             int // at once, and after a second
		after              int
	}{
		{"a route's", "POST", "/fx", nil, 5, 1},
		{"that of all", "GET", "/campaign", func(f *File) { f.Throttle = &Throttle{3, 7} }, 7, 3},
		{"none", "GET", "/campaign", func(f *File) { f.Throttle = nil }, 50, 50},
		{"that of all, for what is not there", "GET", "/nothing", func(f *File) { f.Throttle = &Throttle{1, 2} }, 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				if c.change != nil {
					c.change(w.file)
				}
			})
			burst := func(n int) (passed int) {
				for range n {
					a := w.send(c.method, c.path, "bank")
					if a.Status != 429 {
						passed++
					} else if a.Code != "too_many_requests" || a.Header.Get("Retry-After") != "1" {
						t.Errorf("it answers %s, Retry-After %q", a.Body, a.Header.Get("Retry-After"))
					}
				}
				return passed
			}
			if got := burst(50); got != c.passes {
				t.Errorf("%d pass at once, should be %d", got, c.passes)
			}
			w.clock.add(time.Second)
			if got := burst(50); got != c.after {
				t.Errorf("%d pass a second later, should be %d", got, c.after)
			}
		})
	}
	t.Run("a route's is not another's", func(t *testing.T) {
		w := newWorld(t)
		for range 10 {
			w.send("POST", "/fx", "bank")
		}
		if a := w.send("GET", "/fx", "bank"); a.Status != 200 {
			t.Errorf("GET /fx is %d", a.Status)
		}
	})
}

func TestCORS(t *testing.T) {
	w := newWorld(t)
	a := w.send("OPTIONS", "/campaign/"+someID, "", withHeader("Origin", portal), withHeader("Access-Control-Request-Method", "PUT"))
	if a.Status != 204 || a.Body != "" || a.Header.Get("Access-Control-Allow-Origin") != portal || a.Header.Get("Access-Control-Allow-Methods") != "DELETE,GET,PUT,OPTIONS" ||
		!strings.Contains(a.Header.Get("Access-Control-Allow-Headers"), "Authorization") || a.Header.Get("Access-Control-Max-Age") != "600" {
		t.Errorf("preflight: %d %v %s", a.Status, a.Header, a.Body)
	}
	if a := w.send("OPTIONS", "/campaign/17", ""); a.Status != 400 {
		t.Errorf("preflight of what is no path: %d", a.Status)
	}
	if len(w.reached()) > 0 || len(w.asked) > 0 {
		t.Error("a preflight reached somebody")
	}
	// A browser shows an error to the portal only if it may see it.
	for _, path := range []string{"/campaign", "/nothing"} {
		if a := w.send("GET", path, ""); a.Header.Get("Access-Control-Allow-Origin") != portal || a.Header.Get("Access-Control-Expose-Headers") == "" {
			t.Errorf("GET %s is %d, and no browser shows it: %v", path, a.Status, a.Header)
		}
	}
	none := newWorld(t, func(w *world) { w.cfg.PortalOrigin = "" })
	if a := none.send("OPTIONS", "/campaign", ""); a.Status != 204 || a.Header.Values("Access-Control-Allow-Origin") != nil {
		t.Errorf("without a portal: %d %v", a.Status, a.Header)
	}
}

func TestBodies(t *testing.T) {
	unsaid := func(r *http.Request) { r.ContentLength = -1 }
	for _, c := range []struct {
		name, method, path string
		opts               []func(*http.Request)
		status             int
		code, body         string // of the error; what the service sees
	}{
		{"JSON", "POST", "/campaign", []func(*http.Request){withBody("application/json", `{"a":1}`)}, 200, "", `{"a":1}`},
		{"JSON with a charset", "POST", "/campaign", []func(*http.Request){withBody("application/json; charset=utf-8", `{}`)}, 200, "", `{}`},
		{"no type", "POST", "/campaign", []func(*http.Request){withBody("", `{}`)}, 200, "", `{}`},
		{"no body", "POST", "/campaign", nil, 200, "", ""},
		{"a form, as curl calls whatever it is given", "POST", "/campaign", []func(*http.Request){withBody("application/x-www-form-urlencoded", `{"a":1}`)}, 200, "", `{"a":1}`},
		{"a form where one is taken", "POST", "/auth/token", []func(*http.Request){withBody("application/x-www-form-urlencoded", `a=1`)}, 200, "", "a=1"},
		{"a type that is none", "POST", "/campaign", []func(*http.Request){withBody("json;;", `{}`)}, 200, "", "{}"},
		{"a zip", "POST", "/fx", []func(*http.Request){withBody("application/zip", "PK\x00\xff")}, 200, "", "PK\x00\xff"},
		{"a length that is not said", "POST", "/campaign", []func(*http.Request){withBody("application/json", `{}`), unsaid}, 200, "", `{}`},
		{"the most", "POST", "/fx", []func(*http.Request){withBody("text/csv", strings.Repeat("x", MaxBody))}, 200, "", strings.Repeat("x", MaxBody)},
		{"too long", "POST", "/fx", []func(*http.Request){withBody("text/csv", strings.Repeat("x", MaxBody+1))}, 413, "too_large", ""},
		{"too long, not said", "POST", "/fx", []func(*http.Request){withBody("text/csv", strings.Repeat("x", MaxBody+1)), unsaid}, 413, "too_large", ""},
		{"too long for a lambda, not said", "POST", "/publish", []func(*http.Request){withBody("application/json", strings.Repeat(" ", MaxBody+1)), unsaid}, 413, "too_large", ""},
		{"breaks off", "POST", "/campaign", []func(*http.Request){withBody("application/json", `{}`), unsaid, func(r *http.Request) {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), broken{}))
		}}, 400, "invalid", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a := w.send(c.method, c.path, "bank", c.opts...)
			if a.Status != c.status || a.Code != c.code {
				t.Errorf("%d %q, should be %d %q", a.Status, a.Code, c.status, c.code)
			}
			reached := w.reached()
			if (len(reached) == 1) != (c.status == 200) || len(reached) == 1 && reached[0].Body != c.body {
				t.Errorf("reached %d", len(reached))
			}
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("gone") }

func TestRequiredParameters(t *testing.T) {
	w := newWorld(t, func(w *world) {
		for _, o := range w.file.Operations {
			if o.ID == "listCampaigns" {
				o.required = []string{"query q", "header If-Match"}
			}
		}
	})
	if a := w.send("GET", "/campaign?x=1", "user"); a.Status != 400 || a.Code != "invalid" || a.Error != "Missing required request parameters: [q, If-Match]" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := w.send("GET", "/campaign?q=", "user", withHeader("If-Match", "x")); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestHeadersBetweenGatewayAndService(t *testing.T) {
	w := newWorld(t)
	w.answer = func(out http.ResponseWriter, r *http.Request) {
		out.Header().Set("ETag", `"3"`)
		out.Header().Set("X-Request-Id", r.Header.Get("X-Request-Id")+"-of-the-service")
		out.Header().Set("Connection", "X-Hop")
		out.Header().Set("X-Hop", "1")
		out.WriteHeader(http.StatusTeapot)
	}
	a := w.send("GET", "/campaign?q=%2f&q=b", "bank",
		withHeader("X-Request-Id", "mine-1"), withHeader("X-Source-Ip", "10.0.0.1"), withHeader("X-Source-Ip", "10.0.0.2"), withHeader("x-forwarded-for", "10.0.0.3"),
		withHeader("Connection", "X-Secret, Upgrade"), withHeader("X-Secret", "1"), withHeader("Upgrade", "websocket"), withHeader("Te", "trailers"),
		withHeader("If-Match", `"2"`), withHeader("Accept-Encoding", "gzip"))
	got := w.reached()[0]
	for name, want := range map[string][]string{
		"X-Request-Id": {"mine-1"}, "X-Source-Ip": {"192.0.2.7"}, "X-Forwarded-For": {"192.0.2.7"}, "If-Match": {`"2"`}, "Authorization": {bearer("bank")},
		"Accept-Encoding": {"gzip"}, "X-Secret": nil, "Upgrade": nil, "Connection": nil, "Te": nil,
	} {
		if !slices.Equal(got.Header.Values(name), want) {
			t.Errorf("the service sees %s %q, should be %q", name, got.Header.Values(name), want)
		}
	}
	if got.Query != "q=%2f&q=b" || got.Host != "service" {
		t.Errorf("the service sees the query %s and the host %s", got.Query, got.Host)
	}
	if a.Status != http.StatusTeapot || a.Header.Get("ETag") != `"3"` || !slices.Equal(a.Header.Values("X-Request-Id"), []string{"mine-1"}) || a.Header.Get("X-Hop") != "" {
		t.Errorf("the client sees %d %v", a.Status, a.Header)
	}
}

// What a gateway response says is the file's alone.
func TestGatewayResponsesAreTheFiles(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.file.responses[string(missingRoute)] = gatewayResponse{
			StatusCode: "410",
			Parameters: map[string]string{
				"gatewayresponse.header.X-Other": "context.requestId", "gatewayresponse.header.X-Text": "'for ${portal_origin}'",
				"gatewayresponse.header.X-Unknown": "context.stage", "other.header.X-Not": "'x'",
			},
			Templates: map[string]string{"application/json": `{"error": $context.error.messageString, "code": "$context.requestId"}`},
		}
	})
	a := w.send("GET", "/nothing", "", withHeader("X-Request-Id", "mine"))
	if a.Status != 410 || a.Error != "Missing Authentication Token" || a.Code != "mine" || a.Header.Get("X-Other") != "mine" ||
		a.Header.Get("X-Text") != "for "+portal || a.Header["X-Unknown"] != nil || a.Header["X-Not"] != nil {
		t.Errorf("%d %s %v", a.Status, a.Body, a.Header)
	}
}

func TestRequestIDs(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		sent string
		kept bool
	}{{"abc-DEF_123", true}, {strings.Repeat("a", 64), true}, {strings.Repeat("a", 65), false}, {"", false}, {"a b", false}, {"a\nb", false}, {"a{b", false}, {"é", false}, {"4111-1111-1111-1111", false}} {
		a := w.send("GET", "/campaign", "bank", withHeader("X-Request-Id", c.sent))
		id := a.Header.Get("X-Request-Id")
		if (id == c.sent) != c.kept || id == "" {
			t.Errorf("%q became %q", c.sent, id)
		}
		if seen := w.reached()[0].Header.Get("X-Request-Id"); seen != id {
			t.Errorf("the service saw %q, the client %q", seen, id)
		}
	}
}

func TestServicesThatFail(t *testing.T) {
	short := func(w *world) {
		for _, o := range w.file.Operations {
			o.integration.TimeoutMillis = 50
		}
	}
	t.Run("away", func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.cfg.Services["informer"] = "/nowhere/informer" })
		if a := w.send("GET", "/reward/"+someID, "user"); a.Status != 502 || a.Code != "service_away" || a.Header.Get("Retry-After") != "1" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
	t.Run("no HTTP", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(c, "what?\n")
				c.Close()
			}
		}()
		defer l.Close()
		w := newWorld(t, func(w *world) { w.cfg.Services["informer"] = l.Addr().String() })
		if a := w.send("GET", "/reward/"+someID, "user"); a.Status != 502 || a.Code != "service_away" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
	t.Run("too slow", func(t *testing.T) {
		w := newWorld(t, short)
		w.answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		if a := w.send("GET", "/campaign", "user"); a.Status != 504 || a.Code != "timeout" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
	t.Run("breaks off", func(t *testing.T) {
		w := newWorld(t)
		w.answer = func(out http.ResponseWriter, _ *http.Request) {
			out.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(out, "half")
			_ = http.NewResponseController(out).Flush()
			panic(http.ErrAbortHandler)
		}
		srv := httptest.NewServer(w.gateway)
		defer srv.Close()
		r, _ := http.NewRequest("GET", srv.URL+"/campaign", nil)
		r.Header.Set("Authorization", bearer("user"))
		res, err := srv.Client().Do(r)
		if err != nil {
			return // as good: no answer at all
		}
		defer res.Body.Close()
		if b, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("half an answer looks whole: %s", b)
		}
	})
	t.Run("a lambda too slow", func(t *testing.T) {
		w := newWorld(t, short)
		w.lambda = func(ctx context.Context, _ events.APIGatewayProxyRequest) (r events.APIGatewayProxyResponse, _ error) {
			<-ctx.Done()
			return r, ctx.Err()
		}
		if a := w.send("POST", "/publish", "merchant"); a.Status != 504 || a.Code != "timeout" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
	for name, lambda := range map[string]Lambda{
		"a lambda that fails": func(context.Context, events.APIGatewayProxyRequest) (r events.APIGatewayProxyResponse, _ error) {
			return r, errors.New("secret")
		},
		"a lambda that panics": func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
			panic("secret")
		},
		"a lambda that says nothing": func(context.Context, events.APIGatewayProxyRequest) (r events.APIGatewayProxyResponse, _ error) {
			return r, nil
		},
		"a lambda whose bytes are none": func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
			return events.APIGatewayProxyResponse{StatusCode: 200, Body: "!", IsBase64Encoded: true}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.lambda = lambda
			if a := w.send("POST", "/publish", "merchant"); a.Status != 502 || a.Code != "service_away" || strings.Contains(a.Body, "secret") {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	t.Run("the gateway itself", func(t *testing.T) {
		w := newWorld(t, func(w *world) {
			w.cfg.Authorizer = func(context.Context, events.APIGatewayCustomAuthorizerRequest) (events.APIGatewayCustomAuthorizerResponse, error) {
				panic("secret")
			}
		})
		if a := w.send("GET", "/campaign", "user"); a.Status != 500 || a.Code != "internal" || strings.Contains(a.Body, "secret") {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

func TestTheEventOfALambda(t *testing.T) {
	w := newWorld(t)
	var got events.APIGatewayProxyRequest
	var id string
	w.lambda = func(ctx context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		got = e
		if lc, ok := lambdacontext.FromContext(ctx); ok {
			id = lc.AwsRequestID
		}
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > 29*time.Second {
			t.Error("the lambda has no end")
		}
		return events.APIGatewayProxyResponse{
			StatusCode: 202, Body: base64.StdEncoding.EncodeToString([]byte("\x00\xff")), IsBase64Encoded: true,
			Headers:           map[string]string{"content-type": "application/octet-stream", "Content-Length": "7", "Retry-After": "5", "X-Request-Id": "other"},
			MultiValueHeaders: map[string][]string{"x-many": {"1", "2"}},
		}, nil
	}
	a := w.send("POST", "/publish?a=1&a=2", "merchant", withBody("application/json", `{"id":"ü"}`),
		withHeader("X-Request-Id", "mine"), withHeader("X-Source-Ip", "10.0.0.1"), withHeader("Idempotency-Key", "k"), withHeader("X-Two", "1"), withHeader("X-Two", "2"))
	if a.Status != 202 || a.Body != "\x00\xff" || a.Header.Get("Content-Type") != "application/octet-stream" || a.Header.Get("Retry-After") != "5" ||
		!slices.Equal(a.Header["X-Many"], []string{"1", "2"}) || !slices.Equal(a.Header.Values("X-Request-Id"), []string{"mine"}) || a.Header.Get("Content-Length") != "" {
		t.Errorf("the client sees %d %q %v", a.Status, a.Body, a.Header)
	}
	c := got.RequestContext
	for name, is := range map[string]string{
		got.Resource: "/publish", got.Path: "/publish", got.HTTPMethod: "POST", got.Body: `{"id":"ü"}`, got.Headers["Idempotency-Key"]: "k",
		got.Headers["X-Two"]: "2", fmt.Sprint(got.MultiValueHeaders["X-Two"]): "[1 2]", got.Headers["Host"]: "127.0.0.1:8080", got.Headers["Authorization"]: bearer("merchant"),
		got.QueryStringParameters["a"]: "2", fmt.Sprint(got.MultiValueQueryStringParameters["a"]): "[1 2]",
		c.RequestID: "mine", c.Identity.SourceIP: "192.0.2.7", c.HTTPMethod: "POST", c.ResourcePath: "/publish", id: "mine",
		fmt.Sprint(c.Authorizer["principalId"]): someID, fmt.Sprint(c.Authorizer["role"]): "merchant", fmt.Sprint(got.IsBase64Encoded): "false",
	} {
		if name != is {
			t.Errorf("the lambda sees %q, should be %q", name, is)
		}
	}
	if got.Headers["X-Source-Ip"] != "" {
		t.Error("the lambda sees the address that the client made up")
	}
}

func TestOnLoopbackOtherSitesAreKeptOut(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.Loopback = true })
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	for _, c := range []struct {
		name, method string
		opts         []func(*http.Request)
		code         string
	}{
		{"an address", "GET", []func(*http.Request){host("127.0.0.1:8080")}, ""},
		{"an address of IPv6", "GET", []func(*http.Request){host("[::1]:8080")}, ""},
		{"localhost", "GET", []func(*http.Request){host("LOCALHOST.")}, ""},
		{"a name that was pointed here", "GET", []func(*http.Request){host("evil.example:8080")}, "wrong_host"},
		{"another address", "GET", []func(*http.Request){host("192.0.2.1")}, "wrong_host"},
		{"the portal", "POST", []func(*http.Request){withHeader("Origin", portal), withHeader("Sec-Fetch-Site", "same-site")}, ""},
		{"another site", "POST", []func(*http.Request){withHeader("Origin", "https://evil.example"), withHeader("Sec-Fetch-Site", "cross-site")}, "cross_origin"},
		{"another site that reads", "GET", []func(*http.Request){withHeader("Origin", "https://evil.example"), withHeader("Sec-Fetch-Site", "cross-site")}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.send(c.method, "/campaign", "bank", c.opts...)
			if a.Code != c.code || (c.code == "") != (a.Status == 200) {
				t.Errorf("%d %q, should be %q", a.Status, a.Code, c.code)
			}
		})
	}
	open := newWorld(t)
	if a := open.send("GET", "/campaign", "bank", host("bank.example")); a.Status != 200 {
		t.Errorf("elsewhere a name is refused: %d", a.Status)
	}
}

func TestExtra(t *testing.T) {
	extra := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "extra "+r.URL.Path) })
	w := newWorld(t, func(w *world) { w.cfg.Extra, w.cfg.ExtraPaths = extra, []string{"/", "/mail", "/docs/"} })
	for path, want := range map[string]bool{
		"/": true, "/mail": true, "/mail/1": false, "/docs/": true, "/docs/profiler/index.html": true, "/docs/a/": true, "/docs": false,
		"/docs/../campaign": false, "/docs//x": false, "/docs/%2e%2e/x": false, "/nothing": false, "/mailx": false,
	} {
		a := w.send("GET", path, "")
		if got := a.Status == 200 && a.Body == "extra "+path; got != want {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if _, err := New(w.file, Config{Services: w.cfg.Services, Lambdas: w.cfg.Lambdas, Authorizer: w.cfg.Authorizer, Clock: w.clock.Now,
		Extra: extra, ExtraPaths: []string{"/user/"}}); err == nil || !strings.Contains(err.Error(), "would be hidden") {
		t.Errorf("operations were hidden: %v", err)
	}
}

func TestAGatewayThatLacksSomethingIsNotMade(t *testing.T) {
	w := newWorld(t)
	for want, change := range map[string]func(*Config){
		"no address":      func(c *Config) { c.Services = map[string]string{"campaignex": "x:1"} },
		"no lambda":       func(c *Config) { c.Lambdas = nil },
		"no authorizer":   func(c *Config) { c.Authorizer = nil },
		"no clock":        func(c *Config) { c.Clock = nil },
		"portal's origin": func(c *Config) { c.PortalOrigin = "portal" },
	} {
		cfg := w.cfg
		change(&cfg)
		if _, err := New(w.file, cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestTheAccessLogHasRoutesAndNoPaths(t *testing.T) {
	w := newWorld(t)
	w.send("GET", "/campaign/"+someID+"?q=4111111111111111", "bank", withHeader("X-Request-Id", "mine"))
	w.send("GET", "/4111111111111111", "bank")
	log := w.log.String()
	for _, want := range []string{`"route":"/campaign/{id}"`, `"request_id":"mine"`, `"status":200`, `"status":404`, `"route":"none"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s: %s", want, log)
		}
	}
	for _, secret := range []string{"4111", someID, "of.test"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %s: %s", secret, log)
		}
	}
}

// The gateway's own server, as angelowl runs it: what net/http does before the handler, too.
func TestOverTheWire(t *testing.T) {
	w := newWorld(t)
	srv := httptest.NewServer(w.gateway)
	defer srv.Close()
	for _, c := range []struct{ name, request, status string }{
		{"a list", "GET /campaign HTTP/1.1\r\nHost: x\r\nAuthorization: " + bearer("user") + "\r\n\r\n", "200 OK"},
		{"HEAD", "HEAD /campaign HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found"},
		{"TRACE", "TRACE /campaign HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found"},
		{"CONNECT", "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", "404 Not Found"},
		{"a path of somebody else's", "GET http://evil.example/nothing HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found"},
		{"an encoded slash", "GET /reward%2ftoday HTTP/1.1\r\nHost: x\r\nAuthorization: " + bearer("admin") + "\r\n\r\n", "404 Not Found"},
		{"two slashes", "GET //reward/today HTTP/1.1\r\nHost: x\r\nAuthorization: " + bearer("admin") + "\r\n\r\n", "404 Not Found"},
		{"a bare star", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found"},
	} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, strings.Replace(c.request, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
		b, _ := io.ReadAll(conn)
		conn.Close()
		line, rest, _ := strings.Cut(string(b), "\r\n")
		if line != "HTTP/1.1 "+c.status {
			t.Errorf("%s: %s", c.name, line)
		}
		if c.name != "HEAD" && c.status != "200 OK" && !strings.Contains(rest, `"code": "not_found"`) {
			t.Errorf("%s: not our shape: %s", c.name, rest)
		}
	}
	if got := w.reached(); len(got) != 1 {
		t.Errorf("reached %v", got)
	}
}
