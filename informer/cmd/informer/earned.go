package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/informer/cassandra"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/daemon"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	"github.com/google/uuid"
)

const earnedUsage = `informer earned adds up what a campaign has given for records that arrived from a day of the bank to
another, both included, and prints it as JSON. It reads all rewards of those days and changes nothing.

usage: informer earned [--config FILE] CAMPAIGN_ID FROM TO       (days are such as 2026-01-31)

It takes the settings of informer and needs no other of them than those of the store.
`

type earnedSettings struct{ Store rewarddb.Settings }

// earned is the command `informer earned`. It returns the exit code.
func earned(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("informer earned", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("config", os.Getenv(config.FileVariable), "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		if _, err := io.WriteString(stdout, earnedUsage); err != nil {
			return 1
		}
		return 0
	}
	var q informer.CampaignQuery
	if err == nil {
		q, err = earnedQuery(flags.Args())
	}
	if err != nil {
		fmt.Fprintf(stderr, "informer earned: %v; informer earned --help says more\n", err)
		return 2
	}
	return daemon.Run(ctx, "informer", about, []string{"--config", *file}, stdout, stderr, func(ctx context.Context, s *earnedSettings, log *slog.Logger) error {
		store, err := cassandra.Open(ctx, s.Store.Config(), log)
		if err != nil {
			return err
		}
		defer store.Close()
		sum, err := informer.SumCampaign(ctx, store, q)
		if err != nil {
			return err
		}
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(sum)
	})
}

func earnedQuery(args []string) (q informer.CampaignQuery, err error) {
	if len(args) != 3 {
		return q, errors.New("say the id of a campaign and two days")
	}
	if q.Campaign, err = uuid.Parse(args[0]); err != nil || !strings.EqualFold(q.Campaign.String(), args[0]) {
		return q, errors.New("the first argument is not the id of a campaign")
	}
	if q.From, err = loyalty.ParseDate(args[1]); err != nil {
		return q, fmt.Errorf("the first day: %w", err)
	}
	if q.To, err = loyalty.ParseDate(args[2]); err != nil {
		return q, fmt.Errorf("the last day: %w", err)
	}
	return q, nil
}
