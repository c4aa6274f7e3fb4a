package lambdatest

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// Proxy stands between a lambda and a server, so that a test decides when the lambda dies. Set what it
// calls before the lambda starts; it is called by several goroutines at once.
type Proxy struct {
	URL string
	// Before sees each request. When it says true, the request goes no further and is not answered.
	Before func(*http.Request) bool
	// After sees each answer, whose body it may replace. When it says true, the answer does not arrive.
	After func(*http.Response) bool
}

// NewProxy returns a proxy of a server, until the test's end.
func NewProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{}
	pool := &http.Transport{}
	reverse := &httputil.ReverseProxy{
		Transport: pool, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0), // of those who were killed
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // where requests are signed, it is, too
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ModifyResponse: func(r *http.Response) error {
			if p.After != nil && p.After(r) {
				return io.ErrUnexpectedEOF
			}
			return nil
		},
	}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.Before != nil && p.Before(r) {
			panic(http.ErrAbortHandler)
		}
		reverse.ServeHTTP(w, r)
	}))
	front.Listener = narrow{front.Listener}
	front.Start()
	p.URL = front.URL
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		pool.CloseIdleConnections()
	})
	return p
}

// Instead is an After by which the object at a path has another content, of so many bytes: one that is too
// large to be stored.
func Instead(path string, content func() io.Reader, size int64) func(*http.Response) bool {
	return func(r *http.Response) bool {
		if r.Request.URL.Path != path || r.Request.Method != http.MethodGet {
			return false
		}
		_ = r.Body.Close()
		r.Body, r.ContentLength = io.NopCloser(content()), size
		r.Header.Set("Content-Length", strconv.FormatInt(size, 10))
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Amz-Checksum") {
				r.Header.Del(name)
			}
		}
		return false
	}
}

// narrow is a listener whose connections buffer little, so that what has been sent is soon read.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok {
		err = errors.Join(err, t.SetWriteBuffer(8<<10))
	}
	return c, err
}
