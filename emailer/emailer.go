// Package emailer is the lambda that tells cardholders by mail, each night, what they earned: the rewards
// whose records arrived on one of the bank's days, and those of the six days before that no mail has told
// of yet, since their rewards came late or their mail could not be sent.
//
// It may be started as often as wanted, and is meant to be: by a schedule every few minutes of the night,
// until it answers that the day is done. An account gets one mail of a day. It is entered in profiler's
// ledger before it is sent, so that one whose sending was cut off is sent again with the same rewards under
// the same Message-ID; what was in flight when the program was killed may arrive twice, and nothing else.
// Two of it must not run at once, or mails that both have begun arrive twice, too.
package emailer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/profile"
)

// Days are how many days of rewards one run looks at: that of the mail and those before.
const Days = 7

// Config is what a deployment sets.
type Config struct {
	Zone    *time.Location  // in which the bank's days begin
	From    netmail.Address // whose host is in Message-IDs
	Portal  string          // the portal's origin, to which links in mails lead
	API     string          // the API's origin, where mail programs end mails with one click
	Rate    float64         // mails a second; 0 is 10
	Senders int             // mails on their way at once; 0 is 4
	// Wait is how long after the day's end its rewards are waited for; 0 is 2 h.
	Wait time.Duration
	// Margin is how long before the invocation's end no further mail is begun; 0 is 30 s.
	Margin time.Duration
	Dir    string // holds a run's rewards while they are sorted; "" is the machine's
}

// Rewards are informer's.
type Rewards interface {
	// Day returns a page of the rewards whose records arrived on a day of the bank; cursor is the next
	// of the page before, or "". The next of the last page is "".
	Day(ctx context.Context, day loyalty.Date, cursor string) (rewards []loyalty.Reward, next string, err error)
}

// Ledger is profiler's, as *profile.Client has it. It may be used by several goroutines at once.
type Ledger interface {
	Unmailed(ctx context.Context, since loyalty.Date, cards []profile.CardRows) ([]profile.CardRows, error)
	BeginMail(ctx context.Context, user uuid.UUID, m profile.RewardMail, since loyalty.Date) (profile.Begun, error)
	EndMail(ctx context.Context, user uuid.UUID, day loyalty.Date, refused bool) error
	DayMailed(ctx context.Context, day loyalty.Date) (bool, error)
	EndMailDay(ctx context.Context, day loyalty.Date) error
}

// Deps is what the handler works with.
type Deps struct {
	Rewards Rewards
	Ledger  Ledger
	// Past says whether all records from before a time have been dealt with.
	Past  func(ctx context.Context, t time.Time) (bool, error)
	Mail  mail.Sender
	Log   *slog.Logger
	Clock func() time.Time
}

// Handler handles the schedule's events, one at a time.
type Handler struct {
	cfg     Config
	deps    Deps
	host    string
	limiter *rate.Limiter
}

// New returns a handler, or says what is missing.
func New(cfg Config, deps Deps) (*Handler, error) {
	var errs []error
	_, host, ok := strings.Cut(cfg.From.Address, "@")
	if !ok {
		errs = append(errs, errors.New("the sender's address is missing"))
	}
	if cfg.Zone == nil {
		errs = append(errs, errors.New("the bank's time zone is missing"))
	}
	for what, origin := range map[string]string{"portal": cfg.Portal, "API": cfg.API} {
		if !Origin(origin) {
			errs = append(errs, fmt.Errorf("the %s's origin must be like https://bank.example", what))
		}
	}
	if cfg.Rate < 0 || cfg.Senders < 0 || cfg.Wait < 0 || cfg.Margin < 0 {
		errs = append(errs, errors.New("a rate, a number or a time is below 0"))
	}
	if deps.Rewards == nil || deps.Ledger == nil || deps.Past == nil || deps.Mail == nil {
		errs = append(errs, errors.New("informer, profiler, Kafka or the mail system is missing"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("configuring emailer: %w", err)
	}
	if cfg.Rate == 0 {
		cfg.Rate = 10
	}
	if cfg.Senders == 0 {
		cfg.Senders = 4
	}
	if cfg.Wait == 0 {
		cfg.Wait = 2 * time.Hour
	}
	if cfg.Margin == 0 {
		cfg.Margin = 30 * time.Second
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	return &Handler{cfg: cfg, deps: deps, host: host, limiter: rate.NewLimiter(rate.Limit(cfg.Rate), 1)}, nil
}

// Origin says whether a text is an origin: https://host, or http://host:port.
func Origin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && s == u.Scheme+"://"+u.Host
}

// Event starts a run. An event of an EventBridge rule is one, and so is {}.
type Event struct {
	Time time.Time     `json:"time"` // when it was due; by default now
	Day  *loyalty.Date `json:"day"`  // the bank's day to tell of; by default the one before Time's
	// Again looks for what is not mailed yet though the day is done.
	Again bool `json:"again"`
	// Early tells what there is to tell now, of a day that has not ended or whose rewards are not all
	// there. What comes later is told on the next day.
	Early bool `json:"early"`
}

// The states that a run ends in.
const (
	Waiting    = "waiting"    // for rewards of the day; start it again in a few minutes
	Unfinished = "unfinished" // time ran out; start it again
	Done       = "done"
)

// Result is what became of a run.
type Result struct {
	Day     loyalty.Date `json:"day"`
	State   string       `json:"state"`
	Late    bool         `json:"late"`    // it went on though rewards of the day may be missing
	Rewards int          `json:"rewards"` // that no mail had told of
	Sent    int          `json:"sent"`
	Refused int          `json:"refused"` // mails that the mail system refused for good
	Failed  int          `json:"failed"`  // mails that could not be sent, and are tried again by the next run
}

// lastWord is how long before the invocation's end it says where it is: what the runtime ends leaves nothing
// in the log.
const lastWord = time.Second

// Handle runs once. An error is for the system's alarms; the next run makes up for it.
func (h *Handler) Handle(ctx context.Context, e Event) (Result, error) {
	now := h.deps.Clock()
	if e.Time.IsZero() {
		e.Time = now
	}
	r := Result{Day: loyalty.DateOf(e.Time.In(h.cfg.Zone).Date()) - 1}
	if e.Day != nil {
		r.Day = *e.Day
	}
	log := h.deps.Log.With("day", r.Day.String())
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-lastWord))
		defer cancel()
	}
	err := h.run(ctx, e, now, &r, log)
	log.Info("ran", "state", r.State, "late", r.Late, "rewards", r.Rewards, "sent", r.Sent, "refused", r.Refused, "failed", r.Failed)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		log.Info("the run was told to stop; the next one goes on", "error", err)
	case err != nil:
		log.Error("the run failed; the next one goes on", "error", err)
	}
	return r, err
}

func (h *Handler) run(ctx context.Context, e Event, now time.Time, r *Result, log *slog.Logger) (err error) {
	r.State = Unfinished
	if !e.Again && !e.Early {
		mailed, err := h.deps.Ledger.DayMailed(ctx, r.Day)
		if err != nil {
			return err
		}
		if mailed {
			r.State = Done
			return nil
		}
	}
	if !e.Early {
		// The day after, at midnight: a day of the bank may have 23 or 25 hours.
		y, m, d := (r.Day + 1).Time().Date()
		end := time.Date(y, m, d, 0, 0, 0, 0, h.cfg.Zone)
		if now.Before(end) {
			r.State = Waiting
			return nil
		}
		past, err := h.deps.Past(ctx, end)
		if !past {
			if now.Before(end.Add(h.cfg.Wait)) {
				r.State = Waiting
				return err
			}
			r.Late = true
			log.Error("not all rewards of the day are there; mails go out with those that are, and the next nights' tell of the others", "alarm", "rewards_late", "waited", h.cfg.Wait.String(), "error", err)
		}
	}
	s, err := newSorter(h.cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	since := r.Day - Days + 1
	for day := since; day <= r.Day; day++ {
		n, err := h.gather(ctx, day, since, s)
		r.Rewards += n
		if err != nil {
			return err
		}
	}
	ended, err := h.send(ctx, r, since, s, log)
	switch {
	case err != nil || !ended:
		return err
	case r.Failed > 0:
		return fmt.Errorf("%d mails could not be sent", r.Failed)
	case !e.Early:
		if err := h.deps.Ledger.EndMailDay(ctx, r.Day); err != nil {
			return err
		}
	}
	r.State = Done
	return nil
}

// gather adds to s the rewards of a day that no mail has told of, and returns how many.
func (h *Handler) gather(ctx context.Context, day, since loyalty.Date, s *sorter) (n int, err error) {
	for cursor := ""; ; {
		page, next, err := h.deps.Rewards.Day(ctx, day, cursor)
		if err != nil {
			return n, err
		}
		var cards []profile.CardRows
		found := map[profile.RowKey]*loyalty.Reward{}
		for i := range page {
			reward := &page[i]
			if reward.Units.Value == 0 {
				continue
			}
			key := profile.RowKeyOf(reward.Key())
			found[key] = reward
			if len(cards) == 0 || cards[len(cards)-1].Card != reward.CardID {
				cards = append(cards, profile.CardRows{Card: reward.CardID})
			}
			last := &cards[len(cards)-1]
			last.Rows = append(last.Rows, key)
		}
		if len(cards) > 0 {
			var left []profile.CardRows
			err := again(ctx, profile.ErrUnavailable, func() (err error) {
				left, err = h.deps.Ledger.Unmailed(ctx, since, cards)
				return err
			})
			if err != nil {
				return n, err
			}
			for _, card := range left {
				for _, key := range card.Rows {
					reward, ok := found[key]
					if !ok {
						return n, fmt.Errorf("profiler answers with a reward of card %s that it was not asked about", card.Card)
					}
					if err := s.add(itemOf(card.User, key, reward)); err != nil {
						return n, err
					}
					n++
				}
			}
		}
		if next == "" {
			return n, nil
		}
		cursor = next
	}
}
