package stack

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/angelowl-loyalties/app/emailer"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/record"
)

const (
	// nightlyEvery is how often the lambda emailer is invoked until it says that the day is done.
	nightlyEvery = time.Minute
	// nightlyTimeout is the lambda's, and nightlyMargin how long before no further mail is begun. Somebody
	// may wait for the answer, and for the invocation before theirs, too: the control server hangs up
	// after two minutes.
	nightlyTimeout = 40 * time.Second
	nightlyMargin  = 5 * time.Second
	// nightlyRate is how many mails a second the mailbox gets.
	nightlyRate = 50
)

// nightly invokes the lambda emailer, one invocation at a time.
type nightly struct {
	invoke func(context.Context, emailer.Event) (emailer.Result, error)
	zone   *time.Location
	clock  func() time.Time
	ready  func() error // says why nothing may be begun now
	log    *slog.Logger

	over context.Context // ends with close
	end  context.CancelFunc
	turn chan struct{} // held by the invocation under way
}

func newNightly(ctx context.Context, n nightly) *nightly {
	n.over, n.end = context.WithCancel(ctx)
	n.turn = make(chan struct{}, 1)
	return &n
}

// close ends the invocation under way, which says of the mails that are gone that they are, and lets no
// other begin.
func (n *nightly) close() {
	n.end()
	n.turn <- struct{}{}
}

// run invokes the lambda when the one under way has ended. Its result is emailer.Unfinished when its time
// did not suffice: then it is to be run again.
func (n *nightly) run(ctx context.Context, e emailer.Event) (emailer.Result, error) {
	select {
	case n.turn <- struct{}{}:
		defer func() { <-n.turn }()
	case <-n.over.Done():
		return emailer.Result{}, fmt.Errorf("the system is stopping: %w", n.over.Err())
	case <-ctx.Done():
		return emailer.Result{}, fmt.Errorf("waiting for the mails that are being sent: %w", context.Cause(ctx))
	}
	if err := n.ready(); err != nil {
		return emailer.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, nightlyTimeout)
	defer cancel()
	defer context.AfterFunc(n.over, cancel)()
	return n.invoke(ctx, e)
}

// keep does what the schedule does on AWS, at each tick: it has the rewards of the bank's last day told,
// and those of the days before of which no mail has told yet, until that is done. A machine that slept
// at midnight makes up for it.
func (n *nightly) keep(ctx context.Context, ticks <-chan time.Time) {
	var done loyalty.Date
	for {
		if day := loyalty.DateOf(n.clock().In(n.zone).Date()) - 1; day != done {
			r, err := n.run(ctx, emailer.Event{Day: &day})
			switch {
			case ctx.Err() != nil || n.over.Err() != nil:
				return
			case err != nil:
				n.log.Warn("the nightly mails could not be sent; it is tried again", "error", err)
			case r.State == emailer.Done:
				done = day
			}
		}
		select {
		case <-ticks:
		case <-ctx.Done():
			return
		case <-n.over.Done():
			return
		}
	}
}

// startNightly makes the lambda emailer and its schedule.
func (s *Stack) startNightly(ctx context.Context, g *errgroup.Group, n network, id *identity, sender mail.Sender, log *slog.Logger) error {
	log = log.With("service", "emailer")
	settings := profile.Settings{Endpoint: "http://profiler", Internal: "http://profiler-internal", ClientSecret: id.secrets["emailer"]}
	creds := settings.Credentials("emailer", id.client, time.Now)
	pages := n.client() // a page of a day's rewards takes longer than a question to profiler
	pages.Timeout = 30 * time.Second
	h, err := emailer.New(
		emailer.Config{
			Zone: s.Timezone, From: mailFrom, Portal: s.Portal, API: s.URL,
			Rate: nightlyRate, Margin: nightlyMargin,
		},
		emailer.Deps{
			Rewards: &emailer.Informer{Endpoint: "http://informer-internal", Tokens: creds, HTTP: pages},
			Ledger:  profile.New(settings.Internal, creds, id.client),
			Past:    emailer.Kafka{Brokers: s.Brokers, Topic: record.Topic, Group: Group}.Past,
			Mail:    sender, Log: log, Clock: time.Now,
		})
	if err != nil {
		return err
	}
	s.nightly = newNightly(ctx, nightly{invoke: h.Handle, zone: s.Timezone, clock: time.Now, ready: s.disk.Check, log: log})
	g.Go(func() error {
		defer pages.CloseIdleConnections()
		if s.Throwaway { // nobody would read the mails
			<-ctx.Done()
			return nil
		}
		tick := time.NewTicker(nightlyEvery)
		defer tick.Stop()
		s.nightly.keep(ctx, tick.C)
		<-ctx.Done() // who asks for mails may still be using it
		return nil
	})
	return nil
}
