// Package frontdoor is the one address of the all-in-one: it passes each request to the service
// whose it is, and shows a page that says what there is.
package frontdoor

import (
	"context"
	_ "embed"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
)

// Backends are the sockets of the services, paths in the file system.
type Backends struct {
	Campaignex, Profiler, Informer string
}

// Page is what a person who opens the front door is told.
type Page struct {
	Home      string   // the home currency
	Cards     []string // some card ids that have rewards
	Addresses []Address
}

// Address is an engine's, for a person who wants to look inside.
type Address struct{ Name, Where string }

//go:embed page.html
var pageHTML string

// New returns the handler; page says what the page at / shows. Until sign-in exists everybody is the
// admin, so requests that a page of another site sends through a person's browser are refused:
// those whose Host is no loopback name, and those that the browser marks as coming from elsewhere.
func New(b Backends, page func(context.Context) Page, log *slog.Logger) (http.Handler, error) {
	tmpl, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, err
	}
	// The services have limits of their own; the largest body is a file of quotes.
	r := web.New(log, web.WithMaxBody(32<<20))
	r.Use(sameOrigin())
	campaignex, profiler, informer := proxy(b.Campaignex), proxy(b.Profiler), proxy(b.Informer)
	for prefix, to := range map[string]gin.HandlerFunc{
		"/campaign":  campaignex,
		"/exclusion": campaignex,
		"/fx":        campaignex,
		"/card/type": profiler,
		"/reward":    informer,
	} {
		r.Any(prefix, to)
		r.Any(prefix+"/*rest", to)
	}
	for name, to := range map[string]gin.HandlerFunc{"campaignex": campaignex, "profiler": profiler, "informer": informer} {
		r.GET("/docs/"+name+"/*rest", func(c *gin.Context) {
			c.Request.URL.Path = "/swagger" + c.Param("rest")
			to(c)
		})
	}
	r.GET("/", func(c *gin.Context) {
		c.Header("Content-Type", "text/html; charset=utf-8")
		c.Header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		if err := tmpl.Execute(c.Writer, page(c.Request.Context())); err != nil {
			log.WarnContext(c, "writing the page", "error", err)
		}
	})
	return r, nil
}

// sameOrigin refuses what another site's page sends: a name that was pointed at 127.0.0.1 shows in
// Host, and a form or a script shows in Sec-Fetch-Site or Origin.
func sameOrigin() gin.HandlerFunc {
	guard := http.NewCrossOriginProtection()
	return func(c *gin.Context) {
		host := c.Request.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ip := net.ParseIP(strings.Trim(host, "[]"))
		switch {
		case !strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") && (ip == nil || !ip.IsLoopback()):
			web.Fail(c, &web.Error{Status: http.StatusForbidden, Code: "wrong_host", Message: "ask for 127.0.0.1 or localhost"})
			c.Abort()
		case guard.Check(c.Request) != nil:
			web.Fail(c, &web.Error{Status: http.StatusForbidden, Code: "cross_origin", Message: "this request comes from a page of another site"})
			c.Abort()
		}
	}
}

type ginKey struct{}

// proxy passes requests on to a service.
func proxy(socket string) gin.HandlerFunc {
	var dialer net.Dialer
	p := &httputil.ReverseProxy{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", socket)
			},
			MaxIdleConnsPerHost:   16,
			IdleConnTimeout:       time.Minute,
			ResponseHeaderTimeout: 2 * time.Minute, // as long as a service may write
		},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "service"})
			r.SetXForwarded()
			r.Out.Header.Set(web.RequestIDHeader, web.RequestID(r.In.Context()))
		},
		ModifyResponse: func(res *http.Response) error {
			// The front door has written its own; what a page may do is for the service to say.
			if c, ok := res.Request.Context().Value(ginKey{}).(*gin.Context); ok && res.Header.Get("Content-Security-Policy") != "" {
				c.Header("Content-Security-Policy", res.Header.Get("Content-Security-Policy"))
			}
			for _, h := range append([]string{web.RequestIDHeader}, web.SecurityHeaders...) {
				res.Header.Del(h)
			}
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				return // the client has hung up
			}
			web.Log(r.Context()).WarnContext(r.Context(), "a service does not answer", "socket", socket, "error", err)
			if c, ok := r.Context().Value(ginKey{}).(*gin.Context); ok {
				web.Fail(c, &web.Error{Status: http.StatusBadGateway, Code: "service_away", Message: "the service behind this address does not answer; try again"})
			}
		},
	}
	return func(c *gin.Context) {
		p.ServeHTTP(c.Writer, c.Request.WithContext(context.WithValue(c.Request.Context(), ginKey{}, c)))
	}
}
