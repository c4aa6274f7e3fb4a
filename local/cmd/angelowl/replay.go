package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/angelowl-loyalties/app/local/ops"
	"github.com/spf13/cobra"
)

func replayCommand() *cobra.Command {
	var data, from string
	c := &cobra.Command{
		Use:   "replay --from start|OFFSETS|TIME",
		Short: "Have the log read again; no reward changes",
		Long: `replay stops the rewarders of the angelowl that is up, sets them back in the log, lets them go on,
and waits until they are where they were.

--from says from where:
  start                      the beginning of every partition
  0:123,1:0                  offsets by partition; partitions that are not named go on as they are
  2026-01-31T00:00:00+08:00  what arrived since then, or a little before

It only goes back: going forward would skip records, and they would never be rewarded.

No reward changes: it is a function of the transaction and of the rules that the log says were in
force when it arrived, and of equal transactions the first counts. So a replay brings back rows
that the store has lost, and leaves all others as they are, to the byte.`,
		Example: "  angelowl replay --from start",
		Args:    noArgs,
	}
	dataFlag(c, &data)
	c.Flags().StringVar(&from, "from", "", "where to begin: start, offsets or a time")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if from == "" {
			return usageError{errors.New("--from is missing: from where is the log to be read again?")}
		}
		f, err := ops.ParseFrom(from)
		if err != nil {
			return usageError{fmt.Errorf("--from: %w", err)}
		}
		p := newProgress(c.ErrOrStderr())
		defer p.clear()
		return withSystem(c.Context(), data, 0, func(ctx context.Context, s *ops.System) error {
			began := time.Now()
			p.say("setting the rewarders back")
			r, err := s.Replay(ctx, f, func(done, all int64) { p.say(bar("reading", done, all, "records")) })
			p.clear()
			if err != nil {
				return err
			}
			if len(r.From) == 0 {
				fmt.Fprintln(c.OutOrStdout(), "There is nothing to be read again from there on.")
				return nil
			}
			for _, partition := range r.Partitions() {
				fmt.Fprintf(c.OutOrStdout(), "partition %d was read again from offset %d\n", partition, r.From[partition])
			}
			fmt.Fprintf(c.OutOrStdout(), "%d records were read again in %.1f s.\n", r.Records, time.Since(began).Seconds())
			fmt.Fprintln(c.OutOrStdout(), "The rewards are as they were: each follows from the log alone, and of equal transactions the first counts.")
			return nil
		})
	}
	return c
}
