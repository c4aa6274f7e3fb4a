//go:build unix

// Package promtool has Prometheus' promtool for tests. Debian's package prometheus is fetched and unpacked, not
// installed: that would start a Prometheus on the machine.
package promtool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Debian's package, and where its program lies in it.
const (
	debian  = "prometheus"
	program = "usr/bin/promtool"
)

// For returns promtool, which the first test of a machine fetches.
func For(t testing.TB) string {
	t.Helper()
	path, err := find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func find(ctx context.Context) (string, error) {
	if path, err := exec.LookPath("promtool"); err == nil {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the folder for tools: %w", err)
	}
	dir := filepath.Join(cache, "angelowl", "promtool")
	path := filepath.Join(dir, "promtool")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := fetch(ctx, dir, path); err != nil {
		return "", fmt.Errorf("promtool is missing: install Prometheus so that promtool is on PATH (https://prometheus.io/download/; Debian and Ubuntu: apt-get install prometheus): %w", err)
	}
	return path, nil
}

// fetch puts promtool into a folder, whole or not at all.
func fetch(ctx context.Context, dir, path string) error {
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("it cannot be fetched here: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, "new")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := run(ctx, tmp, "apt-get", "download", "-q", debian); err != nil {
		// The lists of packages may be old or not there; only root may renew them.
		if err := errors.Join(run(ctx, tmp, "apt-get", "update", "-q"), run(ctx, tmp, "apt-get", "download", "-q", debian)); err != nil {
			return err
		}
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil || len(debs) != 1 {
		return errors.Join(err, fmt.Errorf("apt-get fetched %d packages, want 1", len(debs)))
	}
	if err := run(ctx, tmp, "dpkg-deb", "-x", debs[0], "all"); err != nil {
		return err
	}
	return os.Rename(filepath.Join(tmp, "all", program), path)
}

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, bytes.TrimSpace(said))
	}
	return nil
}
