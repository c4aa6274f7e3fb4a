//go:build unix

package engines_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/local/engines"
	"github.com/jackc/pgx/v5"
)

// ownerOf makes this test binary a process that owns an engine: a folder, or one of Temp if "temp".
// With detached it lets go of the engine.
const ownerOf, detached = "ENGINES_TEST_OWNER_OF", "ENGINES_TEST_DETACHED"

func own(dir string) {
	ctx := context.Background()
	if dir == "temp" {
		var err error
		if dir, _, err = engines.Temp(ctx); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	e, err := engines.Start(ctx, dir, engines.Postgres, engines.Options{Detach: os.Getenv(detached) != ""})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(dir, e.PID())
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the test that runs this has seen enough
	os.Exit(0)
}

// owner runs a process that owns an engine. It returns the engine's folder and process.
func owner(t *testing.T, dir string, env ...string) (cmd *exec.Cmd, where string, pid int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), append(env, ownerOf+"="+dir)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	where, number, _ := strings.Cut(strings.TrimSpace(line), " ")
	if pid, _ = strconv.Atoi(number); err != nil || pid == 0 {
		t.Fatalf("the owner said %q: %v", line, err)
	}
	return cmd, where, pid
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the owner ended by itself: %v", err)
	}
}

// ends waits until a process is gone.
func ends(t *testing.T, pid int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("process %d is there still", pid)
		}
	}
}

func TestAnEngineEndsWithItsOwner(t *testing.T) {
	needEngines(t)
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: only Linux ends a process with its parent")
	}
	dir := t.TempDir()
	cmd, _, pid := owner(t, dir)
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the engine does not run while its owner does: %v", err)
	}
	if _, err := engines.Start(t.Context(), dir, engines.Postgres, engines.Options{}); !errors.Is(err, engines.ErrRuns) {
		t.Errorf("a second start says %v, not that it runs", err)
	}
	kill(t, cmd)
	ends(t, pid)

	e, err := engines.Start(t.Context(), dir, engines.Postgres, engines.Options{})
	if err != nil {
		t.Fatalf("the next start: %v", err)
	}
	if err := e.Kill(); err != nil {
		t.Fatal(err)
	}
}

// Linux ends a child with the thread that started it, and Go ends a thread with the goroutine that
// keeps it.
func TestAnEngineOutlivesTheThreadsOfItsOwner(t *testing.T) {
	needEngines(t)
	e, err := engines.Start(t.Context(), t.TempDir(), engines.Etcd, engines.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Kill() })
	pid := e.PID()
	for range 20 {
		var all sync.WaitGroup
		for range 50 {
			all.Go(runtime.LockOSThread)
		}
		all.Wait()
	}
	if err := writeEtcd(t.Context(), e.Addr(), "x"); err != nil || e.PID() != pid {
		t.Errorf("it was process %d and is %d: %v", pid, e.PID(), err)
	}
}

func TestATemporaryFolderIsRemovedAfterItsOwner(t *testing.T) {
	needEngines(t)
	t.Setenv("TMPDIR", t.TempDir())
	cmd, dir, pid := owner(t, "temp")
	_, remove, err := engines.Temp(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("the folder was removed while its owner lives: %v", err)
	}
	kill(t, cmd)
	if _, remove, err = engines.Temp(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer remove()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of an owner that is gone is there still: %v", err)
	}
	ends(t, pid)
}

func TestADetachedEngineIsFoundAgain(t *testing.T) {
	needEngines(t)
	dir := t.TempDir()
	cmd, _, pid := owner(t, dir, detached+"=1")
	kill(t, cmd)
	e, err := engines.Open(t.Context(), dir, engines.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Kill() })
	if e.PID() != pid {
		t.Fatalf("it is process %d, and %d is found", pid, e.PID())
	}
	if _, err := engines.Start(t.Context(), dir, engines.Postgres, engines.Options{}); !errors.Is(err, engines.ErrRuns) {
		t.Errorf("a second start says %v, not that it runs", err)
	}
	if err := writePostgres(t.Context(), e.Addr(), "x"); err != nil {
		t.Fatal(err)
	}
	s, err := e.Nodes[0].Status()
	if err != nil || s.PID != pid || s.Memory < 1<<20 || s.Since.IsZero() || s.Took <= 0 {
		t.Errorf("its status is %+v, %v", s, err)
	}
	if err := e.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	ends(t, pid)
}

// A postmaster that somebody else kills leaves its sessions until they notice.
func TestPostgresStartsAfterItWasKilledFromOutside(t *testing.T) {
	needEngines(t)
	ctx := t.Context()
	e, err := engines.Start(ctx, t.TempDir(), engines.Postgres, engines.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Kill() })
	c, err := pgx.Connect(ctx, e.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	session, postmaster := int(c.PgConn().PID()), e.PID()
	if session == 0 || postmaster == 0 {
		t.Fatalf("the session is process %d of %d", session, postmaster)
	}
	if err := syscall.Kill(session, syscall.SIGSTOP); err != nil { // it cannot notice
		t.Fatal(err)
	}
	defer syscall.Kill(session, syscall.SIGCONT)
	if err := syscall.Kill(postmaster, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ends(t, postmaster)

	started := make(chan error, 1)
	go func() { started <- e.Start(ctx) }()
	eventually(t, func(context.Context) error {
		if log, err := os.ReadFile(e.Log()); err != nil || !strings.Contains(string(log), "pre-existing shared memory block") {
			return fmt.Errorf("no start has met the session: %v", err)
		}
		return nil
	})
	if err := syscall.Kill(session, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-started; err != nil {
		t.Fatal(err)
	}
}

func TestWhatCannotStartSaysWhy(t *testing.T) {
	needEngines(t)
	t.Run("not installed", func(t *testing.T) {
		t.Setenv("XDG_CACHE_HOME", t.TempDir())
		t.Setenv("HOME", t.TempDir())
		for _, k := range []engines.Kind{engines.Kafka, engines.Cassandra, engines.Etcd} {
			_, err := engines.Start(t.Context(), t.TempDir(), k, engines.Options{})
			if !errors.Is(err, engines.ErrMissing) || !strings.Contains(err.Error(), "make engines") || !strings.Contains(err.Error(), k.Variable()) {
				t.Errorf("%s: %v", k, err)
			}
		}
	})
	t.Run("its port is taken", func(t *testing.T) {
		dir := t.TempDir()
		e, err := engines.Start(t.Context(), dir, engines.Etcd, engines.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", e.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if _, err = engines.Start(t.Context(), dir, engines.Etcd, engines.Options{}); err == nil || !strings.Contains(err.Error(), "is taken") {
			t.Errorf("it says %v", err)
		}
	})
	t.Run("other nodes than its data have", func(t *testing.T) {
		dir := t.TempDir()
		e, err := engines.Start(t.Context(), dir, engines.Etcd, engines.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, err = engines.Start(t.Context(), dir, engines.Etcd, engines.Options{Nodes: 3}); err == nil || !strings.Contains(err.Error(), "1 nodes, and 3") {
			t.Errorf("it says %v", err)
		}
	})
	t.Run("it ends at once", func(t *testing.T) {
		dir := t.TempDir()
		e, err := engines.Start(t.Context(), dir, engines.Postgres, engines.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "postgres", "n1", "data", "PG_VERSION")); err != nil {
			t.Fatal(err)
		}
		err = e.Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "is not a valid data directory") {
			t.Errorf("it says %v", err)
		}
	})
}

// The long form: an engine of three nodes goes on without one of them.
func TestThreeNodesGoOnWithoutOne(t *testing.T) {
	needEngines(t)
	if os.Getenv("ANGELOWL_LONG") == "" {
		t.Skip("SKIPPED: three nodes of each are the long form, ANGELOWL_LONG=1")
	}
	for _, k := range []engines.Kind{engines.Etcd, engines.Kafka, engines.Cassandra} {
		t.Run(string(k), func(t *testing.T) {
			ctx, c := t.Context(), clients[k]
			e, err := engines.Start(ctx, t.TempDir(), k, engines.Options{Nodes: 3})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Kill() })
			for _, n := range e.Nodes {
				s, err := n.Status()
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s: %d MB, ready in %v", n.Addr, s.Memory/1_000_000, s.Took)
			}
			if err := c.write(ctx, e.Addr(), "before"); err != nil {
				t.Fatal(err)
			}
			lost := e.Nodes[0]
			if err := lost.Kill(); err != nil {
				t.Fatal(err)
			}
			eventually(t, func(ctx context.Context) error { return c.write(ctx, e.Addr(), "without one") })
			if err := lost.Start(ctx); err != nil {
				t.Fatal(err)
			}
			eventually(t, func(ctx context.Context) error { return c.write(ctx, lost.Addr, "with it again") })
			got, err := c.read(ctx, e.Addr())
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"before", "without one", "with it again"} {
				if !slices.Contains(got, want) {
					t.Errorf("%q was acknowledged and is gone", want)
				}
			}
			var pids []int
			for _, n := range e.Nodes {
				pids = append(pids, n.PID())
			}
			if err := e.Stop(ctx); err != nil {
				t.Fatal(err)
			}
			for _, pid := range pids {
				gone(t, e, pid)
			}
		})
	}
}

// eventually waits until the engine has found a new leader.
func eventually(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}
