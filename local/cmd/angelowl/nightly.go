package main

import (
	"context"
	"fmt"
	"io"

	"github.com/angelowl-loyalties/app/emailer"
	"github.com/angelowl-loyalties/app/local/ops"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/spf13/cobra"
)

func nightlyCommand() *cobra.Command {
	var data, on string
	c := &cobra.Command{
		Use:   "nightly",
		Short: "Send the nightly mails about rewards now",
		Long: `nightly tells cardholders by mail what their cards earned: today, and on the six days before if no
mail has told of it yet. The angelowl that is up does the same by itself after each midnight of the
bank, for the day that has ended, as soon as all of that day is rewarded.

Each cardholder who earned something gets one mail over all of their cards, and at most one a day;
who has turned these mails off gets none. What they earn after it is told by the next day's mail.
Run again, it sends nobody the same once more. The mails are in the mailbox, at /mail/.

--day sends those of a day that is over, if some of it has not been told.`,
		Example: "  angelowl nightly\n  angelowl nightly --day 2026-01-31",
		Args:    noArgs,
	}
	dataFlag(c, &data)
	c.Flags().StringVar(&on, "day", "", "a day of the bank, YYYY-MM-DD (default today)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var day *loyalty.Date
		if c.Flags().Changed("day") {
			d, err := loyalty.ParseDate(on)
			if err != nil {
				return usageError{fmt.Errorf("--day %q is not a day; say one such as 2026-01-31", on)}
			}
			day = &d
		}
		p := newProgress(c.ErrOrStderr())
		defer p.clear()
		return withSystem(c.Context(), data, 0, func(ctx context.Context, s *ops.System) error {
			p.say("sending mails")
			r, err := s.Nightly(ctx, day, func(sent int) { p.say(fmt.Sprintf("%d mails sent", sent)) })
			p.clear()
			if err != nil {
				return err
			}
			left, err := s.Unrewarded(ctx)
			if err != nil {
				return err
			}
			sayNightly(c.OutOrStdout(), r, s.URL, left)
			return nil
		})
	}
	return c
}

// sayNightly says what became of the mails; left is how many records are not rewarded yet.
func sayNightly(out io.Writer, r emailer.Result, url string, left int64) {
	switch {
	case r.State == emailer.Waiting:
		fmt.Fprintf(out, "No mail was sent: not all of %s is rewarded yet. angelowl status says how far it is.\n", r.Day)
		return
	case r.Sent == 0:
		fmt.Fprintf(out, "No mail was sent: by %s nobody who wants them earned anything of which no mail has told,\nor they have had that day's mail.\n", r.Day)
	case r.Sent == 1:
		fmt.Fprintf(out, "1 mail was sent; it is at %s/mail/\n", url)
	default:
		fmt.Fprintf(out, "%d mails were sent; they are at %s/mail/\n", r.Sent, url)
	}
	if r.Refused > 0 {
		fmt.Fprintf(out, "%d could not be delivered, and are not tried again: correct the addresses.\n", r.Refused)
	}
	if left > 0 {
		fmt.Fprintf(out, "%d records are not rewarded yet; what they earn is told later.\n", left)
	}
}
