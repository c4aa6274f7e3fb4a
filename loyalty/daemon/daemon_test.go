package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/config/tlstest"
	"go.uber.org/goleak"
)

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		code int
		last string
	}{
		{"an end without an error is 0", nil, 0, `"msg":"ended","service":"owl"`},
		{"an error is 1 and logged", errors.New("no disk"), 1, `"error":"no disk"`},
		{"a card number in it is starred", errors.New("no card 4111111111111111"), 1, `"error":"no card ************1111"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			code := Run(t.Context(), "owl", "hoots", nil, &log, &log, func(context.Context, *none, *slog.Logger) error { return tt.err })
			if lines := strings.Split(strings.TrimSpace(log.String()), "\n"); code != tt.code || !strings.Contains(lines[len(lines)-1], tt.last) {
				t.Errorf("%d %s", code, &log)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	status := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"reason":"it waits for the database"}`))
	}))
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PORT", port)
	ask := func() (int, string) {
		var said bytes.Buffer
		code := Run(t.Context(), "owl", "hoots", []string{"--health"}, &said, &said, func(context.Context, *none, *slog.Logger) error {
			t.Error("it ran")
			return nil
		})
		return code, said.String()
	}
	if code, said := ask(); code != 0 || said != "" {
		t.Errorf("ready: %d %s", code, said)
	}
	status = http.StatusServiceUnavailable
	if code, said := ask(); code != exitFailed || !strings.Contains(said, "it waits for the database") {
		t.Errorf("not ready: %d %s", code, said)
	}
	srv.Close()
	if code, said := ask(); code != exitFailed || !strings.Contains(said, "refused") {
		t.Errorf("not there: %d %s", code, said)
	}
}

func TestHealthOfOneThatServesTLS(t *testing.T) {
	a := tlstest.New(t)
	cert, key := a.Issue("owl", "owl", "owl.forest")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := a.Issue("wren", "owl", "owl.forest")
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	srv.StartTLS()
	defer srv.Close()
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PORT", port)
	for _, tt := range []struct {
		name, file string
		code       int
		says       string
	}{
		{"its own certificate", cert, 0, ""},
		{"another's", other, exitFailed, "unknown authority"},
		{"none", "", exitFailed, "400 Bad Request"},
		{"a key", key, exitFailed, "TLS_CERT_FILE"},
		{"a file that is not there", cert + "x", exitFailed, "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("TLS_CERT_FILE", tt.file)
			var said bytes.Buffer
			code := Run(t.Context(), "owl", "hoots", []string{"--health"}, &said, &said, func(context.Context, *none, *slog.Logger) error { return nil })
			if code != tt.code || !strings.Contains(said.String(), tt.says) || code == 0 && said.Len() > 0 {
				t.Errorf("%d %s", code, &said)
			}
		})
	}
}

// TestMain lets this test's own binary be a daemon.
func TestMain(m *testing.M) {
	if os.Getenv("DAEMON") == "" {
		goleak.VerifyTestMain(m) // exits
	}
	Main("owl", "hoots", func(ctx context.Context, _ *none, log *slog.Logger) error {
		log.Info("up")
		<-ctx.Done()
		if os.Getenv("DAEMON") == "hangs" {
			log.Info("hangs")
			select {}
		}
		return nil
	})
}

type none struct{}

func TestSignals(t *testing.T) {
	for _, tt := range []struct {
		name, daemon string
		signal       syscall.Signal
		clean        bool
	}{
		{"SIGTERM ends it", "ends", syscall.SIGTERM, true},
		{"SIGINT ends it", "ends", syscall.SIGINT, true},
		{"a second signal ends one that hangs", "hangs", syscall.SIGINT, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), "DAEMON="+tt.daemon)
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var log strings.Builder
			buf := make([]byte, 4096)
			for {
				n, err := stderr.Read(buf)
				log.Write(buf[:n])
				if s := string(buf[:n]); strings.Contains(s, `"up"`) || strings.Contains(s, `"hangs"`) {
					if err := cmd.Process.Signal(tt.signal); err != nil {
						t.Fatal(err)
					}
				}
				if err != nil {
					break
				}
			}
			if err := cmd.Wait(); (err == nil) != tt.clean {
				t.Errorf("%v: %s", err, &log)
			}
		})
	}
}

func TestCommands(t *testing.T) {
	t.Setenv("OWL_NAME", "")
	t.Setenv("CONFIG_FILE", "")
	for _, tt := range []struct {
		name string
		args []string
		code int
		ran  string
		says string
	}{
		{"without a word the program runs, and needs its settings", nil, 2, "", "OWL_NAME is missing"},
		{"a command needs its own alone", []string{"sleep"}, 0, "asleep until 6", `"service":"owl sleep"`},
		{"its help tells of its own", []string{"sleep", "--help"}, 0, "", "OWL_WAKES  when it wakes (default 6)"},
		{"the program's help names it", []string{"--help"}, 0, "", "owl sleep [--config FILE]  sleeps."},
		{"one that reads its own words", []string{"hunt", "--night", "mice"}, 3, "hunted [--night mice]", ""},
		{"help names that one's words", []string{"--help"}, 0, "", "owl hunt [--night] PREY…  hunts."},
		{"a word too many", []string{"sleep", "well"}, 2, "", `"well"`},
		{"a word that is no command", []string{"fly"}, 2, "", `"fly"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var said bytes.Buffer
			ran := ""
			code := Run(t.Context(), "owl", "hoots", tt.args, &said, &said, func(context.Context, *settings, *slog.Logger) error {
				ran = "hooted"
				return nil
			}, NewCommand("sleep", "sleeps.", func(_ context.Context, s *sleep, _ *slog.Logger) error {
				ran = "asleep until " + s.Wakes
				return nil
			}), NewProgram("hunt", "[--night] PREY…", "hunts.", func(_ context.Context, args []string, _, _ io.Writer) int {
				ran = fmt.Sprint("hunted ", args)
				return 3
			}))
			if code != tt.code || ran != tt.ran || !strings.Contains(said.String(), tt.says) {
				t.Errorf("%d %q %s", code, ran, &said)
			}
		})
	}
}

type sleep struct {
	Wakes string `env:"OWL_WAKES" default:"6" help:"when it wakes"`
}

type settings struct {
	Name string `env:"OWL_NAME" help:"what it is called"`
	Eyes int    `env:"OWL_EYES" default:"2" max:"3" help:"how many it has"`
}

func TestSettings(t *testing.T) {
	t.Setenv("OWL_NAME", "")
	t.Setenv("OWL_EYES", "")
	t.Setenv("CONFIG_FILE", "")
	for _, tt := range []struct {
		name         string
		env, args    []string
		code         int
		ran          bool
		says, saysNo string
	}{
		{"help needs no settings", nil, []string{"--help"}, 0, false, "OWL_EYES  how many it has (default 2)", "starting"},
		{"all that is wrong is said before anything runs", []string{"OWL_EYES=9"}, nil, 2, false, `OWL_NAME is missing`, "starting"},
		{"an unknown flag", []string{"OWL_NAME=Ulla"}, []string{"--fast"}, 2, false, "--help", "starting"},
		{"a word too many", []string{"OWL_NAME=Ulla"}, []string{"up"}, 2, false, `"up"`, "starting"},
		{"a file that is not there", []string{"OWL_NAME=Ulla"}, []string{"--config", "nowhere.yaml"}, 2, false, "nowhere.yaml", "starting"},
		{"a slip is a warning", []string{"OWL_NAME=Ulla", "OWL_NAMES=Ulla"}, nil, 0, true, `"level":"WARN"`, "ERROR"},
		{"right settings", []string{"OWL_NAME=Ulla"}, nil, 0, true, "starting", "WARN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, kv := range tt.env {
				name, value, _ := strings.Cut(kv, "=")
				t.Setenv(name, value)
			}
			var out bytes.Buffer
			ran := false
			code := Run(t.Context(), "owl", "hoots", tt.args, &out, &out, func(_ context.Context, s *settings, _ *slog.Logger) error {
				ran = s.Name == "Ulla" && s.Eyes == 2
				return nil
			})
			if code != tt.code || ran != tt.ran || !strings.Contains(out.String(), tt.says) || strings.Contains(out.String(), tt.saysNo) {
				t.Errorf("exit %d, ran %t:\n%s", code, ran, &out)
			}
		})
	}
}
