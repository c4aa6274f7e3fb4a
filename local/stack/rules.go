package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/angelowl-loyalties/app/campaignex"
	"github.com/angelowl-loyalties/app/loyalty"
)

// Seed is what a person gives at the start: a file of rules and a file of quotes. Either path may
// be "".
type Seed struct {
	rules loyalty.RuleFile
	days  []campaignex.Day
}

// ReadSeed reads and validates both files.
func ReadSeed(rulesPath, quotesPath string) (Seed, error) {
	var s Seed
	if rulesPath != "" {
		data, err := os.ReadFile(rulesPath)
		if err != nil {
			return s, fmt.Errorf("reading the rules: %w", err)
		}
		if s.rules, err = loyalty.DecodeRuleFile(data); err != nil {
			return s, fmt.Errorf("%s: %w", rulesPath, err)
		}
	}
	if quotesPath != "" {
		data, err := os.ReadFile(quotesPath)
		if err != nil {
			return s, fmt.Errorf("reading the quotes: %w", err)
		}
		read := campaignex.ReadHistory
		if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
			read = campaignex.ReadHistoryZip
		}
		history, err := read(data)
		if err != nil {
			return s, fmt.Errorf("%s: %w", quotesPath, err)
		}
		s.days = history.Days
	}
	return s, nil
}

// Plant makes the rules and quotes of a seed stand as they are in it. Rules that it does not name
// stay as they are.
func (s *Stack) Plant(ctx context.Context, seed Seed) error {
	const who = "rules file"
	if _, err := s.accounts.Import(ctx, who, seed.rules.CardTypes); err != nil {
		return err
	}
	_, err := s.campaigns.Import(ctx, who, campaignex.Rules{
		Campaigns: seed.rules.Campaigns, Exclusions: seed.rules.Exclusions, Days: seed.days,
	})
	return err
}

// ErrNoRules says that there is nothing to reward by.
var ErrNoRules = errors.New("there are no rules to reward by: the rules file is empty")
