package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/angelowl-loyalties/app/local/passwords"
)

// rie answers as the Runtime Interface Emulator does, and fails the test where it is asked for two things at once.
func rie(t *testing.T, answer func(event string) string) *emulator {
	t.Helper()
	var busy atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !busy.CompareAndSwap(false, true) {
			t.Error("two invocations at once")
		}
		defer busy.Store(false)
		event, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/2015-03-31/functions/function/invocations" {
			t.Errorf("%s: %v", r.URL, err)
		}
		_, _ = io.WriteString(w, answer(string(event)))
	}))
	t.Cleanup(srv.Close)
	return newEmulator("owl", srv.Listener.Addr().String())
}

func TestEmulator(t *testing.T) {
	for _, tt := range []struct{ name, said, answer, err string }{
		{"an answer is passed on", `{"statusCode":202}`, `{"statusCode":202}`, ""},
		{"no answer is null", ``, `null`, ""},
		{"an error is the lambda's own, word for word", `{"errorMessage":"Unauthorized","errorType":"errorString"}`, "", "Unauthorized"},
		{"what ran for too long is an error", "Task timed out after 30.00 seconds", "", "the lambda owl: Task timed out after 30.00 seconds"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, err := rie(t, func(string) string { return tt.said }).Invoke(t.Context(), []byte(`{}`))
			if string(answer) != tt.answer || tt.err == "" && err != nil || tt.err != "" && (err == nil || err.Error() != tt.err) {
				t.Errorf("%s, %v", answer, err)
			}
		})
	}
}

func TestAnEmulatorIsAskedForOneThingAtATime(t *testing.T) {
	e := rie(t, func(event string) string { return event })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if answer, err := e.Invoke(t.Context(), []byte(`1`)); string(answer) != "1" || err != nil {
				t.Errorf("%s, %v", answer, err)
			}
		})
	}
	wg.Wait()
}

func TestAnInvocationThatNobodyWaitsForRunsToItsEnd(t *testing.T) {
	begun, end := make(chan struct{}, 2), make(chan struct{})
	e := rie(t, func(string) string {
		begun <- struct{}{}
		<-end
		return `{}`
	})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := e.Invoke(ctx, nil)
		gone <- err
	}()
	<-begun
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// Its turn is not over: the next would break the emulator.
	if len(e.turn) != 1 {
		t.Error("another may be invoked while it runs")
	}
	close(end)
	if _, err := e.Invoke(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestLambdaAPI(t *testing.T) {
	dir := t.TempDir()
	queue, err := passwords.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ok := rie(t, func(string) string { return `"hoot"` })
	bad := rie(t, func(string) string { return `{"errorMessage":"no","errorType":"errorString"}` })
	api := lambdaAPI(map[string]*emulator{"authorizer": ok, "uploads": bad, "passworder": ok}, queue, slog.New(slog.DiscardHandler))
	const user = "abcdefab-cdef-4bcd-8fab-cdefabcdefab"
	for _, tt := range []struct {
		name, function, kind, event string
		status                      int
		answer, failed              string
	}{
		{"an answer", "authorizer", "", `{}`, 200, `"hoot"`, ""},
		{"a failure is said in a header", "uploads", "RequestResponse", `{}`, 200, `"errorMessage":"no"`, "Unhandled"},
		{"a function that is not there", "owl", "", `{}`, 404, "there is no function owl", ""},
		{"an event is queued", "passworder", "Event", `{"user_id":"` + user + `"}`, 202, "", ""},
		{"an event that names nobody", "passworder", "Event", `{"user_id":"../../etc"}`, 400, "the id of a user", ""},
		{"an event for another", "authorizer", "Event", `{"user_id":"` + user + `"}`, 400, "only passworder", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/2015-03-31/functions/"+tt.function+"/invocations", strings.NewReader(tt.event))
			r.Header.Set("X-Amz-Invocation-Type", tt.kind)
			api.ServeHTTP(w, r)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.answer) || w.Header().Get("X-Amz-Function-Error") != tt.failed {
				t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, user)); err != nil {
		t.Errorf("the event would not outlive this process: %v", err)
	}
}

func TestSecretsAreMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	read := func() map[string]string {
		if err := makeSecrets(dir); err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s can be read by others: %v %v", f.Name(), info.Mode(), err)
			}
			out[f.Name()] = string(b)
		}
		return out
	}
	first, values := read(), map[string]bool{}
	for name, value := range read() {
		if first[name] != value {
			t.Errorf("%s was made anew", name)
		}
		if len(value) < 32 || values[value] {
			t.Errorf("%s is short, or another's", name)
		}
		values[value] = true
	}
	// A program that came later gets a secret, and profiler knows it.
	if err := os.Remove(filepath.Join(dir, "client-secret-uploads")); err != nil {
		t.Fatal(err)
	}
	later := read()
	if later["client-secret-uploads"] == first["client-secret-uploads"] || !strings.Contains(later["service-secrets"], "uploads="+later["client-secret-uploads"]) {
		t.Error("profiler does not know the secret that was made later")
	}
	for _, c := range clients {
		if !strings.Contains(first["service-secrets"], c+"="+first["client-secret-"+c]) {
			t.Errorf("profiler does not know the secret of %s", c)
		}
	}
}
