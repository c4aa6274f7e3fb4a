package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	ids "github.com/angelowl-loyalties/app/loyalty/answer"
	"golang.org/x/time/rate"
)

// MaxBody is API Gateway's limit of a request.
const MaxBody = 10 << 20

// Config is what the file leaves open.
type Config struct {
	// Services are addresses by the file's variables (campaignex, profiler, informer, rewarder): host:port, or
	// the path of a Unix socket.
	Services map[string]string
	// Lambdas are handlers by folder (publish-single).
	Lambdas map[string]Lambda
	// Authorizer says who calls and what they may call.
	Authorizer Authorizer
	// PortalOrigin is the one origin that browsers may send requests from: http://127.0.0.1:3000. Empty: none.
	PortalOrigin string
	// Loopback refuses requests that name another host than a loopback one, and those that a page of another
	// site than the portal's sends: for a gateway on a laptop.
	Loopback bool
	// Extra answers what is no part of the API, under ExtraPaths: one that ends in / with all that
	// is below it, others alone ("/" is alone, too). An operation of the file cannot be hidden by it.
	Extra      http.Handler
	ExtraPaths []string

	Log   *slog.Logger
	Clock func() time.Time
}

// Gateway serves a File. It may be used by many goroutines at once.
type Gateway struct {
	file     *File
	cfg      Config
	tree     *tree
	services map[string]*service
	all      *rate.Limiter
	routes   map[*Operation]*rate.Limiter
	policies policies
	foreign  *http.CrossOriginProtection
}

// New returns a gateway. Every service and lambda of the file must be in cfg.
func New(file *File, cfg Config) (*Gateway, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		return nil, errors.New("the gateway has no clock")
	}
	if cfg.Authorizer == nil {
		return nil, errors.New("the gateway has no authorizer")
	}
	g := &Gateway{
		file: file, cfg: cfg, tree: newTree(file.Operations), services: map[string]*service{},
		all: limiter(file.Throttle), routes: map[*Operation]*rate.Limiter{}, foreign: http.NewCrossOriginProtection(),
	}
	if cfg.PortalOrigin != "" {
		if err := g.foreign.AddTrustedOrigin(cfg.PortalOrigin); err != nil {
			return nil, fmt.Errorf("the portal's origin: %w", err)
		}
	}
	var errs []error
	for _, o := range file.Operations {
		g.routes[o] = limiter(o.Throttle)
		switch {
		case o.Service != "" && cfg.Services[o.Service] == "":
			errs = append(errs, fmt.Errorf("%s %s: the service %s has no address", o.Method, o.Path, o.Service))
		case o.Service != "" && g.services[o.Service] == nil:
			g.services[o.Service] = newService(g, cfg.Services[o.Service])
		case o.Lambda != "" && cfg.Lambdas[o.Lambda] == nil:
			errs = append(errs, fmt.Errorf("%s %s: there is no lambda %s", o.Method, o.Path, o.Lambda))
		}
		if g.extra(o.Path) {
			errs = append(errs, fmt.Errorf("%s %s would be hidden by what is no part of the API", o.Method, o.Path))
		}
	}
	return g, errors.Join(errs...)
}

// Close ends idle connections to services.
func (g *Gateway) Close() {
	for _, s := range g.services {
		s.transport.CloseIdleConnections()
	}
}

func limiter(t *Throttle) *rate.Limiter {
	if t == nil {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(t.Rate), t.Burst)
}

// request is one on its way.
type request struct {
	*http.Request
	id      string
	ip      string
	log     *slog.Logger
	op      *Operation
	params  map[string]string
	grant   *grant
	timeout time.Duration
}

// The account and API of the ARNs that the authorizer sees.
const (
	account = "000000000000"
	api     = "angelowl"
	stage   = "local"
)

func (r *request) arn() string {
	return "arn:aws:execute-api:local:" + account + ":" + api + "/" + stage + "/" + r.Method + r.URL.EscapedPath()
}

// ServeHTTP is the way of every request.
func (g *Gateway) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	began := time.Now()
	r := &request{Request: in, id: requestID(in)}
	r.ip, _, _ = net.SplitHostPort(in.RemoteAddr) // a Unix socket has no address
	r.log = g.cfg.Log.With("request_id", r.id)
	w := &recorder{ResponseWriter: out}
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			r.log.Error("panic in the gateway", "panic", loyalty.StarPANs(fmt.Sprint(p)), "stack", string(debug.Stack()))
			if w.status != 0 {
				panic(http.ErrAbortHandler) // half an answer must not look whole
			}
			g.fail(w, r, internalFailure, "")
		}
	}()
	defer func() {
		level, route := slog.LevelInfo, "none"
		if r.op != nil {
			route = r.op.Path
		}
		if route == "/health" {
			level = slog.LevelDebug // probes would drown the rest
		}
		// The route, not the path: what strangers ask for is not ours to keep.
		r.log.Log(in.Context(), level, "gateway", "method", in.Method, "route", route, "status", w.status,
			"bytes", w.bytes, "duration", time.Since(began))
	}()
	g.serve(w, r)
}

func (g *Gateway) serve(w *recorder, r *request) {
	if g.cfg.Loopback && !g.ownSite(w, r) {
		return
	}
	path := r.URL.EscapedPath()
	if g.extra(path) {
		w.Header().Set("X-Request-Id", r.id)
		g.cfg.Extra.ServeHTTP(w, r.Request)
		return
	}
	now := g.cfg.Clock()
	if !g.all.AllowN(now, 1) {
		g.fail(w, r, throttled, "Too Many Requests")
		return
	}
	if r.op, r.params = g.tree.match(r.Method, path); r.op == nil {
		g.fail(w, r, missingRoute, "Missing Authentication Token")
		return
	}
	if !g.routes[r.op].AllowN(now, 1) {
		g.fail(w, r, throttled, "Too Many Requests")
		return
	}
	if r.op.Roles != nil {
		if r.grant = g.authorize(w, r); r.grant == nil {
			return
		}
	}
	// Before the policy: an id that is none gets the plainer answer of the two. Never before the token.
	if fields := r.op.wrongParams(r.params); fields != nil {
		g.failOwn(w, r, http.StatusBadRequest, "invalid", words(fields), fields)
		return
	}
	if r.grant != nil && !allows(r.grant.policy, r.arn()) {
		g.fail(w, r, accessDenied, "User is not authorized to access this resource")
		return
	}
	if !g.checkParams(w, r) || !g.checkBody(w, r) {
		return
	}
	r.timeout = time.Duration(r.op.integration.TimeoutMillis) * time.Millisecond
	switch {
	case r.op.Service != "":
		g.services[r.op.Service].serve(w, r)
	case r.op.Lambda != "":
		g.invoke(w, r, g.cfg.Lambdas[r.op.Lambda])
	default:
		g.mock(w, r)
	}
}

// ownSite keeps out what another site's page sends through a person's browser: a name that was pointed
// at 127.0.0.1 shows in Host, and a form or a script shows in Sec-Fetch-Site or Origin.
func (g *Gateway) ownSite(w http.ResponseWriter, r *request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	switch {
	case !strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") && (ip == nil || !ip.IsLoopback()):
		g.failOwn(w, r, http.StatusForbidden, "wrong_host", "ask for 127.0.0.1 or localhost", nil)
	case g.foreign.Check(r.Request) != nil:
		g.failOwn(w, r, http.StatusForbidden, "cross_origin", "this request comes from a page of another site", nil)
	default:
		return true
	}
	return false
}

// extra says whether a path is no part of the API.
func (g *Gateway) extra(path string) bool {
	if g.cfg.Extra == nil {
		return false
	}
	for _, p := range g.cfg.ExtraPaths {
		if path == p {
			return true
		}
		if rest, ok := strings.CutPrefix(path, p); ok && p != "/" && strings.HasSuffix(p, "/") && plain("/"+strings.TrimSuffix(rest, "/")) {
			return true
		}
	}
	return false
}

// wrongParams names the path parameters that are not of their pattern.
func (o *Operation) wrongParams(params map[string]string) (fields map[string]string) {
	for name, value := range params {
		if p := o.pathParams[name]; !p.pattern.MatchString(value) {
			if fields == nil {
				fields = map[string]string{}
			}
			fields[name] = p.plain
		}
	}
	return fields
}

func words(fields map[string]string) string {
	var all []string
	for name, reason := range fields {
		all = append(all, name+" "+reason)
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// checkParams looks for the required ones.
func (g *Gateway) checkParams(w http.ResponseWriter, r *request) bool {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		g.fail(w, r, badParameters, "the query cannot be read")
		return false
	}
	var missing []string
	for _, p := range r.op.required {
		in, name, _ := strings.Cut(p, " ")
		if in == "query" && !query.Has(name) || in == "header" && r.Header.Get(name) == "" {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		g.fail(w, r, badParameters, "Missing required request parameters: ["+strings.Join(missing, ", ")+"]")
		return false
	}
	return true
}

// checkBody holds the body to its limit. A length that is not said is found out before anybody sees the
// request. What a body is, the service says: API Gateway passes any media type on to a proxy
// integration (passthroughBehavior when_no_match).
func (g *Gateway) checkBody(w http.ResponseWriter, r *request) bool {
	switch {
	case r.ContentLength > MaxBody:
		g.fail(w, r, tooLarge, "Request Too Long")
		return false
	case r.ContentLength < 0:
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			g.fail(w, r, tooLarge, "Request Too Long")
			return false
		}
		if err != nil {
			g.fail(w, r, badBody, "the body broke off")
			return false
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.TransferEncoding = nil
	}
	return true
}

// mock answers what the file says, and asks nobody.
func (g *Gateway) mock(w http.ResponseWriter, r *request) {
	res := r.op.integration.Responses["default"]
	status, err := strconv.Atoi(res.StatusCode)
	if err != nil {
		g.fail(w, r, internalFailure, "")
		return
	}
	g.headers(w, r, "method.response.header.", res.Parameters)
	if body := res.Templates["application/json"]; body != "" {
		writeJSON(w, status, []byte(body))
		return
	}
	w.WriteHeader(status)
}

// requestID keeps the id that a request brings, if it can be written to a log.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if len(id) == 0 || len(id) > 64 || loyalty.StarPANs(id) != id {
		return ids.NewRequestID()
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return ids.NewRequestID()
		}
	}
	return id
}

// recorder knows what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// within runs f until it is done or ctx is. f sees ctx, and what it still does after that is lost.
func within[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- result{err: fmt.Errorf("panic: %s", loyalty.StarPANs(fmt.Sprint(p)))}
			}
		}()
		value, err := f(ctx)
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}
