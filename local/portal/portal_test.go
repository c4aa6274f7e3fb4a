package portal

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program is a server.js in the place of the portal's.
func program(t *testing.T, source string) *Built {
	t.Helper()
	dir := t.TempDir()
	server := filepath.Join(dir, ".next", "standalone", "server.js")
	if err := os.MkdirAll(filepath.Dir(server), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(server, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := find(t.Context(), filepath.Join(dir, "elsewhere"), dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// free is an address nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// serving answers /health and writes down its environment and its number.
const serving = `
const fs = require("fs");
fs.writeFileSync("env.json", JSON.stringify({...process.env, PID: process.pid}));
require("http").createServer((q, s) => s.end("ok")).listen(process.env.PORT, process.env.HOSTNAME);
`

func TestRunsUntilItsContextEnds(t *testing.T) {
	b := program(t, serving)
	t.Setenv("ADMIN_PASSWORD", "nobody else's")
	data := t.TempDir()
	var keys []string
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		ready := false
		err := b.Run(ctx, Config{Listen: free(t), Origin: "http://portal.example", API: "http://api.example", Uploads: "http://store.example", Data: data, Timezone: "Asia/Singapore", Home: "SGD"},
			slog.New(slog.DiscardHandler), func() { ready = true; cancel() })
		if err != nil || !ready {
			t.Fatalf("ready %v, %v", ready, err)
		}
		env, err := os.ReadFile(filepath.Join(filepath.Dir(b.server), "env.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"API_ORIGIN":"http://api.example"`, `"PORTAL_ORIGIN":"http://portal.example"`, `"UPLOAD_ORIGIN":"http://store.example"`, `"BANK_TIMEZONE":"Asia/Singapore"`, `"HOME_CURRENCY":"SGD"`} {
			if !bytes.Contains(env, []byte(want)) {
				t.Errorf("its environment lacks %s", want)
			}
		}
		if bytes.Contains(env, []byte("nobody else's")) {
			t.Error("it is told the admin's password")
		}
		_, key, _ := strings.Cut(string(env), `"PORTAL_SESSION_SECRET":"`)
		key, _, _ = strings.Cut(key, `"`)
		keys = append(keys, key)
	}
	if len(keys[0]) < 43 || keys[0] != keys[1] {
		t.Error("the sessions of a start are not those of the next")
	}
	if i, err := os.Stat(filepath.Join(data, "portal.key")); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", i, err)
	}
}

func TestOneThatStopsSaysWhy(t *testing.T) {
	var log bytes.Buffer
	err := program(t, `console.error("a first line"); console.error("Error: the moon is full"); process.exitCode = 3`).
		Run(t.Context(), Config{Listen: free(t), Data: t.TempDir()}, slog.New(slog.NewTextHandler(&log, nil)), func() { t.Error("it is ready") })
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "the moon is full") {
		t.Errorf("%v", err)
	}
	if !strings.Contains(log.String(), "a first line") {
		t.Errorf("the log has %q", log.String())
	}
}

// A process that is killed takes the portal along: it could not end it itself.
func TestEndsWithItsParent(t *testing.T) {
	if at := os.Getenv("PORTAL_OF_A_PARENT"); at != "" {
		b := &Built{node: os.Getenv("PORTAL_NODE"), server: at}
		t.Fatal(b.Run(t.Context(), Config{Listen: os.Getenv("PORTAL_LISTEN"), Data: t.TempDir()}, slog.New(slog.DiscardHandler), func() {}))
	}
	b, listen := program(t, serving), free(t)
	parent := exec.Command(os.Args[0], "-test.run=^TestEndsWithItsParent$")
	parent.Env = append(os.Environ(), "PORTAL_OF_A_PARENT="+b.server, "PORTAL_NODE="+b.node, "PORTAL_LISTEN="+listen)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if !answers(ctx, "http://"+listen+health) {
		t.Fatal("it does not answer")
	}
	if err := parent.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		c, err := net.Dial("tcp", listen)
		if err != nil {
			return
		}
		c.Close()
		select {
		case <-ctx.Done():
			t.Fatal("it listens on after its parent was killed")
		case <-again.C:
		}
	}
}

func TestMissing(t *testing.T) {
	t.Run("not built", func(t *testing.T) {
		if _, err := find(t.Context(), t.TempDir()); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "make portal") {
			t.Errorf("%v", err)
		}
	})
	t.Run("no Node.js", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		if _, err := find(t.Context(), t.TempDir()); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "Node.js") {
			t.Errorf("%v", err)
		}
	})
	for version, want := range map[string]bool{"v20.8.1": false, "v20.9.0": true, "v18.20.1": false, "v22.0.0": true, "v24.1.0-nightly": true, "": false, "20.9.0": false} {
		if newEnough(version) != want {
			t.Errorf("Node.js %q: new enough is %v", version, !want)
		}
	}
}
