package signin_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler/password"
	"github.com/angelowl-loyalties/app/profiler/signin"
)

const (
	atOnce       = 200
	memoryChild  = "ANGELOWL_MEMORY_CHILD"
	bytesPerMiB  = 1 << 20
	othersMemory = 48 * bytesPerMiB // of 200 requests, the database and the runtime
)

// TestMemoryAt200SignInsAtOnce runs them in a process of their own, whose high-water mark is nobody
// else's. Of hashes that are done the collector leaves as much again at most (GOGC=100) before it runs.
func TestMemoryAt200SignInsAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in the short form, which the race detector runs: it has a memory of its own")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMemoryOfTheChild$", "-test.v")
	cmd.Env = append(os.Environ(), memoryChild+"=1", "GOMAXPROCS=2", "GOGC=100")
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	found := regexp.MustCompile(`parallel=(\d+) before=(\d+) peak=(\d+) took=(\S+)`).FindStringSubmatch(string(said))
	if found == nil {
		t.Fatalf("%s", said)
	}
	number := func(s string) int64 { n, _ := strconv.ParseInt(s, 10, 64); return n }
	parallel, before, peak := number(found[1]), number(found[2]), number(found[3])
	t.Logf("%d sign-ins at once, %d hashed at a time: %d MiB more than at rest (%d MiB at the peak), %s", atOnce, parallel, (peak-before)/bytesPerMiB, peak/bytesPerMiB, found[4])
	if bound := 2*parallel*password.MemoryPerHash + 2*password.MemoryPerHash + othersMemory; peak-before > bound {
		t.Errorf("%d MiB more than at rest, and %d are the bound", (peak-before)/bytesPerMiB, bound/bytesPerMiB)
	}
}

// TestMemoryOfTheChild is what it runs.
func TestMemoryOfTheChild(t *testing.T) {
	if os.Getenv(memoryChild) == "" {
		t.Skip("it is a part of TestMemoryAt200SignInsAtOnce")
	}
	w := newWorld(t, func(c *signin.Config) {
		c.Rates.Account, c.Rates.Address = signin.Rate{Max: 1000, Per: time.Minute}, signin.Rate{Max: 1000, Per: time.Minute}
	})
	w.hasher = password.NewHasher(password.Parallel(), 256) // as the process's own
	w.restart()
	w.user(token.User, "ada@example.com")
	before := resident(t, "VmRSS")
	check(t, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)) // the mark begins anew
	begin := time.Now()
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range atOnce {
		wg.Go(func() {
			<-start
			rec := httptest.NewRecorder()
			w.public.ServeHTTP(rec, httptest.NewRequest("POST", "/auth/login", strings.NewReader(js("email", "ada@example.com", "password", plain))))
			if rec.Code != 200 {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
		})
	}
	close(start)
	wg.Wait()
	fmt.Printf("parallel=%d before=%d peak=%d took=%s\n", password.Parallel(), before, resident(t, "VmHWM"), time.Since(begin).Round(time.Millisecond))
}

func resident(t *testing.T, field string) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	check(t, err)
	found := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(b)
	if found == nil {
		t.Fatalf("no %s in %s", field, b)
	}
	n, err := strconv.ParseInt(string(found[1]), 10, 64)
	check(t, err)
	return n << 10
}
