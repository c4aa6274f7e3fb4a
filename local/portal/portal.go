// Package portal runs the web portal of ui/ beside everything else. The portal is a program of
// Node.js and so a process of its own, which lives no longer than this one.
package portal

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ErrMissing is a portal that cannot run on this machine. Its words say what is missing and what to do.
var ErrMissing = errors.New("it cannot run")

// Config says which portal runs, and for which bank.
type Config struct {
	Listen   string // host:port on loopback
	Origin   string // what people have in their browser's address bar
	API      string // the gateway's origin
	Uploads  string // the store's origin, to which browsers send files
	Data     string // the folder that keeps the key of the portal's sessions
	Timezone string // the bank's, IANA
	Home     string // the bank's currency, ISO 4217
}

// Built is a portal that was built, and the Node.js that runs it.
type Built struct{ node, server string }

// oldest is the first Node.js that Next.js 16 runs on.
var oldest = [2]int{20, 9}

// Find looks for a portal that was built, in ui/ of the folder that this program's own is in, or else of
// the working directory. It returns an ErrMissing where there is none, or no Node.js to run it.
func Find(ctx context.Context) (*Built, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	return find(ctx, filepath.Join(filepath.Dir(filepath.Dir(program)), "ui"), "ui")
}

func find(ctx context.Context, dirs ...string) (*Built, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("%w: it needs Node.js %d or newer, and there is none on this machine (https://nodejs.org)", ErrMissing, oldest[0])
	}
	said, err := exec.CommandContext(ctx, node, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s --version: %w", ErrMissing, node, err)
	}
	if v := strings.TrimSpace(string(said)); !newEnough(v) {
		return nil, fmt.Errorf("%w: it needs Node.js %d.%d or newer, and this machine has %s", ErrMissing, oldest[0], oldest[1], v)
	}
	for _, dir := range dirs {
		server, err := filepath.Abs(filepath.Join(dir, ".next", "standalone", "server.js"))
		if err != nil {
			return nil, fmt.Errorf("finding the portal: %w", err)
		}
		if _, err := os.Stat(server); err == nil {
			return &Built{node, server}, nil
		}
	}
	return nil, fmt.Errorf("%w: it is not built, `make portal` does that", ErrMissing)
}

var versions = regexp.MustCompile(`^v(\d+)\.(\d+)\.`)

func newEnough(version string) bool {
	m := versions.FindStringSubmatch(version)
	if m == nil {
		return false
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return major > oldest[0] || major == oldest[0] && minor >= oldest[1]
}

// endWithUs ends Node.js when its standard input does, and so with this process, however that ends. It keeps
// nothing running that has ended by itself.
const endWithUs = `--import=data:text/javascript,process.stdin.on("close",()=>process.exit()).resume().unref()`

// Run runs the portal until ctx ends, and calls ready when it answers. A portal that ends by itself is
// an error with its last words.
func (b *Built) Run(ctx context.Context, cfg Config, log *slog.Logger, ready func()) error {
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return fmt.Errorf("the portal's address: %w", err)
	}
	key, err := sessionKey(filepath.Join(cfg.Data, "portal.key"))
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(running, b.node, endWithUs, b.server)
	cmd.Dir = filepath.Dir(b.server)
	// It gets what it needs and nothing else: this process may have been given an admin's password.
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + cfg.Data, "NODE_ENV=production", "NEXT_TELEMETRY_DISABLED=1",
		"HOSTNAME=" + host, "PORT=" + port, "API_ORIGIN=" + cfg.API, "PORTAL_ORIGIN=" + cfg.Origin,
		"UPLOAD_ORIGIN=" + cfg.Uploads, "PORTAL_SESSION_SECRET=" + key, "BANK_TIMEZONE=" + cfg.Timezone, "HOME_CURRENCY=" + cfg.Home,
	}
	said := &words{log: log}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.WaitDelay = 5 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("starting the portal: %w", err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the portal: %w", err)
	}
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		if answers(running, "http://"+cfg.Listen+health) {
			ready()
		}
	}()
	_ = cmd.Wait() // the state says it
	stop()
	<-asked
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("the portal has stopped (%v); its last words: %s", cmd.ProcessState, said.last)
}

// health is the portal's own, which asks nobody.
const health = "/health"

// answers waits until the portal does, or ctx ends.
func answers(ctx context.Context, url string) bool {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false
		}
		if res, err := client.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-again.C:
		}
	}
}

// words logs what the portal says, a line at a time, and keeps the last of it.
type words struct {
	log  *slog.Logger
	rest []byte
	last string
}

func (w *words) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found && len(w.rest) < 4096 {
			return len(p), nil
		}
		if w.rest = rest; !found {
			w.rest = nil
		}
		if s := string(bytes.TrimSpace(line)); s != "" {
			w.last = s
			w.log.Info("the portal says", "line", s)
		}
	}
}

// sessionKey reads the key that the portal's sessions are encrypted by, or makes one.
func sessionKey(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil && len(bytes.TrimSpace(b)) > 0 {
		return string(bytes.TrimSpace(b)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("reading the key of the portal's sessions: %w", err)
	}
	key := rand.Text() + rand.Text() // 260 bits
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keeping the key of the portal's sessions: %w", err)
	}
	return key, nil
}
