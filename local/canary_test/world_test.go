// Package canary_test sends what nobody should, through the front door of the whole system in this
// process: card numbers wherever they do not belong, and bad input in every field that the gateway's
// file has.
package canary_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

var (
	inputs string // the folder examples, absolute: the S3 server changes the working directory
	doc    *openapi3.T
)

func TestMain(m *testing.M) {
	var err error
	if inputs, err = filepath.Abs("../../examples"); err == nil {
		doc, err = openapi3.NewLoader().LoadFromFile("../../.infra/api/openapi.yaml")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"), // sarama's, one a process
		// The HTTP server under the S3 server has one for the date, and looks every 10 s whether it was stopped.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// limit is how long an answer may take: a request that takes longer hangs.
const limit = 20 * time.Second

// world is the whole system at work.
type world struct {
	*stack.Stack
	log      *logBook
	accounts map[token.Role]samples.Account
	clients  map[token.Role]*http.Client

	ids map[string]string // of what was made for the test, by the path of its kind: /campaign
}

// logBook is a log of which nothing is left out.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *logBook) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *logBook) text() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.b.Bytes())
}

// run runs the system on data with the example's rules while body is at work. What the system leaves
// in data is whole when run returns.
func run(t *testing.T, data string, body func(*world)) *logBook {
	t.Helper()
	log := &logBook{}
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Chdir(before); err != nil {
			t.Error(err)
		}
	}()
	seed, err := stack.ReadSeed(filepath.Join(inputs, "rules.json"), filepath.Join(inputs, "quotes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Fatal(err)
	}
	cfg := stack.Config{
		Data: data, Listen: "127.0.0.1:0", Home: loyalty.MustCurrency("CAD"), Timezone: zone, Rewarders: 1, Partitions: 2,
		Samples: true, Throwaway: true,
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 4}
	defer transport.CloseIdleConnections()
	defer http.DefaultClient.CloseIdleConnections()
	err = stack.Run(t.Context(), cfg, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})), func(ctx context.Context, s *stack.Stack) error {
		if err := s.Plant(ctx, seed); err != nil {
			return err
		}
		all, err := s.SampleUsers(ctx)
		if err != nil {
			return err
		}
		if _, err := s.AwaitRules(ctx); err != nil {
			return err
		}
		w := &world{Stack: s, log: log, accounts: map[token.Role]samples.Account{}, clients: map[token.Role]*http.Client{"": {Transport: transport, Timeout: limit}}, ids: map[string]string{}}
		for _, a := range all {
			w.accounts[a.Role] = a
			if a.Password != "" {
				w.clients[a.Role] = &http.Client{Transport: &samples.Transport{Data: s.Data, Role: a.Role, Base: transport}, Timeout: limit}
			}
		}
		w.prepare(t)
		body(w)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return log
}

// prepare makes one of each thing that routes name in their paths.
func (w *world) prepare(t *testing.T) {
	t.Helper()
	w.ids["/user/{id}"] = uuid.NewString()
	for _, path := range []string{"/user/{id}/limits", "/user/{id}/secret", "/user/{id}/secret/{secretId}"} {
		w.ids[path] = w.accounts[token.Merchant].ID
	}
	w.ids["/fx/{date}"] = "2021-09-04"
	for _, kind := range []string{"/user", "/card", "/card/type", "/campaign", "/exclusion"} {
		o := operationOf(t, http.MethodPost, kind)
		body := w.body(o)
		if kind == "/user" {
			body.(map[string]any)["id"] = w.ids["/user/{id}"]
		}
		a := w.send(t, o.role(), o.method, o.path, encode(t, body))
		var made struct {
			Data map[string]any `json:"data"`
		}
		if err := json.Unmarshal(a.body, &made); err != nil || a.status != http.StatusCreated {
			t.Fatalf("POST %s: %d %s", kind, a.status, a.body)
		}
		if kind == "/card/type" {
			w.ids["/card/type/{card_type}"] = made.Data["card_type"].(string)
			continue
		}
		w.ids[kind+"/{id}"] = made.Data["id"].(string)
	}
	w.ids["/ops/deadletters/{letter}"] = w.letter(t)
}

// letter has a transaction set aside.
func (w *world) letter(t *testing.T) string {
	t.Helper()
	publish := operationOf(t, http.MethodPost, "/publish")
	body := put(w.body(publish), []any{"card_type"}, "nobody_has_it")
	if a := w.send(t, publish.role(), publish.method, publish.path, encode(t, body)); a.status != http.StatusAccepted {
		t.Fatalf("POST /publish: %d %s", a.status, a.body)
	}
	late := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		a := w.send(t, token.Admin, http.MethodGet, "/ops/deadletters?reason=unknown_card_type", nil)
		var page struct{ Data []struct{ ID string } }
		if err := json.Unmarshal(a.body, &page); err != nil || a.status != http.StatusOK {
			t.Fatalf("GET /ops/deadletters: %d %s", a.status, a.body)
		}
		if len(page.Data) > 0 {
			return page.Data[0].ID
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("a transaction of no card type is not set aside")
		}
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte

	text, code string // of an error
	fields     map[string]string
}

// send sends a request. One that the gateway has no room for is sent again when the gateway says so.
func (w *world) send(t *testing.T, role token.Role, method, target string, body []byte, headers ...string) answer {
	t.Helper()
	for {
		req, err := http.NewRequestWithContext(t.Context(), method, w.URL+target, bytes.NewReader(body))
		if err != nil {
			t.Fatalf("%s %.80q: %v", method, target, err)
		}
		if len(body) > 0 {
			req.Header.Set("Content-Type", "application/json")
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		res, err := w.clients[role].Do(req)
		if err != nil {
			t.Fatalf("%s %.80s hangs or breaks off: %v", method, target, err)
		}
		raw, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatalf("%s %.80s breaks off: %v", method, target, err)
		}
		a := answer{status: res.StatusCode, header: res.Header, body: raw}
		var failed struct {
			Error       string            `json:"error"`
			Description string            `json:"error_description"`
			Code        string            `json:"code"`
			Fields      map[string]string `json:"fields"`
		}
		if a.status >= 400 && json.Unmarshal(raw, &failed) == nil {
			a.text, a.code, a.fields = failed.Error+" "+failed.Description, failed.Code, failed.Fields
		}
		if a.code != "too_many_requests" {
			return a
		}
		select {
		case <-time.After(time.Second): // as Retry-After says
		case <-t.Context().Done():
			t.Fatal("the gateway has no room")
		}
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// target is the address of an operation, of things that are there.
func (w *world) target(o operation) string {
	out := o.path
	for _, p := range o.params("path") {
		out = strings.Replace(out, "{"+p.Name+"}", w.pathValue(o, p.Name), 1)
	}
	return out
}

func (w *world) pathValue(o operation, name string) string {
	base := o.path[:strings.Index(o.path, "}")+1]
	for _, key := range []string{o.path, base} {
		if id := w.ids[key]; id != "" && strings.HasSuffix(key, "{"+name+"}") || id != "" && key == o.path && name == "id" {
			return id
		}
	}
	if name == "token" {
		return "AAAA"
	}
	return "1b4db7eb-4057-5ddf-91e0-36dec72071f5"
}
