package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/daemon"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	"github.com/angelowl-loyalties/app/rewarder/cassandra"
	"github.com/google/uuid"
)

const eraseUsage = `rewarder erase erases cards' rewards, and their entries in the index by day, for good: the log may be
read again and they stay erased. It takes the settings of the rewarder and needs no other of them than those of the store.

usage: rewarder erase [--config FILE] CARD_ID…

A record of the card that no rewarder has read yet is rewarded later; so stop the card's transactions, wait until the
lag is 0, then erase. Erasing twice does no harm.
`

// eraseSettings are those of settings that erasing needs.
type eraseSettings struct {
	Timezone *time.Location `env:"BANK_TIMEZONE" default:"Asia/Singapore" help:"the bank's time zone, fixed for the life of a reward store: its days are those of the index"`
	Store    rewarddb.Settings
}

// erase is the command `rewarder erase`. It returns the exit code.
func erase(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("rewarder erase", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("config", os.Getenv(config.FileVariable), "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		if _, err := io.WriteString(stdout, eraseUsage); err != nil {
			return 1
		}
		return 0
	}
	var cards []uuid.UUID
	if err == nil {
		cards, err = cardIDs(flags.Args())
	}
	if err != nil {
		fmt.Fprintf(stderr, "rewarder erase: %v; nothing was erased\n", err)
		return 2
	}
	return daemon.Run(ctx, "rewarder", about, []string{"--config", *file}, stdout, stderr, func(ctx context.Context, s *eraseSettings, log *slog.Logger) error {
		store, err := cassandra.Open(ctx, s.Store.Config(), cassandra.Options{Zone: s.Timezone, Log: log})
		if err != nil {
			return err
		}
		defer store.Close()
		for _, card := range cards {
			if err := store.Erase(ctx, card); err != nil {
				return fmt.Errorf("card %s: %w", card, err)
			}
			fmt.Fprintf(stdout, "erased the rewards of card %s\n", card)
		}
		return nil
	})
}

// cardIDs reads ids as they are written everywhere: with hyphens, and nothing around them.
func cardIDs(args []string) ([]uuid.UUID, error) {
	if len(args) == 0 {
		return nil, errors.New("say the ids of the cards")
	}
	cards := make([]uuid.UUID, len(args))
	for i, arg := range args {
		id, err := uuid.Parse(arg)
		if err != nil || !strings.EqualFold(id.String(), arg) {
			return nil, fmt.Errorf("argument %d is not the id of a card", i+1) // it may be a card's number
		}
		cards[i] = id
	}
	return cards, nil
}
