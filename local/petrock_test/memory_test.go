package petrock_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/local/lambdatest"
	"github.com/angelowl-loyalties/app/local/s3"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// process starts the lambda as it is deployed, with these addresses of S3, profiler, its internal port and
// Lambda.
func (w *world) process(program, s3Addr, public, internal, lambdaAddr string, env ...string) *lambdatest.Process {
	w.t.Helper()
	return lambdatest.Start(w.t, program, append([]string{
		"REPORT_BUCKET=" + reports, "PROFILER_ENDPOINT=" + public, "PROFILER_INTERNAL_ENDPOINT=" + internal, "CLIENT_SECRET=" + w.secret("pet-rock"),
		"AWS_REGION=" + s3.Region, "AWS_ENDPOINT_URL_S3=" + s3Addr, "AWS_ENDPOINT_URL_LAMBDA=" + lambdaAddr,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=secret-of-the-test",
	}, env...)...)
}

// patience is how long an invocation may take.
const patience = 5 * time.Minute

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
	w := start(t)
	program := lambdatest.Build(t, home, "pet-rock/cmd/pet-rock")
	invoked := httptest.NewServer(invocations(t, func(*http.Request, uuid.UUID) {}))
	defer invoked.Close()
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
		p := w.process(program, w.s3.Endpoint(), entered.URL, entered.URL, invoked.URL)
		if _, err := p.Invoke(t.Context(), event(key), 15*time.Minute); err != nil {
			t.Fatalf("%v\n%s", err, p.Log())
		}
		most := p.Peak()
		p.Kill()
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

// endless is a reader of one byte, again and again.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// TestALineOfAGigabyte holds that such a line, as the header or below it, takes no more memory than any
// other file, and that the report says what to do. Nobody stores the gigabyte: it is made as it is read.
func TestALineOfAGigabyte(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: it reads a gigabyte")
	}
	const most = 100 << 10 // KiB; the smallest lambda has 128 MB
	program := lambdatest.Build(t, home, "pet-rock/cmd/pet-rock")
	w := start(t)
	w.quiet = true
	all := people(61, 2, 2)
	rows := strings.SplitAfter(string(file(61, all)), "\n")
	invoked := httptest.NewServer(invocations(t, func(*http.Request, uuid.UUID) {}))
	defer invoked.Close()
	for _, c := range []struct {
		name, before, after string
		rows                upload.Rows
		code, says          string
	}{
		{"the header", "", "", upload.Rows{}, "bad_header", "save the file with a header row and one line for each card"},
		{"a row", rows[0] + rows[1], "\n" + rows[2], upload.Rows{Read: 3, Accepted: 2, Refused: 1}, "", "see whether the line ends are missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := strings.ReplaceAll(c.name, " ", "-") + ".csv"
			w.putPlain(key, []byte("x"))
			proxy := lambdatest.NewProxy(t, w.s3.Endpoint())
			proxy.After = lambdatest.Instead("/"+bucket+"/"+key, func() io.Reader {
				return io.MultiReader(strings.NewReader(c.before), io.LimitReader(endless{}, 1<<30), strings.NewReader(c.after))
			}, int64(len(c.before)+1<<30+len(c.after)))
			p := w.process(program, proxy.URL, w.public, w.internal, invoked.URL)
			defer p.Kill()
			if _, err := p.Invoke(t.Context(), event(key), patience); err != nil {
				t.Fatalf("%v\n%s", err, p.Log())
			}
			if peak := p.Peak(); peak > most {
				t.Errorf("it took %d KiB, want %d at most", peak, most)
			}
			r, refused := w.report(key)
			if r.Code != c.code || r.Rows != c.rows || !strings.Contains(r.Error+refused, c.says) {
				t.Errorf("%s %s %+v: %s%s", r.State, r.Code, r.Rows, r.Error, refused)
			}
		})
	}
	w.stands(all...)
}
