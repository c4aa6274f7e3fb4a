// Package ops_test runs `angelowl up` as a process and the commands that look after it as others,
// as a person does.
package ops_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/local/wait"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

// program is the path of the binary under test.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "angelowl-ops-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "angelowl")
	build := exec.Command("go", "build", "-o", program, "../cmd/angelowl")
	if os.Getenv("ANGELOWL_RACE") != "" { // the race detector looks into the program, not only into the test
		build.Args = slices.Insert(build.Args, 2, "-race")
		// It ends at the first race, or the kill that a test means would hide it.
		if err := os.Setenv("GORACE", "halt_on_error=1"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building angelowl:", err)
		return 1
	}
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Where the inputs are, from this folder.
const (
	rulesFile  = "../../examples/rules.json"
	quotesFile = "../../examples/quotes.csv"
	spendFile  = "../../examples/spend.csv"
)

// limit is how long anything may take before it counts as hanging.
const limit = time.Minute

// outcome is how a command ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// world is a data folder and the angelowl on it.
type world struct {
	data  string
	up    *exec.Cmd
	ended chan error
	admin *http.Client
	log   bytes.Buffer // what up says to standard error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{data: filepath.Join(t.TempDir(), "data")}
	t.Cleanup(func() {
		if w.up != nil {
			w.kill(t)
		}
	})
	return w
}

// start starts angelowl with args and waits until it says that all is up.
func (w *world) start(t *testing.T, args ...string) {
	t.Helper()
	all := []string{"up", "--data", w.data, "--listen", "127.0.0.1:0", "--sample-users", "--home", "CAD", "--timezone", "America/Toronto"}
	w.up = exec.Command(program, append(all, args...)...)
	w.log.Reset()
	w.up.Stderr = &w.log
	out, err := w.up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.up.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	w.ended = make(chan error, 1)
	up, ended := w.up, w.ended
	go func() {
		lines := bufio.NewScanner(out)
		for said := false; lines.Scan(); {
			if !said && strings.HasPrefix(lines.Text(), "Ctrl-C stops it") {
				said = true
				close(ready)
			}
		}
		ended <- up.Wait()
	}()
	select {
	case <-ready:
	case err := <-w.ended:
		w.up = nil
		t.Fatalf("up ended: %v\n%s", err, w.log.String())
	case <-time.After(limit):
		t.Fatal("up hangs")
	}
}

// kill ends angelowl as a power cut does.
func (w *world) kill(t *testing.T) { w.end(t, syscall.SIGKILL) }

// stop ends it as Ctrl-C does.
func (w *world) stop(t *testing.T) {
	t.Helper()
	if err := w.end(t, syscall.SIGINT); err != nil {
		t.Errorf("up ended with %v\n%s", err, w.log.String())
	}
}

func (w *world) end(t *testing.T, sig syscall.Signal) error {
	t.Helper()
	if err := w.up.Process.Signal(sig); err != nil {
		t.Error(err)
	}
	w.up = nil
	select {
	case err := <-w.ended:
		return err
	case <-time.After(limit):
		t.Fatal("up does not end")
		return nil
	}
}

// run runs a command on the world's data.
func (w *world) run(t *testing.T, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, "--data", w.data)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("angelowl %s hangs\n%s", strings.Join(args, " "), stderr.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must runs a command that has to succeed, and returns what it says.
func (w *world) must(t *testing.T, args ...string) string {
	t.Helper()
	o := w.run(t, args...)
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("angelowl %s: exit code %d\n%s%s", strings.Join(args, " "), o.code, o.stdout, o.stderr)
	}
	return o.stdout
}

// fails runs a command that has to fail with a code and say something.
func (w *world) fails(t *testing.T, code int, says string, args ...string) outcome {
	t.Helper()
	o := w.run(t, args...)
	if o.code != code || !strings.Contains(o.stderr, says) {
		t.Errorf("angelowl %s: exit code %d, want %d, and it should say %q\n%s%s", strings.Join(args, " "), o.code, code, says, o.stdout, o.stderr)
	}
	return o
}

// json runs a command and reads the object that it prints.
func (w *world) json(t *testing.T, v any, args ...string) {
	t.Helper()
	if err := json.Unmarshal([]byte(w.must(t, args...)), v); err != nil {
		t.Fatalf("angelowl %s: %v", strings.Join(args, " "), err)
	}
}

// running reads run.json.
func (w *world) running(t *testing.T) (r stack.Running) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(w.data, stack.RunFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// api asks the front door, as the sample admin.
func (w *world) api(t *testing.T, path string) string {
	t.Helper()
	if w.admin == nil {
		w.admin = &http.Client{Transport: &samples.Transport{Data: w.data, Role: token.Admin, Base: http.DefaultTransport}}
	}
	return fetch(t, w.admin, w.running(t).URL+path)
}

// get asks for a page.
func get(t *testing.T, url string) string {
	t.Helper()
	return fetch(t, http.DefaultClient, url)
}

func fetch(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s (%v)\n%s", url, res.Status, err, b)
	}
	return string(b)
}

// await waits until f holds.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	wait.Until(t, 20*time.Millisecond, limit, what, f)
}
