package metrics_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/metrics"
)

func TestText(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(s *metrics.Set)
		want string
	}{
		{"nothing", func(*metrics.Set) {}, ""},
		{"a counter without labels is there from the start", func(s *metrics.Set) { s.Counter("x_total", "It.").With() },
			"# HELP angelowl_x_total It.\n# TYPE angelowl_x_total counter\nangelowl_x_total{service=\"owl\"} 0\n"},
		{"a large one has no exponent", func(s *metrics.Set) { s.Counter("x_total", "It.").With().Add(12_345_678_901) },
			"# HELP angelowl_x_total It.\n# TYPE angelowl_x_total counter\nangelowl_x_total{service=\"owl\"} 12345678901\n"},
		{"labels in order, and what they are of is escaped", func(s *metrics.Set) {
			c := s.Counter("x_total", "Of \\ and\nlines.", "what", "how")
			c.With("b", "").Add(1)
			c.With("a\"\\\n\xff", "é").Add(2)
			c.With("b", "").Add(3)
		}, "# HELP angelowl_x_total Of \\\\ and\\nlines.\n# TYPE angelowl_x_total counter\n" +
			"angelowl_x_total{service=\"owl\",what=\"a\\\"\\\\\\n\uFFFD\",how=\"é\"} 2\nangelowl_x_total{service=\"owl\",what=\"b\",how=\"\"} 4\n"},
		{"a histogram: a bound belongs to the bucket below it", func(s *metrics.Set) {
			h := s.Histogram("y_seconds", "It.", []time.Duration{50 * time.Millisecond, time.Second}, "of").With("a")
			h.Observe(50 * time.Millisecond)
			h.Observe(-time.Hour)
			h.ObserveN(51*time.Millisecond, 2)
			h.Observe(time.Minute)
		}, "# HELP angelowl_y_seconds It.\n# TYPE angelowl_y_seconds histogram\n" +
			"angelowl_y_seconds_bucket{service=\"owl\",of=\"a\",le=\"0.05\"} 2\nangelowl_y_seconds_bucket{service=\"owl\",of=\"a\",le=\"1\"} 4\n" +
			"angelowl_y_seconds_bucket{service=\"owl\",of=\"a\",le=\"+Inf\"} 5\nangelowl_y_seconds_sum{service=\"owl\",of=\"a\"} 60.152\nangelowl_y_seconds_count{service=\"owl\",of=\"a\"} 5\n"},
		{"what is asked for", func(s *metrics.Set) {
			s.Gauge("z", "It.", []string{"n"}, func(emit func(string, ...string)) { emit("-1.5", "0"); emit("2", "1") })
			s.Sums("w_total", "It.", nil, func(emit func(string, ...string)) { emit("0.01") })
		}, "# HELP angelowl_z It.\n# TYPE angelowl_z gauge\nangelowl_z{service=\"owl\",n=\"0\"} -1.5\nangelowl_z{service=\"owl\",n=\"1\"} 2\n" +
			"# HELP angelowl_w_total It.\n# TYPE angelowl_w_total counter\nangelowl_w_total{service=\"owl\"} 0.01\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := metrics.New("service", "owl")
			tt.do(s)
			if got := string(s.Append(nil)); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
			tt.do(nil) // takes it, too
		})
	}
}

func TestWithoutLabelsOfTheSet(t *testing.T) {
	s := metrics.New()
	s.Counter("x_total", "It.").With().Add(1)
	if got, want := string(s.Append(nil)), "# HELP angelowl_x_total It.\n# TYPE angelowl_x_total counter\nangelowl_x_total 1\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestNamesAreThereOnce(t *testing.T) {
	s := metrics.New()
	s.Counter("x_total", "It.")
	defer func() {
		if recover() == nil {
			t.Error("a name was there twice")
		}
	}()
	s.Gauge("x_total", "Another.", nil, nil)
}

func TestTheGatewayHasNone(t *testing.T) {
	s := metrics.New()
	s.Counter("x_total", "It.").With()
	ask := func(header string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/metrics", nil)
		if header != "" {
			r.Header.Set(header, "203.0.113.7")
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	if w := ask(""); w.Code != 200 || w.Body.Len() == 0 || w.Header().Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	if w := ask("X-Source-Ip"); w.Code != 404 {
		t.Errorf("through the gateway: %d %q", w.Code, w.Body)
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	s := metrics.New("service", "owl")
	c := s.Counter("x_total", "It.", "of").With("a")
	h := s.Histogram("y_seconds", "It.", []time.Duration{time.Millisecond, time.Second}).With()
	if n := testing.AllocsPerRun(100, func() { c.Add(1); h.Observe(time.Second) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
