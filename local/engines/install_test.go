//go:build unix

package engines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

func TestWhatTwoInstallAtOnceIsInstalledOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache", "kafka-1")
	var fills atomic.Int32
	fill := func(_, to string) error {
		fills.Add(1)
		if _, err := os.Stat(dir); err == nil {
			return errors.New("it is there before it is whole")
		}
		soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := once(soon, dir, func(string, string) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("another filled it meanwhile: %v", err)
		}
		return os.WriteFile(filepath.Join(to, "a.jar"), []byte("a"), 0o644)
	}
	var g errgroup.Group
	for range 8 {
		g.Go(func() error { return once(t.Context(), dir, fill) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := fills.Load(); n != 1 {
		t.Errorf("it was fetched %d times", n)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "a.jar")); err != nil || string(b) != "a" {
		t.Errorf("there is %q, %v", b, err)
	}
}

func TestAnInstallThatFailsLeavesNothing(t *testing.T) {
	cache := t.TempDir()
	dir, broken := filepath.Join(cache, "kafka-1"), errors.New("no network")
	err := once(t.Context(), dir, func(_, to string) error {
		return errors.Join(os.WriteFile(filepath.Join(to, "half.jar"), nil, 0o644), broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("it says %v", err)
	}
	left, err := os.ReadDir(cache)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range left {
		if !strings.HasSuffix(l.Name(), ".lock") {
			t.Errorf("%s is left", l.Name())
		}
	}
}

func TestOnlyTheJarsThatArePinnedAreTaken(t *testing.T) {
	installed, err := place(Kafka)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(installed); err != nil {
		if os.Getenv("ANGELOWL_ENGINES") == "none" {
			t.Skip("SKIPPED: kafka is not installed, and ANGELOWL_ENGINES=none")
		}
		t.Fatal("kafka is not installed; run `make engines`")
	}
	if err := checkJars(Kafka, installed); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		change     func(dir string) error
	}{
		{"one that is changed", "not what pins/kafka.sha256 says", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "kafka-clients-4.4.0.jar"), []byte("x"), 0o644)
		}},
		{"one too many", "extra.jar is not what pins/kafka.sha256 says", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "extra.jar"), nil, 0o644)
		}},
		{"one that did not come", "did not come: [kafka-clients-4.4.0.jar]", func(dir string) error {
			return os.Remove(filepath.Join(dir, "kafka-clients-4.4.0.jar"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(installed)); err != nil {
				t.Fatal(err)
			}
			if err := c.change(dir); err != nil {
				t.Fatal(err)
			}
			if err := checkJars(Kafka, dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it says %v", err)
			}
		})
	}
}

func TestPortsAreThoseThatNoClientIsGiven(t *testing.T) {
	got, err := freePorts(50, []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if n := len(slices.Compact(slices.Clone(got))); n != 50 {
		t.Errorf("%d of 50 ports differ", n)
	}
	if got[0] < lowPort || got[len(got)-1] >= highPort {
		t.Errorf("they are %d to %d", got[0], got[len(got)-1])
	}
}
