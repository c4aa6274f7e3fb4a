// Package passworder is the lambda that has a new user's first password mailed. It is invoked
// asynchronously, once for each new user, and perhaps more often: profiler, which makes the password
// and sends the mail, knows who has got theirs, and never makes a second one that disagrees with a mail
// that may have gone out (docs/decisions/0010-first-passwords.md). So no password passes through here.
package passworder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty/profile"
)

// Event names a new user.
type Event struct {
	UserID string `json:"user_id"`
}

// Profiler mails first passwords; a *profile.Client is one.
type Profiler interface {
	MailFirstPassword(ctx context.Context, user uuid.UUID) (sent bool, err error)
}

// Deps is what the handler works with.
type Deps struct {
	Profiler Profiler
	Log      *slog.Logger
	// Pause waits between tries, or until ctx ends; nil: by the wall clock.
	Pause func(ctx context.Context, d time.Duration)
}

// Handler handles events. It may be called by several goroutines at once.
type Handler struct{ deps Deps }

// New returns a handler, or says what is missing.
func New(deps Deps) (*Handler, error) {
	if deps.Profiler == nil {
		return nil, errors.New("configuring passworder: profiler is missing")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Pause == nil {
		deps.Pause = pause
	}
	return &Handler{deps}, nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Handle has the user's first password mailed, and tries again for as long as the invocation has time.
// An error means that the mail may not have gone out: Lambda tries again, and what it gives up goes
// where the function's failed events go. What no retry mends is logged and no error.
func (h *Handler) Handle(ctx context.Context, event Event) error {
	log := h.deps.Log
	if l, ok := lambdacontext.FromContext(ctx); ok {
		log = log.With("request_id", l.AwsRequestID)
	}
	id, err := uuid.Parse(event.UserID)
	if err != nil || len(event.UserID) != 36 {
		log.Error("the event names no user; it is dropped")
		return nil
	}
	log = log.With("user", id.String())
	wait := time.Second
	for try := 1; ; try++ {
		sent, err := h.deps.Profiler.MailFirstPassword(ctx, id)
		var refused *profile.Refused
		switch {
		case err == nil && sent:
			log.Info("a first password was mailed")
			return nil
		case err == nil:
			log.Info("the user has a password already")
			return nil
		case errors.Is(err, profile.ErrNotFound):
			log.Warn("there is no such user any more")
			return nil
		case errors.As(err, &refused):
			log.Error("no first password can be mailed; correct the address and send the user's row again, or ask for another first password in the portal",
				"code", refused.Code, "error", refused.Message)
			return nil
		}
		end, bounded := ctx.Deadline()
		if ctx.Err() != nil || bounded && time.Until(end) < 2*wait {
			return fmt.Errorf("mailing the first password of user %s, tried %d times: %w", id, try, err)
		}
		log.Warn("a first password could not be mailed; it is tried again", "try", try, "error", err)
		h.deps.Pause(ctx, wait/2+rand.N(wait/2))
		wait = min(2*wait, time.Minute)
	}
}
