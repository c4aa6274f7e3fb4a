package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

// service is where HTTP proxy integrations go.
type service struct {
	gateway   *Gateway
	transport *http.Transport
	proxy     *httputil.ReverseProxy
}

type requestKey struct{}

func newService(g *Gateway, address string) *service {
	var dialer net.Dialer
	network := "tcp"
	if strings.ContainsRune(address, '/') {
		network = "unix"
	}
	s := &service{gateway: g, transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true, // bytes are passed on as they are
	}}
	s.proxy = &httputil.ReverseProxy{
		Transport: s.transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			r := p.In.Context().Value(requestKey{}).(*request)
			// The file says where it goes, not the client: matched parameters have nothing to escape.
			path := r.op.integration.path
			for name, value := range r.params {
				path = strings.ReplaceAll(path, "{"+name+"}", value)
			}
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.URL.Path, p.Out.URL.RawPath = "http", "service", path, ""
			p.Out.Host = ""
			p.SetXForwarded()
			h := p.Out.Header
			// No connection of a client becomes one of a service.
			for _, name := range []string{"Connection", "Upgrade", "Te", "Expect"} {
				h.Del(name)
			}
			for target, source := range r.op.integration.RequestParameters {
				name, ok := strings.CutPrefix(target, "integration.request.header.")
				if !ok {
					continue
				}
				switch source { // a client's own are replaced
				case "context.requestId":
					h.Set(name, r.id)
				case "context.identity.sourceIp":
					h.Set(name, r.ip)
				}
			}
		},
		ModifyResponse: func(res *http.Response) error {
			r := res.Request.Context().Value(requestKey{}).(*request)
			res.Header.Set("X-Request-Id", r.id)
			return nil
		},
		ErrorHandler: s.failed,
	}
	return s
}

func (s *service) serve(w *recorder, r *request) {
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), requestKey{}, r), r.timeout)
	defer cancel()
	s.proxy.ServeHTTP(w, r.WithContext(ctx))
}

func (s *service) failed(w http.ResponseWriter, out *http.Request, err error) {
	r := out.Context().Value(requestKey{}).(*request)
	switch {
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // the client has hung up
	case errors.Is(err, context.DeadlineExceeded):
		r.log.WarnContext(r.Context(), "a service took too long", "service", r.op.Service, "route", r.op.Path)
		s.gateway.fail(w, r, integrationTimeout, "Endpoint request timed out")
	default:
		r.log.WarnContext(r.Context(), "a service does not answer", "service", r.op.Service, "error", err)
		s.gateway.fail(w, r, integrationFailure, "Network error communicating with endpoint")
	}
}
