package ops

import (
	"context"
	"fmt"
	"net/http"

	"github.com/angelowl-loyalties/app/emailer"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/rewarder"
)

// Nightly has those told by mail who earned something of which no mail has told, on a day of the bank or
// on the six days before, and returns what became of it. By default the day is today, and a day that is
// not over is told of as far as it has come. Progress is told how many mails have gone out.
func (s *System) Nightly(ctx context.Context, day *loyalty.Date, progress func(sent int)) (emailer.Result, error) {
	today := loyalty.DateOf(s.Clock().In(s.Zone).Date())
	if day == nil {
		day = &today
	}
	if *day > today {
		return emailer.Result{}, fmt.Errorf("%s is still to come: for the bank it is %s", *day, today)
	}
	ask := stack.Nightly{Day: *day, Early: *day == today}
	all := emailer.Result{Day: *day}
	for {
		var r emailer.Result
		if err := s.control(ctx, http.MethodPost, "/nightly", ask, &r); err != nil {
			return all, fmt.Errorf("having the mails sent: %w", err)
		}
		all.State, all.Late = r.State, all.Late || r.Late
		all.Rewards += r.Rewards
		all.Sent += r.Sent
		all.Refused += r.Refused
		progress(all.Sent)
		if r.State != emailer.Unfinished {
			return all, nil
		}
	}
}

// Unrewarded is how many records the rewarders have not dealt with.
func (s *System) Unrewarded(ctx context.Context) (n int64, err error) {
	lags, err := rewarder.Lag(ctx, s.kafka, stack.Group, record.Topic)
	for _, l := range lags {
		n += l.Records()
	}
	return n, err
}
