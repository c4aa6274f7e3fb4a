package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/angelowl-loyalties/app/local/ops"
	"github.com/spf13/cobra"
)

func deadLettersCommand() *cobra.Command {
	var data string
	c := &cobra.Command{
		Use:   "deadletters",
		Short: "Look at what was set aside, mend it and send it again",
		Long: `A record that cannot be rewarded, since its card type is unknown, say, is set aside as a dead letter
with the reason. Its id is incarnation.partition.offset of the record. docs/runbooks/dead-letters.md
says what each reason means.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no command %q; there are list, show and resend", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	dataFlag(c, &data)
	c.AddCommand(listCommand(&data), showCommand(&data), resendCommand(&data))
	return c
}

func listCommand(data *string) *cobra.Command {
	var f ops.Filter
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, the newest last",
		Long: `list shows dead letters, each once however often it was set aside, the newest last: its id, when it
was set aside, why, the upload and the line that it is from, and when it was sent again, if it was.

With --json it prints one object {"letters": […], "older": n}.`,
		Example: "  angelowl deadletters list --reason unknown_card_type",
		Args:    noArgs,
	}
	c.Flags().IntVar(&f.Limit, "limit", 50, "the newest so many; 0 is all")
	c.Flags().StringVar(&f.Reason, "reason", "", "only those with this reason")
	c.Flags().StringVar(&f.Before, "before", "", "only those older than the one with this id")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object, for programs")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if f.Limit < 0 {
			return usageError{fmt.Errorf("--limit %d is below 0", f.Limit)}
		}
		return withSystem(c.Context(), *data, 0, func(ctx context.Context, s *ops.System) error {
			letters, older, err := s.Letters(ctx, f)
			if err != nil {
				return err
			}
			if asJSON {
				if letters == nil {
					letters = []ops.Letter{}
				}
				return printJSON(c.OutOrStdout(), map[string]any{"letters": letters, "older": older})
			}
			return s.PrintLetters(c.OutOrStdout(), letters, older)
		})
	}
	return c
}

func showCommand(data *string) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "show ID",
		Short:   "Show all that is known of a dead letter; card numbers are masked",
		Example: "  angelowl deadletters show 1.0.123",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("which one? Say its id, as `angelowl deadletters list` shows it")}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object, for programs")
	c.RunE = func(c *cobra.Command, args []string) error {
		return withSystem(c.Context(), *data, 0, func(ctx context.Context, s *ops.System) error {
			l, err := s.Letter(ctx, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), l)
			}
			return s.PrintLetter(c.OutOrStdout(), l)
		})
	}
	return c
}

func resendCommand(data *string) *cobra.Command {
	var r ops.Resend
	var set []string
	c := &cobra.Command{
		Use:   "resend ID... | --reason R | --all",
		Short: "Send dead letters again, mended where --set says so",
		Long: `resend sends the records of dead letters to the log again, at its end, so that they are rewarded by
the rules that are in force there now. --set mends a field of each first; its names are those of a
transaction. Where a dead letter is not readable as a transaction at all, every field has to be set.

What would be set aside again, or is no valid transaction, is not sent, and it says why. Each one
that was sent is marked in the dead letters' topic with who sent it and when, and is sent once more
only with --again. Sending one twice does no harm: of equal transactions the first counts.

It exits with 0 when all were sent, with 1 when not, with 2 on wrong usage.`,
		Example: "  angelowl deadletters resend 1.0.123 --set card_type=scis_platinummiles\n  angelowl deadletters resend --reason no_quote",
	}
	c.Flags().StringVar(&r.Reason, "reason", "", "all with this reason")
	c.Flags().BoolVar(&r.All, "all", false, "all dead letters")
	c.Flags().StringArrayVar(&set, "set", nil, "field=value, may be given several times")
	c.Flags().BoolVar(&r.Again, "again", false, "those too that were sent again before")
	c.Args = func(_ *cobra.Command, args []string) error {
		named := 0
		for _, said := range []bool{len(args) > 0, r.Reason != "", r.All} {
			if said {
				named++
			}
		}
		if named != 1 {
			return usageError{errors.New("which ones? Say ids, or --reason R, or --all")}
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		var err error
		if r.Set, err = ops.ParseFields(set); err != nil {
			return usageError{err}
		}
		r.IDs = args
		sent, failed := 0, 0
		return withSystem(c.Context(), *data, 0, func(ctx context.Context, s *ops.System) error {
			before, err := s.Resend(ctx, r, func(one ops.Sent) {
				if one.Err != nil {
					failed++
					fmt.Fprintf(c.ErrOrStderr(), "angelowl: %s: %v\n", one.ID, one.Err)
					return
				}
				sent++
				fmt.Fprintf(c.OutOrStdout(), "%s was sent again and is now at %s\n", one.ID, one.To)
			})
			if err != nil && sent == 0 {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%d sent again", sent)
			if failed > 0 {
				fmt.Fprintf(c.OutOrStdout(), ", %d not", failed)
			}
			if before > 0 {
				fmt.Fprintf(c.OutOrStdout(), ", %d had been before", before)
			}
			fmt.Fprintln(c.OutOrStdout())
			if err == nil && failed > 0 {
				err = errSaid
			}
			return err
		})
	}
	return c
}
