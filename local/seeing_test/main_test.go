//go:build unix

package seeing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/local/samples"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

// patience is how long the system may take for something.
const patience = 2 * time.Minute

// world is the running system.
type world struct {
	*stack.Stack
	t      *testing.T
	ctx    context.Context
	client *http.Client
	log    *lines
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// start runs body with the system on embedded engines, with rules and sample users.
func start(t *testing.T, change func(*stack.Config), body func(*world)) {
	t.Helper()
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	seed, err := stack.ReadSeed(filepath.Join(inputs, "rules.json"), filepath.Join(inputs, "quotes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(".") // the S3 server changes it
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	cfg := stack.Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Home: loyalty.MustCurrency("CAD"), Timezone: zone, Rewarders: 2, Partitions: 2, Throwaway: true, Samples: true,
	}
	change(&cfg)
	log := &lines{}
	err = stack.Run(t.Context(), cfg, slog.New(slog.NewJSONHandler(log, nil)), func(ctx context.Context, s *stack.Stack) error {
		if err := s.Plant(ctx, seed); err != nil {
			return err
		}
		if _, err := s.AwaitRules(ctx); err != nil {
			return err
		}
		if _, err := s.SampleUsers(ctx); err != nil {
			return err
		}
		t.Run("running", func(t *testing.T) {
			body(&world{Stack: s, t: t, ctx: ctx, client: client, log: log})
		})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// eventually waits until f is true.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-end.C:
			w.t.Fatalf("after %s it is not so that %s", patience, what)
		case <-w.ctx.Done():
			w.t.Fatalf("%s: %v", what, context.Cause(w.ctx))
		case <-tick.C:
		}
	}
}

// signIn returns a token of a sample user.
func (w *world) signIn(role token.Role) string {
	w.t.Helper()
	a, err := samples.Of(w.Data, role)
	if err != nil {
		w.t.Fatal(err)
	}
	var out struct {
		Data struct {
			Token string `json:"token"`
		} `json:"data"`
	}
	w.call("POST", "/auth/login", map[string]any{"email": a.Email, "password": a.Password}, &out)
	return out.Data.Token
}

// call sends a request, with headers in turn name and value, and reads the answer, which must be a 2xx.
func (w *world) call(method, path string, body, out any, headers ...string) {
	w.t.Helper()
	status, answer := w.send(method, path, body, headers...)
	if status/100 != 2 {
		w.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) send(method, path string, body any, headers ...string) (int, []byte) {
	w.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.ctx, method, w.URL+path, bytes.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(fmt.Errorf("reading an answer: %w", err))
	}
	return res.StatusCode, answer
}

// publish sends a transaction as the bank, and returns its card and id.
func (w *world) publish(cardType, card, id string, headers ...string) {
	w.t.Helper()
	bank := w.signIn(token.Bank)
	var out any
	w.call("POST", "/publish", map[string]any{
		"id": id, "card_id": card, "merchant": "Grocer", "mcc": 5411, "currency": "CAD", "amount": 25.5, "sgd_amount": 0,
		"transaction_id": "t-1", "transaction_date": time.Now().Format(time.DateOnly), "card_pan": "************1881", "card_type": cardType,
	}, &out, append(headers, "Authorization", "Bearer "+bank)...)
}
