// Package frontdoor is what the all-in-one's address has beside the API: a page that says what there
// is, the services' descriptions of themselves, and the mailbox.
package frontdoor

import (
	"context"
	_ "embed"
	"html/template"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/angelowl-loyalties/app/loyalty/web"
	"github.com/gin-gonic/gin"
)

// Page is what a person who opens the front door is told.
type Page struct {
	Home      string    // the home currency
	Samples   []Account // sample users
	Cards     []string  // some card ids that have rewards
	Addresses []Address
}

// Account is one that a person may sign in with. Its password is told where everything was started.
type Account struct{ Role, Name string }

// Address is an engine's, for a person who wants to look inside.
type Address struct{ Name, Where string }

//go:embed page.html
var pageHTML string

// described are the services whose descriptions stand under /docs.
var described = []string{"campaignex", "profiler", "informer"}

// New returns the handler of /, /docs/ and /mail. The services are asked through transport, by their
// names as hosts; page says what the page at / shows.
func New(transport http.RoundTripper, page func(context.Context) Page, mailbox http.Handler, log *slog.Logger) (http.Handler, error) {
	tmpl, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, err
	}
	public := []string{"/", "/mail", "/mail/*rest"}
	for _, name := range described {
		public = append(public, "/docs/"+name+"/*rest")
	}
	r := web.New(log, web.WithPublic(public...))
	for _, name := range described {
		docs := proxy(name, transport)
		r.GET("/docs/"+name+"/*rest", func(c *gin.Context) {
			c.Request.URL.Path, c.Request.URL.RawPath = "/swagger"+c.Param("rest"), ""
			bare(c)
			docs.ServeHTTP(c.Writer, c.Request)
		})
	}
	r.GET("/", func(c *gin.Context) {
		c.Header("Content-Type", "text/html; charset=utf-8")
		c.Header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		if err := tmpl.Execute(c.Writer, page(c.Request.Context())); err != nil {
			log.WarnContext(c, "writing the page", "error", err)
		}
	})
	r.GET("/mail", func(c *gin.Context) { c.Redirect(http.StatusMovedPermanently, "/mail/") })
	r.GET("/mail/*rest", func(c *gin.Context) {
		id := c.Writer.Header().Get(web.RequestIDHeader)
		bare(c)
		c.Header(web.RequestIDHeader, id)
		mailbox.ServeHTTP(c.Writer, c.Request)
	})
	return r, nil
}

// bare takes the headers off that web.New's engine has written: whoever answers writes its own, and knows
// what its pages need.
func bare(c *gin.Context) {
	for _, h := range append([]string{web.RequestIDHeader}, web.SecurityHeaders...) {
		c.Writer.Header().Del(h)
	}
}

// proxy passes requests on to a service.
func proxy(service string, transport http.RoundTripper) http.Handler {
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: service})
			r.Out.Header.Set(web.RequestIDHeader, web.RequestID(r.In.Context()))
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				return // the client has hung up
			}
			web.Log(r.Context()).WarnContext(r.Context(), "a service does not answer", "service", service, "error", err)
			http.Error(w, "the service does not answer; try again", http.StatusBadGateway)
		},
	}
}
