package images_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/angelowl-loyalties/app/local/engines"
	"github.com/angelowl-loyalties/app/local/engines/enginestest"
	"github.com/angelowl-loyalties/app/local/rie"
	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

// patience is how long it may take until all programs are up and the example is loaded, on a machine with more
// to do.
const patience = 12 * time.Minute

// TestProgramsAsComposeStartsThem runs what docker-compose.yml runs, in the order in which it does: every program
// of the images as a process of its own with exactly the environment and the command that stand there, the
// lambdas under AWS's Runtime Interface Emulator, on real engines. The names of containers become loopback
// addresses, and volumes folders; nothing else changes. What it leaves out: the portal, Kafka's UI, Prometheus
// and Grafana, and the container around each.
func TestProgramsAsComposeStartsThem(t *testing.T) {
	w := start(t)
	w.up("seed")
	w.works(t)

	// What a deployment tries of each lambda before anybody else may call it.
	smokes, err := filepath.Glob(filepath.Join(root, ".github/smoke/*.json"))
	if err != nil || len(smokes) != 7 {
		t.Fatalf("%v: %v", smokes, err)
	}
	for _, path := range smokes {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run("the smoke test of "+name, func(t *testing.T) {
			var smoke struct {
				Event  json.RawMessage
				Answer any
			}
			if err := json.Unmarshal([]byte(read(t, ".github/smoke/"+name+".json")), &smoke); err != nil {
				t.Fatal(err)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.address("cloud", 9001)+"/2015-03-31/functions/"+name+"/invocations", bytes.NewReader(smoke.Event))
			if err != nil {
				t.Fatal(err)
			}
			status, said := w.send(t, req)
			var answer any
			if err := json.Unmarshal(said, &answer); err != nil || status != http.StatusOK || !contains(answer, smoke.Answer) {
				t.Errorf("%d %s, not %v: %v", status, said, smoke.Answer, err)
			}
		})
	}

	t.Run("a second start has nothing to do", func(t *testing.T) {
		for _, name := range []string{"secrets", "prepare-postgres", "prepare-cassandra", "prepare-kafka", "seed"} {
			w.run(name)
		}
	})

	t.Run("SIGTERM ends every service in good order", func(t *testing.T) {
		for _, name := range []string{"rewarder", "informer", "campaignex", "profiler", "cloud"} {
			if err := w.processes[name].stop(t); err != nil {
				t.Errorf("%s: %v\n%s", name, err, w.processes[name].tail())
			}
		}
	})
}

// works goes through each program once, in the example's data.
func (w *world) works(t *testing.T) {
	t.Run("from POST /publish to GET /reward", w.published)
	t.Run("from a file of users to a mail with a first password", w.users)
	t.Run("the example's file was read to its end, and reconciled", w.reconciled)
}

func (w *world) published(t *testing.T) {
	merchant, user, admin := w.as(token.Merchant), w.as(token.User), w.as(token.Admin)
	var me struct {
		Data struct {
			CreditCards []struct {
				ID       string `json:"id"`
				CardType string `json:"card_type"`
				PAN      string `json:"card_pan"`
			}
		}
	}
	w.json(t, user, http.MethodGet, "/user/"+w.account(token.User).ID, nil, http.StatusOK, &me)
	if len(me.Data.CreditCards) == 0 {
		t.Fatal("the sample cardholder has no card of the example")
	}
	card := me.Data.CreditCards[0]
	transaction := map[string]any{
		"id": "abcdefab-cdef-4bcd-9fab-cdefabcdefab", "card_id": card.ID, "merchant": "Programs Apart", "mcc": 4722, "currency": "CAD",
		"amount": json.Number("123.45"), "transaction_date": "2018-12-31", "card_pan": card.PAN, "card_type": card.CardType,
	}
	type reward struct {
		Merchant string      `json:"merchant"`
		Amount   json.Number `json:"reward_amount"`
		Remarks  string      `json:"remarks"`
	}
	var tried struct{ Data reward }
	w.json(t, admin, http.MethodPost, "/campaign/try", map[string]any{"transaction": transaction}, http.StatusOK, &tried)
	if n, err := tried.Data.Amount.Float64(); err != nil || n <= 0 {
		t.Fatalf("the transaction would earn nothing: %+v", tried.Data)
	}
	w.json(t, merchant, http.MethodPost, "/publish", transaction, http.StatusAccepted, nil)
	var got reward
	w.until(t, "the reward", func() bool {
		var history struct{ Data []reward }
		w.json(t, user, http.MethodGet, "/reward/"+card.ID+"?merchant=Programs+Apart", nil, http.StatusOK, &history)
		if len(history.Data) == 0 {
			return false
		}
		got = history.Data[0]
		return true
	})
	if got != tried.Data {
		t.Errorf("it earned %+v, and would have earned %+v", got, tried.Data)
	}
}

func (w *world) users(t *testing.T) {
	bank := w.as(token.Bank)
	const email = "nia.apart@person.example"
	var put string
	w.json(t, bank, http.MethodGet, "/user/presigned", nil, http.StatusOK, &put)
	if !strings.HasPrefix(put, "http://"+w.address("cloud", 9000)+"/angelowl-users/") {
		t.Fatalf("a browser of this machine cannot PUT to %s", put)
	}
	var file bytes.Buffer
	rows := csv.NewWriter(&file)
	_ = rows.WriteAll([][]string{
		{"id", "first_name", "last_name", "phone", "email", "created_at", "updated_at", "card_id", "card_pan", "card_type"},
		{"abcdefab-cdef-4bcd-8fab-cdefabcdefaa", "Nia", "Apart", "+6581234567", email, "", "", uuid.NewString(), "4111-1111-1111-1111", "scis_freedom"},
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, put, &file)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/csv")
	if status, said := w.send(t, req); status != http.StatusOK {
		t.Fatalf("PUT: %d %s", status, said)
	}
	w.until(t, "the mail", func() bool {
		var box struct{ Data []struct{ To []string } }
		w.json(t, "", http.MethodGet, "/mail/mail.json", nil, http.StatusOK, &box)
		return slices.ContainsFunc(box.Data, func(m struct{ To []string }) bool { return slices.Contains(m.To, email) })
	})
}

func (w *world) reconciled(t *testing.T) {
	bank := w.as(token.Bank)
	w.until(t, "the report", func() bool {
		var list struct {
			Data []struct {
				State string `json:"state"`
			}
		}
		w.json(t, bank, http.MethodGet, "/upload?kind=spend", nil, http.StatusOK, &list)
		return len(list.Data) == 1 && list.Data[0].State == "reconciled"
	})
}

// contains is jq's, as the workflow asks it, for null and objects.
func contains(is, want any) bool {
	all, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(is, want)
	}
	has, ok := is.(map[string]any)
	for name, v := range all {
		if !ok || !contains(has[name], v) {
			return false
		}
	}
	return true
}

// world is the system as processes.
type world struct {
	t         *testing.T
	ctx       context.Context
	project   *types.Project
	images    map[string]image
	rie       string
	dir       string // of volumes
	engines   map[string]string
	ports     map[string]int // by network and port of docker-compose.yml
	password  string         // PostgreSQL's
	superuser string
	settings  map[string]map[string]string // by service, in place of docker-compose.yml's; "" is none
	processes map[string]*process
	done      map[string]bool
	client    *http.Client
}

func start(t *testing.T) *world {
	w := newWorld(t)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for kind, service := range map[engines.Kind]string{engines.Kafka: "kafka:9092", engines.Cassandra: "cassandra:9042", engines.Etcd: "etcd:2379", engines.Postgres: "postgres:5432"} {
		wg.Go(func() {
			addr := enginestest.Start(t, kind, engines.Options{}).Addr()
			mu.Lock()
			defer mu.Unlock()
			if kind == engines.Postgres {
				conf, err := pgx.ParseConfig(addr)
				if err != nil {
					t.Error("the address of PostgreSQL cannot be read")
					return
				}
				w.password, w.superuser = conf.Password, conf.User
				addr = net.JoinHostPort(conf.Host, strconv.Itoa(int(conf.Port)))
			}
			w.engines[service] = addr
		})
	}
	w.build()
	wg.Wait()
	if t.Failed() || len(w.engines) != 4 {
		t.FailNow()
	}
	return w
}

func newWorld(t *testing.T) *world {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	p := project(t)
	return &world{
		t: t, ctx: ctx, project: p, images: built(p), rie: rie.Emulator(t), dir: t.TempDir(), engines: map[string]string{}, ports: map[string]int{},
		processes: map[string]*process{}, done: map[string]bool{}, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

func (w *world) build() {
	for _, name := range slices.Sorted(maps.Keys(w.images)) {
		program(w.t, w.images[name])
	}
}

// network is the service in whose network another is.
func (w *world) network(service string) string {
	if of, ok := strings.CutPrefix(w.project.Services[service].NetworkMode, "service:"); ok {
		return of
	}
	return service
}

// port is the port of this machine that stands for one of a container.
func (w *world) port(network string, port int) int {
	key := fmt.Sprint(network, ":", port)
	if w.ports[key] == 0 {
		free, err := engines.FreePorts(1)
		if err != nil {
			w.t.Fatal(err)
		}
		w.ports[key] = free[0]
	}
	return w.ports[key]
}

func (w *world) address(network string, port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(w.port(network, port)))
}

var hostPort = regexp.MustCompile(`(\b[a-z][a-z0-9-]*|127\.0\.0\.1|0\.0\.0\.0):(\d{2,5})\b`)

// here is a value of docker-compose.yml as it is for processes of this machine.
func (w *world) here(service, variable, value string) string {
	if n, err := strconv.Atoi(value); err == nil && strings.HasSuffix(variable, "PORT") {
		return strconv.Itoa(w.port(w.network(service), n))
	}
	value = hostPort.ReplaceAllStringFunc(value, func(at string) string {
		if engine := w.engines[at]; engine != "" {
			return engine
		}
		host, port, _ := strings.Cut(at, ":")
		n, _ := strconv.Atoi(port)
		switch network := w.network(host); {
		case host == "127.0.0.1", host == "0.0.0.0":
			return w.address(w.network(service), n)
		case w.project.Services[host].Name != "":
			return w.address(network, n)
		}
		w.t.Fatalf("%s: %s=%s names %s, which is no service", service, variable, value, host)
		return ""
	})
	for _, v := range w.project.Services[service].Volumes {
		from := v.Source
		if v.Type == types.VolumeTypeVolume {
			from = filepath.Join(w.dir, v.Source)
			if err := os.MkdirAll(from, 0o700); err != nil {
				w.t.Fatal(err)
			}
		}
		if value == v.Target || strings.HasPrefix(value, v.Target+"/") {
			value = from + strings.TrimPrefix(value, v.Target)
		}
	}
	if variable == "DB_USER" && value == "postgres" {
		return w.superuser
	}
	return value
}

// argv is what a container of a service would run, with command in place of its own where there is one.
func (w *world) argv(service string, command []string) []string {
	s := w.project.Services[service]
	file := program(w.t, w.images[service])
	words := slices.Concat([]string{file}, command)
	if len(s.Entrypoint) > 0 && command == nil {
		words = slices.Clone(s.Entrypoint)
		for i, word := range words {
			switch word {
			case "/usr/local/bin/aws-lambda-rie":
				words[i] = w.rie
			case "/var/runtime/bootstrap":
				words[i] = file
			}
		}
	} else if command == nil {
		words = append(words, s.Command...)
	}
	for i := range words[1:] {
		words[i+1] = w.here(service, "", words[i+1])
	}
	return words
}

func (w *world) command(service string, command []string) *exec.Cmd {
	argv := w.argv(service, command)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = w.t.TempDir()
	cmd.Env = []string{} // nothing of this machine's
	for name, value := range w.project.Services[service].Environment {
		if _, ours := w.settings[service][name]; value != nil && !ours {
			cmd.Env = append(cmd.Env, name+"="+w.here(service, name, *value))
		}
	}
	for name, value := range w.settings[service] {
		if value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// up starts a service after all that it depends on, as docker compose up does.
func (w *world) up(service string) {
	w.t.Helper()
	if w.done[service] {
		return
	}
	w.done[service] = true
	s := w.project.Services[service]
	deps := slices.Sorted(maps.Keys(s.DependsOn))
	for _, dep := range deps {
		w.up(dep)
	}
	// The lambdas are nobody's dependency but the gateway's own: `up` without a name starts them, too.
	if service == "seed" {
		for _, name := range slices.Sorted(maps.Keys(w.images)) {
			w.up(name)
		}
	}
	for _, dep := range deps {
		w.await(dep, s.DependsOn[dep].Condition)
	}
	switch {
	case w.images[service].file == "": // an engine
		return
	case once(s):
		w.run(service)
	default:
		w.launch(service)
	}
}

// await waits until a service is what another asks of it. What is done once is done when up returns.
func (w *world) await(service, condition string) {
	w.t.Helper()
	check := w.project.Services[service].HealthCheck
	if condition != types.ServiceConditionHealthy || w.images[service].file == "" {
		return
	}
	test := check.Test
	if test[0] != "CMD" || test[1] != "/service" && test[1] != "/dev-program" {
		w.t.Fatalf("%s: this test does not know the health check %q", service, test)
	}
	w.until(w.t, service+" is healthy", func() bool {
		select {
		case <-w.processes[service].ended:
			w.t.Fatalf("%s has ended: %v\n%s", service, w.processes[service].err, w.processes[service].tail())
		default:
		}
		return w.command(service, test[2:]).Run() == nil
	})
}

// run runs what ends by itself.
func (w *world) run(service string) {
	w.t.Helper()
	w.launch(service)
	p := w.processes[service]
	select {
	case <-p.ended:
	case <-w.ctx.Done():
		w.t.Fatalf("%s does not end\n%s\n%s", service, p.tail(), w.tails())
	}
	if p.err != nil {
		w.t.Fatalf("%s: %v\n%s", service, p.err, p.tail())
	}
	if service == "secrets" { // PostgreSQL's container would take over this one
		if err := os.WriteFile(filepath.Join(w.dir, "secrets", "postgres-password"), []byte(w.password), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

// process is a program that runs.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error // once it has ended
}

func (w *world) launch(service string) {
	w.t.Helper()
	p := &process{cmd: w.command(service, nil), log: filepath.Join(w.t.TempDir(), service+".log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		w.t.Fatal(err)
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// The thread that starts a process is the parent whose death Pdeathsig waits for: this one stays.
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer close(p.ended)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		w.t.Fatalf("starting %s: %v", service, err)
	}
	w.processes[service] = p
	w.t.Cleanup(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // the emulator's program, too
		<-p.ended
	})
}

func (p *process) stop(t *testing.T) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return p.err
	case <-t.Context().Done():
		return errors.New("it does not end")
	}
}

// tail is the end of what it said.
func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-3000):])
}

func (w *world) tails() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(w.processes)) {
		said := w.processes[name].tail()
		fmt.Fprintf(&b, "=== %s\n%s\n", name, said[max(0, len(said)-1200):])
	}
	return b.String()
}

// until looks again and again.
func (w *world) until(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-w.ctx.Done():
			t.Fatalf("waited in vain: %s\n%s", what, w.tails())
		}
	}
}

func (w *world) account(role token.Role) samples.Account {
	w.t.Helper()
	a, err := samples.Of(filepath.Join(w.dir, "samples"), role)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// as signs in and returns the token.
func (w *world) as(role token.Role) string {
	w.t.Helper()
	a := w.account(role)
	if role != token.Merchant {
		var out struct{ Data struct{ Token string } }
		w.json(w.t, "", http.MethodPost, "/auth/login", map[string]string{"email": a.Email, "password": a.Password}, http.StatusOK, &out)
		return out.Data.Token
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {a.ID}, "client_secret": {a.Secret}}
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPost, "http://"+w.address("cloud", 8080)+"/auth/token", strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var out struct {
		Token string `json:"access_token"`
	}
	if status, said := w.send(w.t, req); status != http.StatusOK || json.Unmarshal(said, &out) != nil {
		w.t.Fatalf("signing in as the merchant: %d %s", status, said)
	}
	return out.Token
}

// json sends a request through the gateway and reads its answer, which has to have this status.
func (w *world) json(t *testing.T, bearer, method, path string, body any, want int, out any) {
	t.Helper()
	var content io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(w.ctx, method, "http://"+w.address("cloud", 8080)+path, content)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	status, said := w.send(t, req)
	if status != want {
		t.Fatalf("%s %s: %d %s\n%s", method, path, status, said, w.tails())
	}
	if out != nil {
		if err := json.Unmarshal(said, out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, said)
		}
	}
}

func (w *world) send(t *testing.T, req *http.Request) (status int, said []byte) {
	t.Helper()
	res, err := w.client.Do(req)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.tails())
	}
	defer res.Body.Close()
	if said, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, said
}
