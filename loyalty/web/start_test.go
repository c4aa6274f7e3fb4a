package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func listen(t *testing.T) *Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &Listener{TCPListener: l.(*net.TCPListener)}
}

func fetch(t *testing.T, url string) (status int, body map[string]string) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body
}

var (
	errAway  = errors.New("connection refused by 10.0.0.7")
	errWrong = errors.New("wrong password")
	quiet    = slog.New(slog.DiscardHandler)
)

func passes(err error) bool { return errors.Is(err, errAway) }

func TestAServiceThatWaitsSaysSo(t *testing.T) {
	l := listen(t)
	url := "http://" + l.Addr().String()
	var order []string
	tries := 0
	err := Start(t.Context(), l, quiet,
		Step{"the database", passes, func(context.Context) error {
			if tries++; tries == 1 {
				return errAway
			}
			if status, body := fetch(t, url+"/health"); status != 503 || body["status"] != "starting" || body["reason"] != "it waits for the database" {
				t.Errorf("health: %d %v", status, body)
			}
			if status, body := fetch(t, url+"/campaign"); status != 503 || body["code"] != "starting" || strings.Contains(body["error"], "10.0.0.7") {
				t.Errorf("others: %d %v", status, body)
			}
			if status, body := fetch(t, url+"/livez"); status != 200 || body["status"] != "alive" {
				t.Errorf("alive: %d %v", status, body)
			}
			order = append(order, "database")
			return nil
		}},
		Step{"etcd", passes, func(context.Context) error {
			order = append(order, "etcd")
			return nil
		}},
	)
	if err != nil || strings.Join(order, " ") != "database etcd" || tries != 2 {
		t.Fatalf("%v after %d tries: %v", order, tries, err)
	}

	// Who connects between the two waits, and is answered by the service.
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /health HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") }), time.Second)
	}()
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(answer), "fine") {
		t.Errorf("%q %v", answer, err)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestWhatDoesNotPassEndsTheStart(t *testing.T) {
	l := listen(t)
	tries := 0
	err := Start(t.Context(), l, quiet, Step{"the database", passes, func(context.Context) error {
		tries++
		return errWrong
	}})
	if !errors.Is(err, errWrong) || tries != 1 {
		t.Errorf("%v after %d tries", err, tries)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it still listens: %v", err)
	}
}

func TestAStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Start(ctx, listen(t), quiet, Step{"the database", passes, func(context.Context) error {
		cancel()
		return errAway
	}})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
