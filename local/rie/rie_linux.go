//go:build linux && (amd64 || arm64)

package rie

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/local/pyvenv"
)

//go:embed requirements.txt
var requirements []byte

// patience is how long starting may take on a machine that is busy, and how much longer than its timeout
// an invocation.
const patience = 30 * time.Second

// Need skips the test where nothing but Go is to be used, and installs the emulator where it is missing.
func Need(t testing.TB) {
	t.Helper()
	Emulator(t)
}

// Emulator is the path of AWS's program.
func Emulator(t testing.TB) string {
	t.Helper()
	python := pyvenv.For(t, "aws-sam-cli", 10, requirements)
	machine := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	found, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(python)), "lib", "python3*", "site-packages", "samcli", "local", "rapid", "aws-lambda-rie-"+machine))
	if err != nil || len(found) != 1 {
		t.Fatalf("aws-sam-cli is installed at %s, and has no emulator for %s: %v %v", python, machine, found, err)
	}
	return found[0]
}

// Function is a lambda. It runs one invocation at a time; the others wait.
type Function struct {
	url     string
	timeout time.Duration
	client  *http.Client
	log     *lockedBuffer
	turn    sync.Mutex
}

type lockedBuffer struct {
	mu    sync.Mutex
	b     bytes.Buffer
	wrote chan struct{} // closed at the next write
}

func newLockedBuffer() *lockedBuffer { return &lockedBuffer{wrote: make(chan struct{})} }

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.wrote)
	l.wrote = make(chan struct{})
	return l.b.Write(p)
}

func (l *lockedBuffer) get() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String(), l.wrote
}

// Start makes a lambda for a test, which ends with it. Where ANGELOWL_ENGINES=none says that there is nothing
// but Go, the test is skipped.
func Start(t testing.TB, cfg Config) *Function {
	t.Helper()
	name := Emulator(t)
	// The emulator cannot say which port it was given, so each has an address of loopback's to itself.
	host := net.IPv4(127, byte(1+rand.N(254)), byte(rand.N(256)), byte(1+rand.N(254))).String()
	f := &Function{
		url: "http://" + host + ":8080/2015-03-31/functions/function/invocations", timeout: cfg.Timeout, log: newLockedBuffer(),
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	cmd := exec.Command(name, "--runtime-interface-emulator-address", host+":8080", "--runtime-api-address", host+":9001", cfg.Program)
	cmd.Env = []string{
		fmt.Sprint("AWS_LAMBDA_FUNCTION_TIMEOUT=", int(math.Ceil(cfg.Timeout.Seconds()))), "AWS_LAMBDA_FUNCTION_NAME=" + filepath.Base(cfg.Program),
		"PATH=" + os.Getenv("PATH"), // the emulator's
	}
	for k, v := range cfg.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Stdout, cmd.Stderr = f.log, f.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting AWS's emulator: %v", err)
	}
	t.Cleanup(func() {
		// It does not listen to anything else. The program below it ends when it is gone, at the latest.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said\n%s", filepath.Base(cfg.Program), f.Log())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", host+":8080")
		if err == nil {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			return f
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("AWS's emulator does not listen: %v\n%s", err, f.Log())
		}
	}
}

// Invoke hands the lambda an event and returns its answer. Its error is a *Failed where the lambda answers
// with one, or where it was ended.
func (f *Function) Invoke(ctx context.Context, event []byte) (json.RawMessage, error) {
	f.turn.Lock() // two at once crash the emulator
	defer f.turn.Unlock()
	ctx, cancel := context.WithTimeout(ctx, f.timeout+patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(event))
	if err != nil {
		return nil, err
	}
	res, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("invoking a lambda: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("invoking a lambda: the emulator answers %s %s: %w", res.Status, body, err)
	}
	return answer(body)
}

// Log is what the program and the emulator have said. An answer may be here before the last lines are.
func (f *Function) Log() string {
	said, _ := f.log.get()
	return said
}

// Said waits until there is a line of the log that matches. It is false where none comes.
func (f *Function) Said(ctx context.Context, matches func(line string) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		said, wrote := f.log.get()
		for line := range strings.Lines(said) {
			if strings.HasSuffix(line, "\n") && matches(line) {
				return true
			}
		}
		select {
		case <-wrote:
		case <-ctx.Done():
			return false
		}
	}
}
