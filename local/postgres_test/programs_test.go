//go:build unix

package postgres_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/local/engines"
	"github.com/angelowl-loyalties/app/local/engines/enginestest"
	"github.com/angelowl-loyalties/app/local/etcd"
	"github.com/angelowl-loyalties/app/local/wait"
	"github.com/angelowl-loyalties/app/loyalty/profile/profiletest"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

// program is a service as a bank runs it: a process of its own.
type program struct {
	t    *testing.T
	url  string
	cmd  *osexec.Cmd
	log  *lockedBuffer
	http http.Client

	token string // of an admin
}

// The first admin of profiler, who has to choose another password.
const adminEmail, adminFirst, adminPassword = "ann@bank.example", "quartz-harbour-spindle-41", "velvet-orchard-comet-77"

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// build builds a service's program.
func build(t *testing.T, service string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), service)
	cmd := osexec.CommandContext(t.Context(), "go", "build", "-o", bin, "./"+service+"/cmd/"+service)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", service, err, out)
	}
	return bin
}

func freePort(t *testing.T) string {
	t.Helper()
	free, err := engines.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(free[0])
}

// launch starts a program with this environment and nothing else.
func launch(t *testing.T, bin string, env ...string) *program {
	t.Helper()
	port := freePort(t)
	p := &program{t: t, url: "http://127.0.0.1:" + port, log: &lockedBuffer{}, cmd: osexec.Command(bin)}
	p.http = http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	identity := profiletest.Start(t)
	p.token = identity.Account(t, "ann", token.Admin)
	p.cmd.Env = append([]string{
		"PORT=" + port, "SHUTDOWN_DELAY=0s", "INTERNAL_PORT=" + freePort(t), "JWKS_URL=" + identity.URL + "/.well-known/jwks.json",
		"PROFILER_ENDPOINT=" + identity.URL, "PROFILER_INTERNAL_ENDPOINT=" + identity.URL, "CLIENT_SECRET=" + profiletest.Secret,
	}, env...)
	if filepath.Base(bin) == "profiler" { // who signs tokens, and needs no more of those above
		p.token = ""
		p.cmd.Env = append([]string{
			"PORT=" + port, "SHUTDOWN_DELAY=0s", "INTERNAL_PORT=" + freePort(t), "DATA_KEY=" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
			"JWT_KEY_FILE=" + filepath.Join(t.TempDir(), "keys.pem"), "PORTAL_ORIGIN=https://portal.example", "REQUIRE_MFA=false",
			"MAIL_FROM=Bank <rewards@bank.example>", "SMTP_HOST=127.0.0.1", "SMTP_TLS=none", "ADMIN_EMAIL=" + adminEmail, "ADMIN_PASSWORD=" + adminFirst,
		}, env...)
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("it said:\n%s", p.log)
		}
	})
	return p
}

// exits waits for the program's end.
func (p *program) exits(code int, words ...string) {
	p.t.Helper()
	done := make(chan struct{})
	go func() { _ = p.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Kill()
		<-done
		p.t.Fatal("it did not end")
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("it ended with %d, want %d", got, code)
	}
	for _, w := range words {
		if !strings.Contains(p.log.String(), w) {
			p.t.Errorf("it did not say %q", w)
		}
	}
}

func (p *program) ask(method, path, body string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	res, err := p.http.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(b)
}

// signIn makes profiler's first admin sign in, choose another password, and sign in again.
func (p *program) signIn() {
	p.t.Helper()
	login := func(password string) {
		p.t.Helper()
		p.token = ""
		answer := p.until(200, "POST", "/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, adminEmail, password))
		var session struct{ Data struct{ Token string } }
		if err := json.Unmarshal([]byte(answer), &session); err != nil || session.Data.Token == "" {
			p.t.Fatalf("signing in is answered %s (%v)", answer, err)
		}
		p.token = session.Data.Token
	}
	login(adminFirst)
	if status, answer := p.ask("GET", "/card/type", ""); status != 403 {
		p.t.Errorf("with the first password it answers %d %s", status, answer)
	}
	p.until(200, "POST", "/auth/password", fmt.Sprintf(`{"email":%q,"old_password":%q,"password":%q,"confirm_password":%[3]q}`, adminEmail, adminFirst, adminPassword))
	login(adminPassword)
}

// until asks until it gets the status that it wants, and returns the answer.
func (p *program) until(want int, method, path, body string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		status, answer := p.ask(method, path, body)
		if status == want {
			return answer
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.t.Fatalf("%s %s is %d %s, want %d", method, path, status, answer, want)
		}
	}
}

// shows asks until the answer has the words.
func (p *program) shows(path, words string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		status, answer := p.ask("GET", path, "")
		if status == 200 && strings.Contains(answer, words) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.t.Fatalf("%s is %d %s, want %s", path, status, answer, words)
		}
	}
}

// says fails unless the answer's code is as given and it tells nothing of the inside.
func (p *program) says(answer, code string) {
	p.t.Helper()
	var e struct{ Error, Code string }
	if err := json.Unmarshal([]byte(answer), &e); err != nil || e.Code != code || e.Error == "" {
		p.t.Errorf("the answer is %s, want code %s", answer, code)
	}
	for _, inside := range []string{"SQLSTATE", "127.0.0.1", "refused", "EOF", "FATAL"} {
		if strings.Contains(answer, inside) {
			p.t.Errorf("the answer tells of the inside: %s", answer)
		}
	}
}

const campaignBody = `{"name":"Kaligo","start_date":"2021-09-01","end_date":"2021-12-31","reward_program":"p","reward_amount":1,"mcc":"0"}`

type subject struct{ service, path, body string }

var programs = []subject{
	{"campaignex", "/campaign", campaignBody},
	{"profiler", "/card/type", `{"card_type":"gold","name":"Gold","reward_unit":"miles","reward_program":"Miles"}`},
}

// TestPrograms builds each program and runs it as a bank does.
func TestPrograms(t *testing.T) {
	member, err := etcd.Start(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	some := programs
	if testing.Short() {
		some = programs[:1]
	}
	for _, test := range some {
		t.Run(test.service, func(t *testing.T) {
			bin := build(t, test.service)
			t.Run("waits for its database and outlives its outages", func(t *testing.T) { outages(t, bin, test, member) })
			t.Run("waits until its command has migrated", func(t *testing.T) { migrated(t, bin, member) })
			cannotStart(t, bin, test)
		})
	}
}

func outages(t *testing.T, bin string, test subject, member *etcd.Server) {
	db := enginestest.Start(t, engines.Postgres, engines.Options{})
	if err := db.Kill(); err != nil {
		t.Fatal(err)
	}
	p := launch(t, bin, "DB_CONN_STRING="+db.Addr(), "ETCD_ENDPOINTS="+member.Endpoint)
	for answer := ""; !strings.Contains(answer, "it waits for the database"); {
		answer = p.until(503, "GET", "/health", "")
	}
	p.says(p.until(503, "GET", test.path, ""), "starting")
	if err := db.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.until(200, "GET", "/health", "")
	if test.service == "profiler" {
		p.signIn()
	}
	p.until(201, "POST", test.path, test.body)
	p.shows(test.path, `"published":true`)

	if err := db.Kill(); err != nil {
		t.Fatal(err)
	}
	status, answer := p.ask("GET", test.path, "")
	if status != 503 {
		t.Errorf("without its database it answers %d %s", status, answer)
	}
	p.says(answer, "database_unavailable")
	status, answer = p.ask("POST", test.path, test.body)
	if status != 503 {
		t.Errorf("without its database it answers %d %s", status, answer)
	}
	p.says(answer, "database_unavailable")
	if err := db.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if answer := p.until(200, "GET", test.path, ""); !strings.Contains(answer, `"total":1`) {
		t.Errorf("after the outage: %s", answer)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.exits(0, `"msg":"ended"`)
}

// migrated runs the program beside its command migrate, as a deployment with DB_MIGRATE=false does.
func migrated(t *testing.T, bin string, member *etcd.Server) {
	dsn := enginestest.Database(t)
	p := launch(t, bin, "DB_MIGRATE=false", "DB_CONN_STRING="+dsn, "ETCD_ENDPOINTS="+member.Endpoint)
	for answer := ""; !strings.Contains(answer, "it waits for the database"); {
		answer = p.until(503, "GET", "/health", "")
	}
	// Its answer may be here before its log is.
	wait.Until(t, 10*time.Millisecond, time.Minute, "it says what it waits for", func() bool {
		return strings.Contains(p.log.String(), "the program's command migrate brings it up to date")
	})
	for _, again := range []string{"first", "again"} {
		cmd := osexec.CommandContext(t.Context(), bin, "migrate")
		cmd.Env = []string{"DB_CONN_STRING=" + dsn} // of all settings the database's alone
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("migrating, %s: %v\n%s", again, err, said)
		}
	}
	p.until(200, "GET", "/health", "")
}

func cannotStart(t *testing.T, bin string, test subject) {
	dsn := enginestest.Database(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("nobody_of_that_name", "hush")
	t.Run("with wrong settings it ends with 2", func(t *testing.T) {
		p := launch(t, bin, "DB_MAX_CONNS=1", "DB_CONN_STRINGS=x", "DB_CONN_STRING=postgres://h:1/d?sslmode=hush", "SHUTDOWN_TIMEOUT=0s")
		p.exits(2, `DB_MAX_CONNS is \"1\"`, "ETCD_ENDPOINTS is missing", "SHUTDOWN_TIMEOUT", "DB_CONN_STRINGS, which is not a setting")
		if strings.Contains(p.log.String(), "hush") || strings.Contains(p.log.String(), `"starting"`) {
			t.Error("it shows the connection string, or has begun")
		}
	})
	t.Run("with a user whom the database does not let in", func(t *testing.T) {
		launch(t, bin, "DB_CONN_STRING="+u.String(), "ETCD_ENDPOINTS=127.0.0.1:1").exits(1, "nobody_of_that_name")
	})
	t.Run("with a database of a newer program", func(t *testing.T) {
		dsn := enginestest.Database(t)
		db := open(t, dsn)
		if err := services[test.service](t.Context(), db); err != nil {
			t.Fatal(err)
		}
		exec(t, db, "INSERT INTO schema_migrations VALUES ('9999_later.sql', now())")
		launch(t, bin, "DB_CONN_STRING="+dsn, "ETCD_ENDPOINTS=127.0.0.1:1").exits(1, "9999_later.sql", "needs a newer program")
	})
	t.Run("with a port that is taken", func(t *testing.T) {
		l, err := net.Listen("tcp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		launch(t, bin, "DB_CONN_STRING="+dsn, "ETCD_ENDPOINTS=127.0.0.1:1", fmt.Sprint("PORT=", port)).exits(1, "address already in use")
	})
	t.Run("is stopped while it waits", func(t *testing.T) {
		p := launch(t, bin, "DB_CONN_STRING=postgres://127.0.0.1:1/db", "ETCD_ENDPOINTS=127.0.0.1:1")
		p.until(503, "GET", "/health", "")
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
		p.exits(0, "ended before it was up")
	})
}
