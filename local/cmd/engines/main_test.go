//go:build unix

package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// said runs a command line and returns its exit code and what it wrote.
func said(t *testing.T, ctx context.Context, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(ctx, args, &out, &err)
	return code, out.String(), err.String()
}

func TestWrongUsageIsSaid(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no such command", []string{"begin"}, `there is no command "begin"`},
		{"no such engine", []string{"start", "mysql"}, `there is no engine "mysql"`},
		{"two nodes", []string{"start", "--nodes", "2", "etcd"}, "as 1 node or as 3"},
		{"nothing to run", []string{"run", "etcd"}, "which command?"},
		{"nothing after the dashes", []string{"run", "etcd", "--"}, "which command?"},
		{"no such flag", []string{"stop", "--now"}, "unknown flag"},
		{"status of one", []string{"status", "etcd"}, "status shows all"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, stderr := said(t, t.Context(), c.args...)
			if code != 2 || !strings.Contains(stderr, c.want) {
				t.Errorf("it exits with %d and says %q", code, stderr)
			}
		})
	}
}

// needEngines skips what `make check` leaves out.
func needEngines(t *testing.T) {
	t.Helper()
	if os.Getenv("ANGELOWL_ENGINES") == "none" {
		t.Skip("SKIPPED: it needs a real engine, and ANGELOWL_ENGINES=none")
	}
	for _, v := range []string{"TEST_KAFKA", "TEST_CASSANDRA", "TEST_POSTGRES_DSN", "TEST_ETCD"} {
		t.Setenv(v, "")
	}
	t.Setenv("TMPDIR", t.TempDir())
}

func TestACommandRunsWithTheEnginesAndPassesItsCodeOn(t *testing.T) {
	needEngines(t)
	code, out, stderr := said(t, t.Context(), "run", "etcd", "postgres", "--", "sh", "-c", `echo "$TEST_ETCD $TEST_POSTGRES_DSN"; exit 7`)
	if code != 7 {
		t.Errorf("it exits with %d: %s", code, stderr)
	}
	addrs := regexp.MustCompile(`^(127\.0\.0\.1:\d+) postgres://angelowl:[^@]+@(127\.0\.0\.1:\d+)/postgres\?sslmode=disable\n$`).FindStringSubmatch(out)
	if addrs == nil {
		t.Fatalf("the command saw %q", out)
	}
	for _, addr := range addrs[1:] {
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			_ = c.Close()
			t.Errorf("%s is listened on still", addr)
		}
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "angelowl-engines-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestAnEngineThatIsNamedIsUsedAsItIs(t *testing.T) {
	needEngines(t)
	t.Setenv("TEST_ETCD", "192.0.2.1:2379")
	code, out, stderr := said(t, t.Context(), "run", "etcd", "--", "sh", "-c", `echo "$TEST_ETCD"`)
	if code != 0 || out != "192.0.2.1:2379\n" || !strings.Contains(stderr, "TEST_ETCD is set") || strings.Contains(stderr, "started") {
		t.Errorf("it exits with %d, the command saw %q, and it says %q", code, out, stderr)
	}
}

func TestACommandThatASignalEndedIsToldApart(t *testing.T) {
	needEngines(t)
	t.Setenv("TEST_ETCD", "192.0.2.1:2379")
	if code, _, stderr := said(t, t.Context(), "run", "etcd", "--", "sh", "-c", "kill -KILL $$"); code != 128+int(syscall.SIGKILL) {
		t.Errorf("it exits with %d: %s", code, stderr)
	}
	if code, _, stderr := said(t, t.Context(), "run", "etcd", "--", "/no/such/command"); code != 1 || !strings.Contains(stderr, "/no/such/command") {
		t.Errorf("it exits with %d: %s", code, stderr)
	}
}

func TestAnEngineIsStartedSeenAndStopped(t *testing.T) {
	needEngines(t)
	dir := t.TempDir()
	t.Cleanup(func() { said(t, context.Background(), "stop", "--dir", dir) })
	code, first, stderr := said(t, t.Context(), "start", "--dir", dir, "etcd", "postgres")
	if code != 0 || !strings.Contains(first, "export TEST_ETCD='127.0.0.1:") || !strings.Contains(first, "export TEST_POSTGRES_DSN='postgres://") {
		t.Fatalf("it exits with %d and says %q %q", code, first, stderr)
	}
	if code, second, stderr := said(t, t.Context(), "start", "--dir", dir, "etcd", "postgres"); code != 0 || second != first {
		t.Errorf("started once more it exits with %d and says %q %q", code, second, stderr)
	}
	_, shown, _ := said(t, t.Context(), "status", "--dir", dir)
	if !regexp.MustCompile(`(?m)^etcd +\d+ +\d+ MB +\d+\.\d s +\d+s +127\.0\.0\.1:\d+`).MatchString(shown) {
		t.Errorf("its status is\n%s", shown)
	}
	password := regexp.MustCompile(`angelowl:([^@]+)@`).FindStringSubmatch(first)[1]
	if strings.Contains(shown, password) || !strings.Contains(shown, "angelowl:xxxxx@") {
		t.Errorf("the password is shown in\n%s", shown)
	}
	if code, _, stderr := said(t, t.Context(), "stop", "--dir", dir, "etcd", "postgres"); code != 0 {
		t.Fatalf("stop exits with %d: %s", code, stderr)
	}
	if _, shown, _ := said(t, t.Context(), "status", "--dir", dir); strings.Count(shown, " down ") != 2 {
		t.Errorf("stopped, its status is\n%s", shown)
	}
}
