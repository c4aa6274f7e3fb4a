package petrock_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/local/s3"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	petrock "github.com/angelowl-loyalties/app/pet-rock"

	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// build builds the lambda as it is deployed.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "pet-rock")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/angelowl-loyalties/app/pet-rock/cmd/pet-rock")
	cmd.Dir = home
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the lambda: %v\n%s", err, out)
	}
	return program
}

// runtimeAPI is AWS Lambda's runtime API as a lambda of one invocation sees it:
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type runtimeAPI struct {
	events  chan []byte
	answers chan string
}

func (a *runtimeAPI) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		select {
		case event := <-a.events:
			rw.Header().Set("Lambda-Runtime-Aws-Request-Id", "1")
			rw.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(15*time.Minute).UnixMilli(), 10))
			_, _ = rw.Write(event)
		case <-r.Context().Done():
		}
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		body = []byte(err.Error())
	}
	rw.WriteHeader(http.StatusAccepted)
	a.answers <- string(body)
}

// process runs the lambda for a file of users, until it has answered or stop is closed, when it is
// killed. It returns the most resident memory that it had, in KiB, and whether it answered.
func (w *world) process(program, key, profiler, internal string, lambdaAPI http.Handler, stop <-chan struct{}) (peak int, answered bool) {
	w.t.Helper()
	runtime := &runtimeAPI{events: make(chan []byte, 1), answers: make(chan string, 1)}
	api := httptest.NewServer(runtime)
	defer api.Close()
	invoked := httptest.NewServer(lambdaAPI)
	defer invoked.Close()
	var log bytes.Buffer
	cmd := exec.Command(program)
	cmd.Stderr = &log
	cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"), "TMPDIR=" + w.t.TempDir(), "REPORT_BUCKET=" + reports,
		"PROFILER_ENDPOINT=" + profiler, "PROFILER_INTERNAL_ENDPOINT=" + internal, "CLIENT_SECRET=" + w.secret("pet-rock"),
		"AWS_REGION=" + s3.Region, "AWS_ENDPOINT_URL_S3=" + w.s3.Endpoint(), "AWS_ENDPOINT_URL_LAMBDA=" + invoked.URL,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=secret-of-the-test",
	}
	check(w.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		_ = cmd.Process.Kill() // a lambda has no end of its own
		<-ended
	}()
	runtime.events <- event(key)
	select {
	case answer := <-runtime.answers:
		if answer != "null" {
			w.t.Fatalf("the lambda answers %s", answer)
		}
		return highWater(w.t, cmd.Process.Pid), true
	case <-stop:
		return 0, false
	case err := <-ended:
		ended <- err
		w.t.Fatalf("the lambda ended: %v", err)
		return 0, false
	}
}

// highWater is the most resident memory that a process had, in KiB.
func highWater(t testing.TB, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	check(t, err)
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	text, _, _ := strings.Cut(rest, " kB")
	n, err := strconv.Atoi(strings.TrimSpace(text))
	check(t, err)
	return n
}

// invocations is Lambda's API as far as asynchronous invocations go.
func invocations(t *testing.T, ask func(*http.Request, uuid.UUID)) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var e struct {
			UserID uuid.UUID `json:"user_id"`
		}
		if r.URL.Path != "/2015-03-31/functions/passworder/invocations" || r.Header.Get("X-Amz-Invocation-Type") != "Event" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		if json.NewDecoder(r.Body).Decode(&e) != nil { // who asked was killed in the middle of it
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		ask(r, e.UserID)
		rw.WriteHeader(http.StatusAccepted)
	})
}

// Memory does not grow with the file: 100,000 users take as much as 10,000. Profiler is only as much as
// the lambda sees of it. The long form reads a million.
func TestMemoryDoesNotGrowWithTheFile(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it reads a hundred thousand rows")
	}
	if _, err := os.Stat("/proc/self/status"); errors.Is(err, fs.ErrNotExist) {
		t.Skip("SKIPPED: the most memory that a process had is read from /proc")
	}
	w := start(t)
	program := build(t)
	entered := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth/token" {
			_, _ = io.WriteString(rw, `{"access_token":"t","expires_in":1200}`)
			return
		}
		var in struct{ Rows []profile.UserRow }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		out := profile.UserOutcomes{Rows: make([]profile.UserOutcome, len(in.Rows))}
		for i, row := range in.Rows {
			switch {
			case i%4 == 0:
				out.Rows[i] = profile.UserOutcome{Outcome: profile.UserRefused, Code: "email_taken", Error: "email is another account's", Fields: map[string]string{"email": "is another account's"}}
			default:
				out.Rows[i].Outcome = profile.UserCreated
				if i%10 == 1 {
					out.NewUsers = append(out.NewUsers, row.ID)
				}
			}
		}
		_ = json.NewEncoder(rw).Encode(map[string]any{"data": out})
	}))
	defer entered.Close()
	peak := func(rows int) int {
		t.Helper()
		var b bytes.Buffer
		b.WriteString(header)
		for i := range rows {
			fmt.Fprintf(&b, "%08x-467d-48aa-96ab-d79394710a2b,Ann,Lee,+6591234567,user-%d@example.com,2021-09-01,2021-09-01,%08x-2222-48aa-96ab-d79394710a2b,4%015d,gold\n", i, i, i, i)
		}
		key := w.put("many.csv", b.Bytes())
		most, _ := w.process(program, key, entered.URL, entered.URL, invocations(t, func(*http.Request, uuid.UUID) {}), nil)
		if r, _ := w.report(key); r.Rows.Read != int64(rows) || r.Rows.Refused != int64(rows/4) {
			t.Errorf("%s %s: %+v", r.State, r.Error, r.Rows)
		}
		t.Logf("%d rows: %d KiB at most", rows, most)
		return most
	}
	rows := 100_000
	if os.Getenv("ANGELOWL_LONG") != "" {
		rows = 1_000_000
	}
	small, large := peak(10_000), peak(rows)
	if large > small+small/10 {
		t.Errorf("%d KiB for %d rows, %d KiB for 10000: more than a tenth more", large, rows, small)
	}
}

// TestKilled kills the lambda's process at points of chance, and then runs it again.
func TestKilled(t *testing.T) {
	w := start(t)
	program := build(t)
	var all []person
	for round, at := range []int64{0, 7, 31} {
		batch := people(uint64(500+round), 40, 56)
		all = append(all, batch...)
		key := w.put("killed.csv", file(uint64(round), batch))
		stop := make(chan struct{})
		var once sync.Once
		var asked atomic.Int64
		_, answered := w.process(program, key, w.public, w.internal, invocations(t, func(r *http.Request, user uuid.UUID) {
			n := asked.Add(1)
			if n <= at {
				check(t, w.queue.Ask(t.Context(), user))
				return
			}
			once.Do(func() { close(stop) }) // this one, and what comes behind it, is not taken any more
			<-r.Context().Done()
		}), stop)
		if answered || w.object(upload.ReportKey(upload.Users, petrock.UploadID(bucket, key))) != nil {
			t.Fatal("it was not killed in the middle")
		}
		if _, answered := w.process(program, key, w.public, w.internal, invocations(t, func(r *http.Request, user uuid.UUID) { check(t, w.queue.Ask(t.Context(), user)) }), nil); !answered {
			t.Fatal("the second run did not end")
		}
		w.stands(all...)
	}
	w.drained(len(all))
	w.oneMailEach(all...)
}
