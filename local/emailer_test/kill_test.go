package emailer_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/emailer"
	"github.com/angelowl-loyalties/app/loyalty/mail/mailtest"
	"github.com/angelowl-loyalties/app/profiler"
)

const senders = 4

// lambda is the emailer's program, in an invocation that has begun.
type lambda struct {
	t      *testing.T
	cmd    *exec.Cmd
	answer chan string
	ended  chan struct{}
	out    strings.Builder
	kill   func()
}

// invoke starts the program.
func invoke(t *testing.T, event string, env ...string) *lambda {
	t.Helper()
	name, err := program()
	if err != nil {
		t.Fatal(err)
	}
	l := &lambda{t: t, answer: make(chan string, 1), ended: make(chan struct{})}
	api := httptest.NewServer(runtime(&invocation{event, l.answer}))
	l.cmd = exec.Command(name)
	l.cmd.Env = append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"), "BANK_TIMEZONE=Asia/Singapore", "PORTAL_ORIGIN=https://portal.bank.example",
		"API_ORIGIN=https://api.bank.example", "SEND_RATE=10000", fmt.Sprint("SENDERS=", senders), "CLIENT_SECRET=" + secret, "MAIL_FROM=Bank <rewards@bank.example>",
		"SMTP_TLS=none", "WORK_DIR=" + t.TempDir(), "HOME=" + os.Getenv("HOME"),
	}, env...)
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &l.out
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = l.cmd.Wait() // it is killed
		close(l.ended)
	}()
	l.kill = sync.OnceFunc(func() {
		_ = l.cmd.Process.Kill()
		<-l.ended
		api.CloseClientConnections()
		api.Close()
	})
	t.Cleanup(l.kill)
	return l
}

// result waits for the answer, or for the program's end.
func (l *lambda) result() (r emailer.Result, ok bool) {
	l.t.Helper()
	select {
	case answer := <-l.answer:
		return result(l.t, answer), true
	case <-l.ended:
		return r, false
	}
}

// The program is killed at random points: before or after profiler has done what one of its four senders
// asks for, wherever the other three are.
func TestKilled(t *testing.T) {
	w := start(t)
	users, kills := 300, 5
	if long() {
		users, kills = 10_000, 10
	}
	var earn, others []person
	for i := range users {
		switch {
		case i%10 == 8:
			others = append(others, w.person("Zero", 1))
			w.reward(others[len(others)-1].cards[0], w.day, 0)
		case i%10 == 9:
			others = append(others, w.person("Out", 1, func(u *profiler.User) { u.RewardEmails = false }))
			w.reward(others[len(others)-1].cards[0], w.day, 5)
		default:
			p := w.person("Ann", 1+i%3)
			for k, card := range p.cards {
				w.reward(card, w.day, int64(10+k))
			}
			earn = append(earn, p)
		}
	}
	target, err := url.Parse(w.internal)
	if err != nil {
		t.Fatal(err)
	}
	var (
		proxy = httputil.NewSingleHostReverseProxy(target)
		left  atomic.Int64
		after atomic.Bool
		kill  atomic.Pointer[func()]
	)
	pool := &http.Transport{}
	proxy.Transport, proxy.ErrorHandler = pool, func(http.ResponseWriter, *http.Request, error) {}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		now := strings.HasPrefix(r.URL.Path, "/internal/reward-mails/") && left.Add(-1) == 0
		if now && !after.Load() {
			(*kill.Load())()
			return
		}
		proxy.ServeHTTP(rw, r)
		if now {
			(*kill.Load())()
		}
	}))
	defer func() {
		srv.CloseClientConnections()
		srv.Close()
		pool.CloseIdleConnections()
	}()
	host, port, _ := strings.Cut(w.box.Addr(), ":")
	event := fmt.Sprintf(`{"version":"0","source":"aws.events","day":%q}`, w.day)
	env := []string{
		"BROKER_HOST=" + w.broker.Addr(), "PROFILER_ENDPOINT=" + w.public, "PROFILER_INTERNAL_ENDPOINT=" + srv.URL, "INFORMER_INTERNAL_ENDPOINT=" + w.informer,
		"SMTP_HOST=" + host, "SMTP_PORT=" + port,
	}
	killed := 0
	for range kills {
		// All runs together ask twice for each who earns, at least: the points lie before that.
		after.Store(rand.N(2) == 0)
		l := (*lambda)(nil)
		ready := make(chan struct{})
		end := func() {
			<-ready
			_ = l.cmd.Process.Kill()
		}
		kill.Store(&end)
		left.Store(int64(1 + rand.N(3*users/(2*kills))))
		l = invoke(t, event, env...)
		close(ready)
		r, ok := l.result()
		l.kill()
		if ok {
			t.Fatalf("it was not killed: %+v", r)
		}
		killed++
	}
	left.Store(0)
	l := invoke(t, event, env...)
	r, ok := l.result()
	l.kill()
	if !ok || r.State != emailer.Done || r.Failed+r.Refused > 0 {
		t.Fatalf("%+v %v\n%s", r, ok, l.out.String())
	}
	doubled := 0
	for _, p := range earn {
		all := w.mails(p)
		if len(all) == 0 {
			t.Errorf("%s has none", p.email)
			continue
		}
		doubled += len(all) - 1
		for _, m := range all {
			if m.ID != id(w.day.String(), p.id) || m.Text != all[0].Text {
				t.Errorf("%s: %s\n%s", p.email, m.ID, diff(all))
			}
		}
		if got := strings.Count(all[0].Text, "Shop "); got != len(p.cards) {
			t.Errorf("%s, with %d cards, hears of %d transactions", p.email, len(p.cards), got)
		}
	}
	for _, p := range others {
		if got := w.mails(p); len(got) > 0 {
			t.Errorf("%s has %d mails", p.email, len(got))
		}
	}
	if doubled > killed*senders {
		t.Errorf("%d mails came twice, with %d kills of %d in flight", doubled, killed, senders)
	}
	t.Logf("%d earners, killed %d times, %d mails came twice", len(earn), killed, doubled)
}

func id(day string, user uuid.UUID) string {
	return "rewards." + day + "." + user.String() + "@bank.example"
}

func diff(all []mailtest.Mail) string {
	var b strings.Builder
	for _, m := range all {
		b.WriteString(m.ID + "\n" + m.Text + "\n")
	}
	return b.String()
}
