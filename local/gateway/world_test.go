package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/aws/aws-lambda-go/events"
)

const (
	someID = "6b6f0c1e-9e6b-4a43-8d6a-0d3c5b9f1a11"
	portal = "http://127.0.0.1:3000"
)

// clock is one that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// seen is a request as a service saw it.
type seen struct {
	Service, Method, Path, Query, Body, Host string
	Header                                   http.Header
}

// world is a gateway with a little service for each of the file, and what they saw.
type world struct {
	t       testing.TB
	file    *File
	cfg     Config
	gateway *Gateway
	clock   *clock
	log     *strings.Builder

	mu       sync.Mutex
	seen     []seen
	asked    []events.APIGatewayCustomAuthorizerRequest
	answer   http.HandlerFunc // of services; nil: {"data": "OK"}
	lambda   Lambda
	authFail error
}

type option func(*world)

func newWorld(t testing.TB, opts ...option) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, log: &strings.Builder{}}
	var err error
	if w.file, err = Load("../../.infra/api/openapi.yaml"); err != nil {
		t.Fatal(err)
	}
	w.cfg = Config{
		Services: map[string]string{}, Lambdas: map[string]Lambda{"publish-single": w.publish, "uploads": w.uploads},
		Authorizer: w.authorize, PortalOrigin: portal, Clock: w.clock.Now,
		Log: slog.New(slog.NewJSONHandler(&locked{w: w.log}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	// One behind a port, the others behind sockets.
	for i, name := range []string{"campaignex", "profiler", "informer", "rewarder"} {
		network, address := "unix", filepath.Join(t.TempDir(), name)
		if i == 0 {
			network, address = "tcp", "127.0.0.1:0"
		}
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: w.service(name)}}
		srv.Start()
		t.Cleanup(srv.Close)
		w.cfg.Services[name] = l.Addr().String()
	}
	for _, o := range opts {
		o(w)
	}
	if w.gateway, err = New(w.file, w.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.gateway.Close)
	return w
}

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func (w *world) service(name string) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		w.seen = append(w.seen, seen{name, r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(body), r.Host, r.Header})
		answer := w.answer
		w.mu.Unlock()
		if answer != nil {
			answer(out, r)
			return
		}
		out.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(out, `{"data":"OK"}`)
	})
}

func (w *world) publish(ctx context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	w.mu.Lock()
	w.seen = append(w.seen, seen{Service: "publish-single", Method: e.HTTPMethod, Path: e.Path, Body: e.Body, Header: e.MultiValueHeaders})
	lambda := w.lambda
	w.mu.Unlock()
	if lambda != nil {
		return lambda(ctx, e)
	}
	return events.APIGatewayProxyResponse{StatusCode: 202, Body: `{"data":{"id":"` + someID + `"}}`}, nil
}

func (w *world) uploads(_ context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, seen{Service: "uploads", Method: e.HTTPMethod, Path: e.Path, Body: e.Body, Header: e.MultiValueHeaders})
	return events.APIGatewayProxyResponse{StatusCode: 200, Body: `{"data":[]}`}, nil
}

// bearer is a token of a role; the test's authorizer reads it.
func bearer(role string) string { return "Bearer " + role + ".of.test" }

// authorize lets a role do what the file says: by ? for ids, as the real authorizer does.
func (w *world) authorize(_ context.Context, r events.APIGatewayCustomAuthorizerRequest) (none events.APIGatewayCustomAuthorizerResponse, _ error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, r)
	if w.authFail != nil {
		return none, w.authFail
	}
	role := token.Role(strings.TrimPrefix(strings.SplitN(r.AuthorizationToken, ".", 2)[0], "Bearer "))
	if !role.Valid() {
		return none, errors.New("Unauthorized")
	}
	base := strings.Join(strings.SplitN(r.MethodArn, "/", 3)[:2], "/")
	invoke := []string{"execute-api:Invoke"}
	allow := events.IAMPolicyStatement{Action: invoke, Effect: "Allow", Resource: []string{base + "/GET/nothing"}}
	deny := events.IAMPolicyStatement{Action: invoke, Effect: "Deny"}
	for _, route := range w.file.Routes() {
		pattern := pathParam.ReplaceAllStringFunc(route.Path, func(p string) string {
			if p == "{card_type}" || p == "{date}" || p == "{letter}" {
				return "*"
			}
			return "????????-????-????-????-????????????"
		})
		if slices.Contains(route.Roles, role) {
			allow.Resource = append(allow.Resource, base+"/"+route.Method+pattern)
		} else if strings.Contains(pattern, "*/") {
			deny.Resource = append(deny.Resource, base+"/"+route.Method+pattern)
		}
	}
	return events.APIGatewayCustomAuthorizerResponse{
		PrincipalID:    someID,
		PolicyDocument: events.APIGatewayCustomAuthorizerPolicy{Version: "2012-10-17", Statement: []events.IAMPolicyStatement{allow, deny}},
		Context:        map[string]any{"role": string(role)},
	}, nil
}

// reached are the requests that came to a service since the last call.
func (w *world) reached() []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.seen
	w.seen = nil
	return s
}

type answer struct {
	Status int
	Header http.Header
	Body   string
	Error  string            `json:"error"`
	Code   string            `json:"code"`
	Fields map[string]string `json:"fields"`
}

// send sends a request whose path is not touched on the way.
func (w *world) send(method, target, role string, opts ...func(*http.Request)) answer {
	w.t.Helper()
	r := rawRequest(method, target)
	if r == nil {
		w.t.Fatalf("%s cannot be sent", target)
	}
	if role != "" {
		r.Header.Set("Authorization", bearer(role))
	}
	for _, o := range opts {
		o(r)
	}
	rec := httptest.NewRecorder()
	w.gateway.ServeHTTP(rec, r)
	a := answer{Status: rec.Code, Header: rec.Header(), Body: rec.Body.String()}
	if rec.Code >= 400 && strings.HasPrefix(rec.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil {
			w.t.Errorf("%s %s: the error is not JSON: %s", method, target, rec.Body)
		}
	}
	return a
}

// rawRequest is what net/http's server makes of a request line; nil where it makes nothing.
func rawRequest(method, target string) *http.Request {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil
	}
	r := &http.Request{Method: method, URL: u, RequestURI: target, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Host: "127.0.0.1:8080", RemoteAddr: "192.0.2.7:4711", Body: http.NoBody}
	return r.WithContext(context.Background())
}

func withBody(kind, body string) func(*http.Request) {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		if kind != "" {
			r.Header.Set("Content-Type", kind)
		}
	}
}

func withHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Add(name, value) }
}
