// Package postgres keeps campaigns, exclusions and quotes in PostgreSQL, and in SQLite where
// everything runs in one process.
package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/angelowl-loyalties/app/campaignex"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"gorm.io/gorm"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a campaignex.Store.
type Store struct {
	*ruledb.DB
	campaigns  *ruledb.Table[loyalty.Campaign, campaignex.CampaignFilter, campaign, *campaign]
	exclusions *ruledb.Table[loyalty.Exclusion, campaignex.ExclusionFilter, exclusion, *exclusion]
	quotes     *ruledb.Table[campaignex.Day, campaignex.DayFilter, quotes, *quotes]
}

var _ campaignex.Store = (*Store)(nil)

// Migrate brings the schema of db up to date.
func Migrate(ctx context.Context, db *gorm.DB, clock func() time.Time) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return ruledb.Migrate(ctx, db, files, clock)
}

// Open brings the schema of db up to date and returns the store. The caller closes db.
func Open(ctx context.Context, db *gorm.DB, clock func() time.Time) (*Store, error) {
	if err := Migrate(ctx, db, clock); err != nil {
		return nil, err
	}
	return open(db, clock)
}

// OpenMigrated is Open where somebody else brings the schema up to date: the error is
// ruledb.ErrBehind until it is.
func OpenMigrated(ctx context.Context, db *gorm.DB, clock func() time.Time) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := ruledb.Migrated(ctx, db, files); err != nil {
		return nil, err
	}
	return open(db, clock)
}

func open(db *gorm.DB, clock func() time.Time) (*Store, error) {
	rules, err := ruledb.New(db, clock)
	if err != nil {
		return nil, err
	}
	s := &Store{DB: rules}
	s.campaigns = ruledb.NewTable[loyalty.Campaign, campaignex.CampaignFilter, campaign](rules, ruledb.Spec[loyalty.Campaign, campaignex.CampaignFilter]{
		Kind: rulebook.Campaigns, Rows: "campaigns", Changes: "campaign_versions",
		ID: func(c loyalty.Campaign) string { return c.ID.String() },
		Sorts: map[string]string{
			"name": "name", "start_date": "start_date", "end_date": "end_date", "reward_program": "reward_program",
			"reward_amount": "reward_amount_billionths", "updated_at": "updated_at",
		},
		Where: whereCampaign,
	})
	s.exclusions = ruledb.NewTable[loyalty.Exclusion, campaignex.ExclusionFilter, exclusion](rules, ruledb.Spec[loyalty.Exclusion, campaignex.ExclusionFilter]{
		Kind: rulebook.Exclusions, Rows: "exclusions", Changes: "exclusion_versions",
		ID:    func(e loyalty.Exclusion) string { return e.ID.String() },
		Sorts: map[string]string{"mcc": "mcc", "valid_from": "valid_from", "updated_at": "updated_at"},
		Where: func(tx *gorm.DB, f campaignex.ExclusionFilter) *gorm.DB {
			if f.MCC != 0 {
				tx = tx.Where("mcc = ?", int(f.MCC))
			}
			return tx
		},
	})
	years := &years{}
	s.quotes = ruledb.NewTable[campaignex.Day, campaignex.DayFilter, quotes](rules, ruledb.Spec[campaignex.Day, campaignex.DayFilter]{
		Kind: rulebook.Quotes, Rows: "quotes", Changes: "quote_versions",
		ID:    campaignex.Day.ID,
		Sorts: map[string]string{"date": "id"},
		Where: func(tx *gorm.DB, f campaignex.DayFilter) *gorm.DB {
			if f.From != 0 {
				tx = tx.Where("id >= ?", f.From.String())
			}
			if f.To != 0 {
				tx = tx.Where("id <= ?", f.To.String())
			}
			return tx
		},
		Ref: yearOf, Touch: years.touch,
	})
	s.Publish(s.campaigns, s.exclusions, years)
	return s, nil
}

// Campaigns is campaignex.Store's, and so are the next ones.
func (s *Store) Campaigns() ruleapi.Store[loyalty.Campaign, campaignex.CampaignFilter] {
	return s.campaigns
}

// Exclusions are the exclusions.
func (s *Store) Exclusions() ruleapi.Store[loyalty.Exclusion, campaignex.ExclusionFilter] {
	return s.exclusions
}

// Quotes are the quotes by day.
func (s *Store) Quotes() ruleapi.Store[campaignex.Day, campaignex.DayFilter] { return s.quotes }

// Import makes rules stand as given.
func (s *Store) Import(ctx context.Context, who string, rules campaignex.Rules) (changed int, err error) {
	err = s.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		campaigns, err := s.campaigns.PutAll(tx, at, who, rules.Campaigns)
		if err != nil {
			return err
		}
		exclusions, err := s.exclusions.PutAll(tx, at, who, rules.Exclusions)
		if err != nil {
			return err
		}
		days, err := s.quotes.PutAll(tx, at, who, rules.Days)
		changed = campaigns + exclusions + days
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("importing rules: %w", err)
	}
	return changed, nil
}

func whereCampaign(tx *gorm.DB, f campaignex.CampaignFilter) *gorm.DB {
	if f.Programme != "" {
		tx = tx.Where("reward_program = ?", f.Programme)
	}
	if f.Base != nil {
		tx = tx.Where("base_reward = ?", *f.Base)
	}
	if f.Search != "" {
		tx = tx.Where(`search LIKE ? ESCAPE '\'`, ruledb.Like(f.Search))
	}
	today := f.Today.String()
	switch f.State {
	case campaignex.Live:
		tx = tx.Where("start_date <= ? AND end_date >= ?", today, today)
	case campaignex.Scheduled:
		tx = tx.Where("start_date > ?", today)
	case campaignex.Ended:
		tx = tx.Where("end_date < ?", today)
	}
	return tx
}
