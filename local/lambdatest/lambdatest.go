// Package lambdatest runs the lambdas' programs in tests as AWS does: each a process of its own, which
// asks for its events and answers them by HTTP, and which may be killed at any moment.
package lambdatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Build builds a program of this repository and returns its path. Dir is a folder within it.
func Build(t testing.TB, dir, pkg string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), filepath.Base(pkg))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/angelowl-loyalties/app/"+pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the lambda: %v\n%s", err, out)
	}
	return program
}

// ErrEnded says that the process ended before it answered.
var ErrEnded = errors.New("the lambda's process has ended")

// Process is a lambda that runs. It has one invocation at a time.
type Process struct {
	t     testing.TB
	cmd   *exec.Cmd
	api   *httptest.Server
	log   logged
	ended chan struct{}

	invocations chan invocation
	answers     chan answer
}

type invocation struct {
	event    []byte
	deadline time.Time
}

type answer struct {
	body   string
	failed bool
}

// Start starts a program with nothing but this environment. It is killed at the test's end.
func Start(t testing.TB, program string, env ...string) *Process {
	t.Helper()
	p := &Process{t: t, ended: make(chan struct{}), invocations: make(chan invocation, 1), answers: make(chan answer, 1)}
	p.api = httptest.NewServer(http.HandlerFunc(p.serve))
	p.cmd = exec.Command(program)
	p.cmd.Stderr = &p.log
	p.cmd.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(p.api.URL, "http://"), "TMPDIR=" + t.TempDir()}, env...)
	if err := p.cmd.Start(); err != nil {
		p.api.Close()
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // a lambda has no end of its own: it is killed
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.Kill()
		p.api.CloseClientConnections()
		p.api.Close()
	})
	return p
}

// serve is AWS Lambda's runtime API:
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func (p *Process) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		select {
		case in := <-p.invocations:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "1")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(in.deadline.UnixMilli(), 10))
			_, _ = w.Write(in.event)
		case <-r.Context().Done():
		}
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // it was killed in the middle of its answer
	}
	w.WriteHeader(http.StatusAccepted)
	select {
	case p.answers <- answer{string(body), !strings.HasSuffix(r.URL.Path, "/response")}:
	case <-r.Context().Done():
	}
}

// Invoke has the lambda handle an event, for which it has so much time. The error is ErrEnded, ctx's, or
// what the lambda says that went wrong.
func (p *Process) Invoke(ctx context.Context, event []byte, limit time.Duration) (string, error) {
	p.invocations <- invocation{event, time.Now().Add(limit)}
	select {
	case a := <-p.answers:
		if a.failed {
			return "", fmt.Errorf("the lambda failed: %s", a.body)
		}
		return a.body, nil
	case <-p.ended:
		return "", ErrEnded
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// Kill ends the process by SIGKILL and waits for its end. It may be called again.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// Peak is the most resident memory that the process, which still runs, has had, in KiB. Where that is
// not to be known the test is skipped.
func (p *Process) Peak() int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if errors.Is(err, fs.ErrNotExist) {
		p.t.Skip("SKIPPED: the most memory that a process had is read from /proc")
	}
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	text, _, _ := strings.Cut(rest, " kB")
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		p.t.Fatalf("reading VmHWM: %v", err)
	}
	return n
}

// Log is what the process has written.
func (p *Process) Log() string { return p.log.String() }

// logged is a buffer that is read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
