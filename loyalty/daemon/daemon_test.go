package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
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
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			code := Run(t.Context(), "owl", &log, func(context.Context, *slog.Logger) error { return tt.err })
			if lines := strings.Split(strings.TrimSpace(log.String()), "\n"); code != tt.code || !strings.Contains(lines[len(lines)-1], tt.last) {
				t.Errorf("%d %s", code, &log)
			}
		})
	}
}

// TestSignals runs this test's own binary as a daemon.
func TestSignals(t *testing.T) {
	if os.Getenv("DAEMON") != "" {
		Main("owl", func(ctx context.Context, log *slog.Logger) error {
			log.Info("up")
			<-ctx.Done()
			if os.Getenv("DAEMON") == "hangs" {
				log.Info("hangs")
				select {}
			}
			return nil
		})
	}
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
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSignals$")
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
