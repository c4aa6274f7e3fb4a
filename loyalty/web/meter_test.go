package web_test

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/web"
)

func TestRequestsAreCounted(t *testing.T) {
	set := metrics.New("service", "owl")
	meter := web.NewMeter(set)
	engine := func() *gin.Engine {
		r := web.New(slog.New(slog.NewTextHandler(io.Discard, nil)), web.WithMeter(meter))
		r.GET("/read/:id", func(c *gin.Context) { web.Data(c, 200, "read") })
		r.GET("/panic", func(*gin.Context) { panic("x") })
		return r
	}
	outside, internal := engine(), engine() // of one service, two ports
	for _, path := range []string{"/read/1", "/read/2", "/panic", "/health", "/metrics", "/nowhere", "/read/4111"} {
		ask(outside, "GET", path)
	}
	ask(internal, "GET", "/read/3")
	ask(outside, "DELETE", "/read/1")
	ask(outside, strings.Repeat("X", 50), "/read/1")
	w := ask(outside, "GET", "/metrics")
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var got []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "angelowl_http_requests_") || strings.Contains(line, "_count{") {
			got = append(got, line)
		}
	}
	want := `angelowl_http_requests_total{service="owl",method="",route="none",status="4xx"} 3
angelowl_http_requests_total{service="owl",method="GET",route="/panic",status="5xx"} 1
angelowl_http_requests_total{service="owl",method="GET",route="/read/:id",status="2xx"} 4
angelowl_http_request_duration_seconds_count{service="owl",method="",route="none"} 3
angelowl_http_request_duration_seconds_count{service="owl",method="GET",route="/panic"} 1
angelowl_http_request_duration_seconds_count{service="owl",method="GET",route="/read/:id"} 4
angelowl_http_requests_in_flight{service="owl"} 0
`
	if got := strings.Join(got, ""); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if w := ask(outside, "GET", "/metrics", web.SourceIPHeader, "203.0.113.7"); w.Code != http.StatusNotFound {
		t.Errorf("through the gateway: %d", w.Code)
	}
	if w := ask(web.New(slog.New(slog.DiscardHandler)), "GET", "/metrics"); w.Code != http.StatusNotFound {
		t.Errorf("without a meter: %d", w.Code)
	}
}
