package stack

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/web"
	"go.uber.org/goleak"
)

// hired is a crew of two whose members answer HTTP, and how many of them are at work.
func hired(t *testing.T, run func(context.Context, string) error) (c *crew, working *atomic.Int32, ended <-chan error, stop func()) {
	t.Helper()
	working = new(atomic.Int32)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := newCrew(ctx, 2, func(ctx context.Context, name string, l net.Listener) error {
		working.Add(1)
		defer working.Add(-1)
		hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
		if run != nil {
			return run(ctx, name)
		}
		return web.Serve(ctx, l, hello, time.Second)
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.work(ctx) }()
	return c, working, done, cancel
}

func ask(t *testing.T, c *crew, i int) string {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + c.members[i].l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheCrewComesBackAtTheSameAddresses(t *testing.T) {
	defer goleak.VerifyNone(t)
	c, working, ended, stop := hired(t, nil)
	if got := ask(t, c, 1); got != "rewarder-1" {
		t.Errorf("it answers %q", got)
	}
	wrong := errors.New("wrong")
	for _, want := range []error{nil, wrong, nil} {
		var during int32 = -1
		err := c.without(t.Context(), func(context.Context) error {
			during = working.Load()
			return want
		})
		if !errors.Is(err, want) || during != 0 {
			t.Errorf("%d worked, and it returned %v; want none and %v", during, err, want)
		}
		for i, name := range []string{"rewarder-0", "rewarder-1"} {
			if got := ask(t, c, i); got != name {
				t.Errorf("%s answers %q", name, got)
			}
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if err := c.without(t.Context(), func(context.Context) error { return nil }); err == nil {
		t.Error("nobody is there, and it did something without them")
	}
}

func TestOneThatFailsEndsTheCrew(t *testing.T) {
	defer goleak.VerifyNone(t)
	wrong := errors.New("wrong")
	_, working, ended, stop := hired(t, func(ctx context.Context, name string) error {
		if name == "rewarder-1" {
			return wrong
		}
		<-ctx.Done()
		return nil
	})
	defer stop()
	if err := <-ended; !errors.Is(err, wrong) {
		t.Errorf("it ended with %v", err)
	}
	if n := working.Load(); n != 0 {
		t.Errorf("%d are at work", n)
	}
}
