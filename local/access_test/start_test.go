package access_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// console is what a program says while it runs.
type console struct {
	mu   sync.Mutex
	said bytes.Buffer
	up   chan struct{} // closed when everything serves
}

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := strings.Contains(c.said.String(), "Ctrl-C stops it")
	c.said.Write(b)
	if !before && strings.Contains(c.said.String(), "Ctrl-C stops it") {
		close(c.up)
	}
	return len(b), nil
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said.String()
}

var (
	firstAdmin = regexp.MustCompile(`The first admin is (\S+) with the password (\S+)`)
	opened     = regexp.MustCompile(`(?m)^Open +(\S+)`)
)

func TestTheFirstStart(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "angelowl")
	build := exec.Command("go", "build", "-o", program, "../cmd/angelowl")
	build.Dir = w.here
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data := t.TempDir()
	start := func(args ...string) (*exec.Cmd, *console) {
		out := &console{up: make(chan struct{})}
		cmd := exec.CommandContext(t.Context(), program, append([]string{"up", "--home", "CAD", "--timezone", "America/Toronto", "--rewarders", "1", "--partitions", "1"}, args...)...)
		for _, v := range os.Environ() {
			if !strings.HasPrefix(v, "ADMIN_") {
				cmd.Env = append(cmd.Env, v)
			}
		}
		cmd.Stdout, cmd.Stderr = out, out
		return cmd, out
	}
	run := func(during func(*console)) string {
		t.Helper()
		// Without sample users others than this machine may be let in.
		cmd, out := start("--data", data, "--listen", "0.0.0.0:0")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-out.up:
		case err := <-ended:
			t.Fatalf("it ended: %v\n%s", err, out)
		case <-time.After(limit):
			t.Fatalf("it hangs\n%s", out)
		}
		if during != nil {
			during(out)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatalf("it ended with %v\n%s", err, out)
		}
		return out.String()
	}
	var password string
	said := run(func(out *console) {
		found, at := firstAdmin.FindStringSubmatch(out.String()), opened.FindStringSubmatch(out.String())
		if found == nil || at == nil {
			t.Fatalf("it says no password or no address:\n%s", out)
		}
		password = found[2]
		u, err := url.Parse(at[1])
		if err != nil {
			t.Fatal(err)
		}
		base := "http://127.0.0.1:" + u.Port()
		login := func(status int, password string) session {
			t.Helper()
			var s struct{ Data session }
			a, err := through(client, base, "", "POST", "/auth/login", object{"email": found[1], "password": password}.String())
			if err == nil {
				err = a.read(status, nil)
			}
			if err == nil && status == 200 {
				err = json.Unmarshal([]byte(a.body), &s)
			}
			if err != nil {
				t.Fatal(err)
			}
			return s.Data
		}
		call := func(status int, bearer, method, path, body string) {
			t.Helper()
			a, err := through(client, base, bearer, method, path, body)
			if err == nil {
				err = a.read(status, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		s := login(200, password)
		if s.Must != "password" || !s.IsNew {
			t.Errorf("%+v", s)
		}
		call(403, s.Token, "GET", "/user", "")
		call(403, s.Token, "POST", "/user", w.userBody())
		call(200, s.Token, "POST", "/auth/password", object{"email": found[1], "old_password": password, "password": "own " + password, "confirm_password": "own " + password}.String())
		login(401, password)
		call(200, login(200, "own "+password).Token, "GET", "/user", "")
	})
	if strings.Count(said, password) != 1 {
		t.Errorf("it says the password otherwise than once:\n%s", said)
	}
	// It is nowhere in what is kept, nor is it said again.
	if again := run(nil); firstAdmin.MatchString(again) || strings.Contains(again, password) {
		t.Errorf("it says a password again:\n%s", again)
	}

	for _, listen := range []string{"0.0.0.0:0", "[::]:0"} {
		cmd, out := start("--data", t.TempDir(), "--listen", listen, "--sample-users")
		if err := cmd.Run(); err == nil || !strings.Contains(out.String(), "sample users") || !strings.Contains(out.String(), "127.0.0.1") {
			t.Errorf("--sample-users --listen %s ends with %v, and says\n%s", listen, err, out)
		}
	}
}
