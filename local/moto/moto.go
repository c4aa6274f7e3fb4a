//go:build unix

// Package moto serves AWS's APIs on loopback for a test, through moto: SES, KMS and others. It is an
// AWS of the test's own, empty at its start. The first test of a machine installs it into the user's
// cache folder, which takes half a minute and needs PyPI or a mirror of it that pip knows.
package moto

import (
	"bufio"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	//go:embed requirements.txt
	requirements []byte
	//go:embed serve.py
	serve string
)

// patience is how long installing may take, and starting on a machine that is busy.
const patience = 5 * time.Minute

// Start starts moto for a test and returns its address, http://127.0.0.1:port. It takes any
// credentials and region; clients find the service by their endpoint setting.
func Start(t testing.TB) (endpoint string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	python, err := install(ctx)
	if err != nil {
		t.Fatalf("installing moto: %v", err)
	}
	cmd := exec.Command(python, "-I", "-c", serve)
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting moto: %v", err)
	}
	stop := func() error { return errors.Join(in.Close(), cmd.Wait()) }
	hurry := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	port, bad := strconv.Atoi(strings.TrimSpace(line))
	if !hurry() || err != nil || bad != nil {
		err = errors.Join(ctx.Err(), err, bad, stop())
		t.Fatalf("moto did not start: %v\n%s", err, said.String())
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stopping moto: %v\n%s", err, said.String())
		}
		if t.Failed() && said.Len() > 0 {
			t.Logf("moto said\n%s", said.String())
		}
	})
	return fmt.Sprintf("http://127.0.0.1:%d", port)
}

// install returns the Python of a virtual environment that has moto, made once for each version of
// the requirements. Several processes may install at once.
func install(ctx context.Context) (python string, err error) {
	base, err := exec.LookPath("python3")
	if err != nil {
		return "", errors.New("python3 is missing; install it (Debian and Ubuntu: apt-get install python3 python3-venv)")
	}
	version, err := exec.CommandContext(ctx, base, "-I", "-c", "import sys; print(*sys.version_info[:2], sys.prefix)").Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", base, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the folder for what tests install: %w", err)
	}
	sum := sha256.Sum256(append(version, requirements...))
	parent := filepath.Join(cache, "angelowl", "tools")
	dir := filepath.Join(parent, "moto-"+hex.EncodeToString(sum[:])[:12])
	python = filepath.Join(dir, "bin", "python3")
	whole := filepath.Join(dir, "whole") // is written last: an environment cannot be moved once it is made
	if _, err := os.Stat(whole); err == nil {
		return python, nil
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer unlock.Close()
	if _, err := os.Stat(whole); err == nil {
		return python, nil
	}
	if err := os.RemoveAll(dir); err != nil { // another's that did not come to its end
		return "", err
	}
	if said, err := exec.CommandContext(ctx, base, "-m", "venv", dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("python3 -m venv: %w\n%s\nOn Debian and Ubuntu it needs: apt-get install python3-venv", err, said)
	}
	list := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(list, requirements, 0o644); err != nil {
		return "", err
	}
	pip := exec.CommandContext(ctx, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes", "-r", list)
	if said, err := pip.CombinedOutput(); err != nil {
		return "", fmt.Errorf("pip install: %w\n%s\nIt needs PyPI once, or a mirror that pip's settings name, and Python 3.10 or newer", err, said)
	}
	return python, os.WriteFile(whole, nil, 0o644)
}

// lock waits for a lock file's lock. A process that ends gives it back.
func lock(ctx context.Context, file string) (io.Closer, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", file, err), f.Close())
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for whoever installs beside %s: %w", file, ctx.Err()), f.Close())
		}
	}
}
