package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/angelowl-loyalties/app/local/ops"
	"github.com/spf13/cobra"
)

// patience is how long a look at the running system may take.
const patience = time.Minute

func statusCommand() *cobra.Command {
	var data string
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Say how the running system is",
		Long: `status looks at the angelowl that is up and says how far each partition of the log is read, which
rules are in force in it and whether they are the live ones, how the rewarders are, what was set
aside and why, which rules still wait to be published, and what became of the last uploads.

With --json it prints one object for programs: fields are added to it, never changed. Its field
healthy says whether every part does its work, and problems what does not. Work that waits is no
problem: records to be read, dead letters, refused rows.

It exits with 0 when the status could be read, healthy or not, with 1 when not (nothing runs, say),
with 2 on wrong usage.`,
		Example: "  angelowl status\n  angelowl status --json | jq .lag",
		Args:    noArgs,
	}
	dataFlag(c, &data)
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object, for programs")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withSystem(c.Context(), data, patience, func(ctx context.Context, s *ops.System) error {
			st, err := s.Status(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), st)
			}
			return s.PrintStatus(c.OutOrStdout(), st)
		})
	}
	return c
}

func dataFlag(c *cobra.Command, data *string) {
	c.PersistentFlags().StringVar(data, "data", "./.angelowl", "the data folder of the angelowl that is up")
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("what is %q for?", args[0])}
	}
	return nil
}

// withSystem calls f with the system that runs on a data folder; limit 0 is none.
func withSystem(ctx context.Context, data string, limit time.Duration, f func(context.Context, *ops.System) error) (err error) {
	if data, err = filepath.Abs(data); err != nil {
		return fmt.Errorf("finding the data folder: %w", err)
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	s, err := ops.Open(ctx, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return f(ctx, s)
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
