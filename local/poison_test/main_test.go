// Package poison_test puts bad records straight into the log of an `angelowl up` that runs as a
// process of its own, and holds that they are set aside, they alone, and that nothing else is
// harmed by them.
package poison_test

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

	"github.com/angelowl-loyalties/app/local/ops"
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
	dir, err := os.MkdirTemp("", "angelowl-poison-")
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
	// sarama's metrics have one for the whole process.
	if err := goleak.Find(goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Where the inputs are, from this folder.
const (
	rulesFile  = "../../examples/rules.json"
	quotesFile = "../../examples/quotes.csv"
)

// limit is how long one step may take before it counts as one that hangs.
const limit = 5 * time.Minute

// world is a data folder and the angelowl on it.
type world struct {
	t     *testing.T
	data  string
	log   string // the file of all that up says
	up    *exec.Cmd
	ended chan error
	admin *http.Client
}

// start starts angelowl with args, all of its log on, and waits until it says that all is up.
func start(t *testing.T, args ...string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, data: filepath.Join(dir, "data"), log: filepath.Join(dir, "log"), ended: make(chan error, 1)}
	w.admin = &http.Client{Transport: &samples.Transport{Data: w.data, Role: token.Admin, Base: http.DefaultTransport}}
	log, err := os.Create(w.log)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"up", "--log", "debug", "--data", w.data, "--listen", "127.0.0.1:0", "--sample-users", "--home", home.String(), "--timezone", "America/Toronto"}
	w.up = exec.Command(program, append(all, args...)...)
	w.up.Stderr = log
	out, err := w.up.StdoutPipe()
	if err == nil {
		err = w.up.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if w.up != nil {
			_ = w.up.Process.Kill()
			<-w.ended
		}
		if t.Failed() {
			t.Logf("the end of what up said:\n%s", tail(w.log, 4<<10))
		}
	})
	ready := make(chan struct{})
	go func() {
		said := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			fmt.Fprintln(log, lines.Text())
			if !said && strings.HasPrefix(lines.Text(), "Ctrl-C stops it") {
				said = true
				close(ready)
			}
		}
		err := w.up.Wait()
		w.ended <- errors.Join(err, log.Close())
	}()
	select {
	case <-ready:
	case err := <-w.ended:
		w.up = nil
		t.Fatalf("up ended: %v\n%s", err, tail(w.log, 4<<10))
	case <-time.After(limit):
		t.Fatal("up hangs")
	}
	return w
}

// stop ends it as Ctrl-C does.
func (w *world) stop() {
	w.t.Helper()
	if err := w.up.Process.Signal(syscall.SIGINT); err != nil {
		w.t.Fatal(err)
	}
	select {
	case err := <-w.ended:
		w.up = nil
		if err != nil {
			w.t.Errorf("up ended with %v", err)
		}
	case <-time.After(limit):
		w.t.Fatal("up does not end")
	}
}

func tail(path string, n int) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	return b[max(len(b)-n, 0):]
}

// run runs a command on the world's data and returns its exit code and all that it says.
func (w *world) run(args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, "--data", w.data)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("angelowl %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// must runs a command that has to succeed, and returns what it says.
func (w *world) must(args ...string) string {
	w.t.Helper()
	code, stdout, stderr := w.run(args...)
	if code != 0 || stderr != "" {
		w.t.Fatalf("angelowl %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

func (w *world) status() (st ops.Status) {
	w.t.Helper()
	w.read(w.must("status", "--json"), &st)
	return st
}

func (w *world) letters() (all struct {
	Letters []ops.Letter `json:"letters"`
	Older   int          `json:"older"`
}) {
	w.t.Helper()
	w.read(w.must("deadletters", "list", "--json", "--limit", "0"), &all)
	return all
}

func (w *world) read(text string, into any) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		w.t.Fatalf("%v in %.200s", err, text)
	}
}

// running reads run.json.
func (w *world) running() (r stack.Running) {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.data, stack.RunFile))
	if err != nil {
		w.t.Fatal(err)
	}
	w.read(string(b), &r)
	return r
}

// call sends a request to the front door; the answer's status has to be the one expected.
func (w *world) call(status int, method, path string, body []byte) []byte {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.running().URL+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := w.admin.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status {
		w.t.Fatalf("%s %s: %s, want %d (%v)\n%s", method, path, res.Status, status, err, answer)
	}
	return answer
}

// await waits until f holds.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	wait.Until(t, 20*time.Millisecond, limit, what, f)
}
