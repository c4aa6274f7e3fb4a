package emailer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/profile"
)

// mostFailures is how many mails may fail one after another before the mail system is taken to be away.
const mostFailures = 20

// recordWait is how long the ledger may take to hear of a mail that was sent, when the run has ended.
const recordWait = 15 * time.Second

var errNoTime = errors.New("time ran out")

// sending is the second half of a run.
type sending struct {
	*Handler
	since loyalty.Date
	log   *slog.Logger

	mu     sync.Mutex // guards what follows
	result *Result
	inARow int // failures
}

// send mails what s has, an account at a time, and says whether it came to the end.
func (h *Handler) send(ctx context.Context, r *Result, since loyalty.Date, s *sorter, log *slog.Logger) (ended bool, err error) {
	w := &sending{Handler: h, since: since, log: log, result: r}
	group, ctx := errgroup.WithContext(ctx)
	accounts := make(chan []item)
	group.Go(func() error {
		defer close(accounts)
		return w.feed(ctx, s, accounts)
	})
	for range h.cfg.Senders {
		group.Go(func() error {
			for items := range accounts {
				if err := w.account(ctx, items); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = group.Wait()
	if errors.Is(err, errNoTime) {
		return false, nil
	}
	return err == nil, err
}

// feed hands the rewards of one account after another on, as long as there is time.
func (w *sending) feed(ctx context.Context, s *sorter, accounts chan<- []item) error {
	var items []item
	flush := func() error {
		if len(items) == 0 {
			return nil
		}
		if end, ok := ctx.Deadline(); ok && time.Until(end) < w.cfg.Margin {
			return errNoTime
		}
		select {
		case accounts <- items:
			items = nil
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err := s.sorted(func(it item) error {
		if len(items) > 0 && items[0].user() != it.user() {
			if err := flush(); err != nil {
				return err
			}
		}
		if len(items) == profile.MaxMailRows {
			w.log.Warn("an account has more rewards than a mail can tell of; the rest is for the next one", "account", it.user().String())
		}
		if len(items) <= profile.MaxMailRows {
			items = append(items, it)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// account sends an account's mails. Its error ends the run.
func (w *sending) account(ctx context.Context, items []item) error {
	items = items[:min(len(items), profile.MaxMailRows)]
	earned := false
	at := make(map[profile.RowKey]int, len(items))
	keys := make([]profile.RowKey, len(items))
	for i := range items {
		earned = earned || items[i].Units > 0
		keys[i] = items[i].key
		at[items[i].key] = i
	}
	if !earned {
		return nil
	}
	user := items[0].user()
	if err := w.limiter.Wait(ctx); err != nil {
		return errors.Join(context.Cause(ctx), errNoTimeLeft(err))
	}
	day := w.result.Day
	var begun profile.Begun
	err := again(ctx, profile.ErrUnavailable, func() (err error) {
		begun, err = w.deps.Ledger.BeginMail(ctx, user, profile.RewardMail{
			Day: day, MessageID: fmt.Sprintf("rewards.%s.%s@%s", day, user, w.host), Rows: keys,
		}, w.since)
		return err
	})
	if errors.Is(err, profile.ErrNotFound) {
		return nil // the account was deleted
	}
	if err != nil {
		return err
	}
	for i, m := range begun.Mails {
		if i > 0 {
			if err := w.limiter.Wait(ctx); err != nil {
				return errors.Join(context.Cause(ctx), errNoTimeLeft(err))
			}
		}
		if len(m.Rows) == 0 {
			continue // it was cut off, and none of its rewards is looked at any more
		}
		lines := make([]line, 0, len(m.Rows))
		for _, key := range m.Rows {
			i, ok := at[key]
			if !ok {
				return fmt.Errorf("profiler answers with a reward of account %s that it was not asked about", user)
			}
			lines = append(lines, items[i].line)
		}
		if err := w.mail(ctx, user, begun, m, lines); err != nil {
			return err
		}
	}
	return nil
}

// errNoTimeLeft is what waiting for the rate says where the context would end first.
func errNoTimeLeft(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return errNoTime
}

func (w *sending) mail(ctx context.Context, user uuid.UUID, begun profile.Begun, m profile.RewardMail, lines []line) error {
	letter, err := w.letter(m.Day, begun.To.Name, begun.Unsubscribe, lines)
	if err != nil {
		return err
	}
	if !letter.Earned { // refunds outweigh: the ledger has it, and nobody is told
		return w.deps.Ledger.EndMail(ctx, user, m.Day, false)
	}
	message, err := letter.message(m.MessageID, begun.To)
	if err != nil {
		return err
	}
	err = w.deps.Mail.Send(ctx, message)
	refused := errors.Is(err, mail.ErrRefused)
	if err != nil && !refused {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return w.failed(user, err)
	}
	if refused {
		w.log.Warn("the mail system refuses a mail for good", "account", user.String(), "error", err)
	}
	w.mu.Lock()
	w.inARow = 0
	if refused {
		w.result.Refused++
	} else {
		w.result.Sent++
	}
	w.mu.Unlock()
	// The mail is gone, so the ledger hears of it even if the run has just ended.
	record, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWait)
	defer cancel()
	return again(record, profile.ErrUnavailable, func() error { return w.deps.Ledger.EndMail(record, user, m.Day, refused) })
}

// failed counts a mail that is left to the next run.
func (w *sending) failed(user uuid.UUID, err error) error {
	w.log.Warn("a mail could not be sent; the next run tries again", "account", user.String(), "error", err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.result.Failed++
	if w.inARow++; w.inARow >= mostFailures {
		return fmt.Errorf("%d mails one after another could not be sent, the last one: %w", w.inARow, err)
	}
	return nil
}
