package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/config/tlstest"
	"github.com/angelowl-loyalties/app/loyalty/metrics"
)

// lines is a log that is read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// served is a service with a certificate, until the test ends.
func served(t *testing.T, settings *TLS, log io.Writer) (port string) {
	t.Helper()
	if problems := settings.Check(); len(problems) > 0 {
		t.Fatal(problems)
	}
	l, err := settings.Listen(t.Context(), 0, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(l.Addr().String())
	ctx, stop := context.WithCancel(t.Context())
	// What it answers while it waits is encrypted too.
	waits := func(context.Context) error { return nil }
	if settings.Cert != "" {
		waits = func(context.Context) error {
			conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true}) // whose it is, is asked below
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "GET /livez HTTP/1.0\r\n\r\n"); err != nil {
				return err
			}
			if b, err := io.ReadAll(conn); !strings.Contains(string(b), "alive") {
				return errors.Join(errors.New("it is not alive while it waits: "+string(b)), err)
			}
			return nil
		}
	}
	if err := Start(ctx, l, quiet, Step{"a client", func(error) bool { return false }, waits}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }), time.Second)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return port
}

func asked(url string, conf *tls.Config) (body, server string, err error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: conf, ForceAttemptHTTP2: true}}
	res, err := client.Get(url)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if res.TLS != nil {
		server = res.TLS.PeerCertificates[0].SerialNumber.String()
	}
	return strings.TrimSpace(string(b)), server, err
}

func TestAPortWithACertificate(t *testing.T) {
	a, stranger := tlstest.New(t), tlstest.New(t)
	var log lines
	s := &TLS{}
	s.Cert, s.Key = a.Issue("service", "localhost", "127.0.0.1")
	port := served(t, s, &log)
	for _, tt := range []struct {
		name, url string
		client    *tls.Config
		answer    string // or of the error
	}{
		{"who knows the authority", "https://localhost:" + port, &tls.Config{RootCAs: a.Pool()}, "HTTP/1.1"},
		{"who does not", "https://localhost:" + port, &tls.Config{RootCAs: stranger.Pool()}, "unknown authority"},
		{"by a name that it has not", "https://service:" + port, &tls.Config{RootCAs: a.Pool(), ServerName: "service"}, "valid for localhost"},
		{"TLS of 2006", "https://localhost:" + port, &tls.Config{RootCAs: a.Pool(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "protocol version"},
		{"no TLS", "http://localhost:" + port, nil, "Client sent an HTTP request to an HTTPS server."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := strings.Replace(tt.url, "https://service:", "https://127.0.0.1:", 1)
			answer, _, err := asked(url, tt.client)
			if err != nil {
				answer = err.Error()
			}
			if !strings.Contains(answer, tt.answer) {
				t.Errorf("%s, want %s", answer, tt.answer)
			}
		})
	}
}

func TestWithoutACertificateAPortIsPlain(t *testing.T) {
	port := served(t, &TLS{}, io.Discard)
	if answer, _, err := asked("http://localhost:"+port, nil); answer != "HTTP/1.1" || err != nil {
		t.Error(answer, err)
	}
}

// TestACertificateIsReplaced replaces the files of a service that runs.
func TestACertificateIsReplaced(t *testing.T) {
	a := tlstest.New(t)
	client := &tls.Config{RootCAs: a.Pool()}
	var log lines
	s := &TLS{}
	s.Cert, s.Key = a.Issue("service", "localhost")
	// A file system may count in whole seconds.
	for i, name := range []string{s.Cert, s.Key} {
		at := time.Now().Add(-time.Duration(i+1) * time.Minute)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	port := served(t, s, &log)
	ask := func() string {
		t.Helper()
		_, server, err := asked("https://localhost:"+port, client)
		if err != nil {
			t.Fatal(err)
		}
		return server
	}
	first := ask()
	if again := ask(); again != first {
		t.Error("it serves another, and nobody replaced it")
	}
	key, err := os.ReadFile(s.Key)
	if err != nil {
		t.Fatal(err)
	}

	// Half replaced, the two do not belong together; and one that is gone is none.
	if err := os.WriteFile(s.Key, []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if server := ask(); server != first {
			t.Errorf("it serves %s, not the one before", server)
		}
	}
	if n := log.count("the one before is served on"); n != 1 {
		t.Errorf("that is said %d times:\n%s", n, &log.b)
	}
	if strings.Contains(log.b.String(), "half a key") {
		t.Error("the log has the key")
	}
	if err := os.Remove(s.Key); err != nil {
		t.Fatal(err)
	}
	if server := ask(); server != first {
		t.Errorf("it serves %s, not the one before", server)
	}
	if err := os.WriteFile(s.Key, key, 0o600); err != nil {
		t.Fatal(err)
	}
	if server := ask(); server != first {
		t.Errorf("it serves %s, not the one that is there again", server)
	}

	a.Issue("service", "localhost")
	if second := ask(); second == first {
		t.Error("it serves the one before")
	}
	if n := log.count("the certificate was replaced"); n != 2 {
		t.Errorf("that is said %d times:\n%s", n, &log.b)
	}
}

func TestMeasureCertificate(t *testing.T) {
	shown := func(l net.Listener, ahead time.Duration) string {
		set := metrics.New("service", "owl")
		MeasureCertificate(set, l, func() time.Time { return time.Now().Add(ahead) })
		var lines []string
		for line := range strings.Lines(string(set.Append(nil))) {
			if !strings.HasPrefix(line, "#") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		return strings.Join(lines, "\n")
	}
	open := func(s *TLS) *Listener {
		l, err := s.Listen(t.Context(), 0, quiet)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	for name, l := range map[string]net.Listener{"another listener": listen(t).TCPListener, "a plain port": open(&TLS{})} {
		if got := shown(l, 0); got != `angelowl_certificate_ends_seconds{service="owl"} +Inf` {
			t.Errorf("%s: %s", name, got)
		}
	}
	s := &TLS{}
	s.Cert, s.Key = tlstest.New(t).Issue("owl", "owl") // for an hour
	l := open(s)
	for ahead, want := range map[time.Duration]string{0: "35", 2 * time.Hour: "-36"} {
		if got := shown(l, ahead); !strings.HasPrefix(got, `angelowl_certificate_ends_seconds{service="owl"} `+want) {
			t.Errorf("in %s: %s", ahead, got)
		}
	}
	gone := open(s)
	if err := os.Remove(s.Key); err != nil {
		t.Fatal(err)
	}
	if got := shown(gone, 0); got != `angelowl_certificate_ends_seconds{service="owl"} 0` {
		t.Errorf("one that cannot be read: %s", got)
	}
}

func TestTLSSettings(t *testing.T) {
	cert, key := tlstest.New(t).Issue("service", "localhost")
	_, other := tlstest.New(t).Issue("service", "localhost")
	for _, tt := range []struct {
		name, cert, key, wrong string
	}{
		{"none", "", "", ""},
		{"both", cert, key, ""},
		{"a certificate alone", cert, "", "belong together"},
		{"a key alone", "", key, "belong together"},
		{"a file that is not there", cert + "x", key, "no such file"},
		{"another's key", cert, other, "does not match"},
		{"one for the other", key, cert, "failed to find"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			problems := (&TLS{tt.cert, tt.key}).Check()
			if tt.wrong == "" && len(problems) > 0 || tt.wrong != "" && (len(problems) != 1 || problems[0].Name != "TLS_CERT_FILE" || !strings.Contains(problems[0].Reason, tt.wrong)) {
				t.Errorf("%v, want %q", problems, tt.wrong)
			}
		})
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	l, err := new(TLS).Listen(t.Context(), 0, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := new(TLS).Listen(t.Context(), config.Port(l.Addr().(*net.TCPAddr).Port), quiet); !errors.Is(err, syscall.EADDRINUSE) {
		t.Error(err)
	}
}
