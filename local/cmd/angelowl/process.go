package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/angelowl-loyalties/app/local/process"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/spf13/cobra"
)

// errNotAccounted says that rows are missing from the report, which has been printed.
var errNotAccounted = errors.New("not every row is accounted for")

func processCommand(logger func() (*slog.Logger, error)) *cobra.Command {
	var (
		b              bank
		rules, fx, out string
	)
	c := &cobra.Command{
		Use:   "process --rules FILE --out DIR FILE...",
		Short: "Reward files of transactions and write what they earned",
		Long: `process starts the whole system on a temporary folder, sends the files through it in the order
given, waits until every row is rewarded or refused, and writes into --out

  rewards.jsonl  one reward a line, by card, date and id: a function of the inputs alone
  refused.csv    the rows that were not taken, and why; mend it and send it again
  report.json    what became of every row, in rows and in money by currency

Files are .csv or .csv.gz. Of equal transactions the first counts. It exits with 0 when every row
is accounted for, with 1 when not, with 2 on wrong usage.`,
		Example: "  angelowl process --home CAD --timezone America/Toronto --rules examples/rules.json --fx examples/quotes.csv --out /tmp/earned examples/spend.csv",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("which files are to be processed?")}
			}
			return nil
		},
	}
	b.flags(c)
	c.Flags().IntVar(&b.partitions, "partitions", 4, "partitions of the log, 1 to 256")
	c.Flags().StringVar(&rules, "rules", "", "the rules: card types, campaigns, exclusions (JSON)")
	c.Flags().StringVar(&fx, "fx", "", "exchange rates: the ECB's history, .csv or .zip")
	c.Flags().StringVar(&out, "out", "", "the folder for the results, made if need be")
	c.RunE = func(c *cobra.Command, files []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		home, zone, err := b.parse()
		if err != nil {
			return err
		}
		switch {
		case out == "":
			return usageError{errors.New("--out DIR is missing: where are the results to go?")}
		case rules == "":
			return usageError{errors.New("--rules FILE is missing: there is nothing to reward by")}
		case b.partitions < 1 || b.partitions > 256:
			return usageError{fmt.Errorf("--partitions %d is not between 1 and 256", b.partitions)}
		}
		seed, err := stack.ReadSeed(rules, fx)
		if err != nil {
			return err
		}
		p := newProgress(c.ErrOrStderr())
		defer p.clear()
		report, err := process.Run(c.Context(), process.Options{
			Stack: stack.Config{Home: home, Timezone: zone, Rewarders: b.rewarders, Partitions: b.partitions,
				Disk: tellOfDisk(p, c.ErrOrStderr())},
			Seed: seed, Files: files, Out: out, Log: log,
			Status: func(what string, done, all int64, unit string) {
				if all > 0 {
					what = bar(what, done, all, unit)
				}
				p.say(what)
			},
		})
		p.clear()
		if err != nil {
			return err
		}
		if err := report.Print(c.OutOrStdout()); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "\nThe results are in %s.\n", filepath.Clean(out))
		if !report.Accounted() {
			for _, f := range report.Files {
				if f.Error != "" {
					fmt.Fprintf(c.ErrOrStderr(), "angelowl: %s: %s\n", f.File, f.Error)
				}
			}
			fmt.Fprintln(c.ErrOrStderr(), "angelowl: not every row is accounted for; see report.json")
			return errNotAccounted
		}
		return nil
	}
	return c
}
