//go:build unix

// Package pyvenv makes the virtual environments of Python that tests run tools of PyPI in. Each list of
// requirements has one of its own in the user's cache folder, made at its first use, which needs PyPI or
// a mirror of it that pip knows.
package pyvenv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// patience is how long installing may take.
const patience = 5 * time.Minute

// For returns the Python of the environment of a list of requirements, for a test, which is skipped where
// ANGELOWL_ENGINES=none says that there is nothing but Go. Python must be of version 3.oldest or newer.
func For(t testing.TB, name string, oldest int, requirements []byte) (python string) {
	t.Helper()
	if os.Getenv("ANGELOWL_ENGINES") == "none" {
		t.Skipf("SKIPPED: it needs %s, which is Python's, and ANGELOWL_ENGINES=none", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	python, err := install(ctx, name, oldest, requirements)
	if err != nil {
		t.Fatalf("installing %s: %v", name, err)
	}
	return python
}

// install returns the Python of an environment that has the requirements, by their hashes, and nothing that
// they do not name. Several
// processes may install at once.
func install(ctx context.Context, name string, oldest int, requirements []byte) (python string, err error) {
	base, err := exec.LookPath("python3")
	if err != nil {
		return "", errors.New("python3 is missing; install it (Debian and Ubuntu: apt-get install python3 python3-venv)")
	}
	version, err := exec.CommandContext(ctx, base, "-I", "-c", "import sys; print(*sys.version_info[:2], sys.prefix)").Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", base, err)
	}
	var major, minor int
	if _, err := fmt.Sscan(string(version), &major, &minor); err != nil {
		return "", fmt.Errorf("asking %s for its version: %q: %w", base, version, err)
	}
	if major != 3 || minor < oldest {
		return "", fmt.Errorf("%s is Python %d.%d, and it needs 3.%d or newer", base, major, minor, oldest)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the folder for what tests install: %w", err)
	}
	sum := sha256.Sum256(append(version, requirements...))
	parent := filepath.Join(cache, "angelowl", "tools")
	dir := filepath.Join(parent, name+"-"+hex.EncodeToString(sum[:])[:12])
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
	pip := exec.CommandContext(ctx, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes", "-r", list)
	if said, err := pip.CombinedOutput(); err != nil {
		return "", fmt.Errorf("pip install: %w\n%s\nIt needs PyPI once, or a mirror that pip's settings name", err, said)
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
