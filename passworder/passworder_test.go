package passworder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty/profile"
)

const user = "aaaaaaaa-467d-48aa-96ab-d79394710a2b"

// answers is a profiler that answers in turn; the last answer comes again and again.
type answers struct {
	all   []answer
	asked []uuid.UUID
}

type answer struct {
	sent bool
	err  error
}

func (a *answers) MailFirstPassword(_ context.Context, user uuid.UUID) (bool, error) {
	next := a.all[min(len(a.asked), len(a.all)-1)]
	a.asked = append(a.asked, user)
	return next.sent, next.err
}

func TestHandle(t *testing.T) {
	away := fmt.Errorf("it hangs up: %w", profile.ErrUnavailable)
	refused := &profile.Refused{Status: 422, Code: "mail_refused", Message: "the mail system does not take this address"}
	sent, hasOne, fails := answer{sent: true}, answer{}, func(err error) answer { return answer{err: err} }
	for _, tt := range []struct {
		name   string
		user   string
		says   []answer
		tries  int
		failed string // what the error says, "" for none
		logs   string
	}{
		{"a new user", user, []answer{sent}, 1, "", "a first password was mailed"},
		{"who has one", user, []answer{hasOne}, 1, "", "has a password already"},
		{"profiler comes back", user, []answer{fails(away), fails(away), sent}, 3, "", "a first password was mailed"},
		{"profiler stays away", user, []answer{fails(away)}, 3, "tried 3 times: it hangs up", "it is tried again"},
		{"an error that nobody knows", user, []answer{fails(errors.New("odd"))}, 3, "tried 3 times: odd", "it is tried again"},
		{"deleted meanwhile", user, []answer{fails(profile.ErrNotFound)}, 1, "", "there is no such user any more"},
		{"an address that takes no mail", user, []answer{fails(refused)}, 1, "", "correct the address"},
		{"no user", "", []answer{sent}, 0, "", "names no user"},
		{"no UUID", "somebody", []answer{sent}, 0, "", "names no user"},
		{"a UUID in another form", "{" + user + "}", []answer{sent}, 0, "", "names no user"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &answers{all: tt.says}
			var log bytes.Buffer
			// The pauses take time off an invocation of 9 s, which no try does.
			ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(time.Hour))
			defer cancel()
			left := 9 * time.Second
			var pauses []time.Duration
			h, err := New(Deps{Profiler: p, Log: slog.New(slog.NewJSONHandler(&log, nil)), Pause: func(_ context.Context, d time.Duration) {
				pauses = append(pauses, d)
				left -= d
			}})
			if err != nil {
				t.Fatal(err)
			}
			ctx = clocked{lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: "request-1"}), &left}
			err = h.Handle(ctx, Event{tt.user})
			if (err == nil) != (tt.failed == "") || err != nil && !strings.Contains(err.Error(), tt.failed) {
				t.Errorf("%v, want %q", err, tt.failed)
			}
			if len(p.asked) != tt.tries {
				t.Errorf("it tried %d times, want %d", len(p.asked), tt.tries)
			}
			for i, d := range pauses { // they double, and half of each is left to chance
				if whole := time.Second << i; d < whole/2 || d > whole {
					t.Errorf("pause %d is %s", i, d)
				}
			}
			for _, asked := range p.asked {
				if asked.String() != user {
					t.Errorf("it asked for %s", asked)
				}
			}
			if !strings.Contains(log.String(), tt.logs) || !strings.Contains(log.String(), `"request_id":"request-1"`) {
				t.Errorf("it logs\n%s", log.String())
			}
			if tt.logs == "names no user" && tt.user != "" && strings.Contains(log.String(), tt.user) {
				t.Errorf("a stranger's text is in the log:\n%s", log.String())
			}
		})
	}
}

// clocked is a context whose end comes nearer by pauses alone.
type clocked struct {
	context.Context
	left *time.Duration
}

func (c clocked) Deadline() (time.Time, bool) { return time.Now().Add(*c.left), true }

func TestAStopIsObeyed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := &answers{all: []answer{{err: profile.ErrUnavailable}}}
	h, err := New(Deps{Profiler: p, Pause: func(context.Context, time.Duration) { cancel() }})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Handle(ctx, Event{user}); !errors.Is(err, profile.ErrUnavailable) || len(p.asked) != 2 {
		t.Errorf("%v after %d tries", err, len(p.asked))
	}
	if _, err := New(Deps{}); err == nil {
		t.Error("it can do without profiler")
	}
}
