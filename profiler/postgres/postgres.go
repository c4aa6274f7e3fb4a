// Package postgres keeps card types, accounts and cards in PostgreSQL, and in SQLite where everything
// runs in one process.
package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/ruleapi"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/ruledb"
	"github.com/angelowl-loyalties/app/profiler"
	"gorm.io/gorm"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a profiler.Store.
type Store struct {
	*ruledb.DB
	clock     func() time.Time
	cardTypes *ruledb.Table[loyalty.CardType, profiler.CardTypeFilter, cardType, *cardType]
}

var _ profiler.Store = (*Store)(nil)

// Migrate brings the schema of db up to date.
func Migrate(ctx context.Context, db *gorm.DB, clock func() time.Time) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return ruledb.Migrate(ctx, db, files, clock)
}

// Open brings the schema of db up to date and returns the store. The caller closes db, which must
// be another one than campaignex's: each service has its own outbox.
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
	s := &Store{DB: rules, clock: clock}
	s.cardTypes = ruledb.NewTable[loyalty.CardType, profiler.CardTypeFilter, cardType](rules, ruledb.Spec[loyalty.CardType, profiler.CardTypeFilter]{
		Kind: rulebook.CardTypes, Rows: "card_types", Changes: "card_type_versions",
		ID:    func(t loyalty.CardType) string { return t.CardType },
		Sorts: map[string]string{"card_type": "id", "name": "name", "updated_at": "updated_at"},
		Where: func(tx *gorm.DB, _ profiler.CardTypeFilter) *gorm.DB { return tx },
	})
	s.Publish(s.cardTypes)
	return s, nil
}

// CardTypes is profiler.Store's.
func (s *Store) CardTypes() ruleapi.Store[loyalty.CardType, profiler.CardTypeFilter] {
	return s.cardTypes
}

// Import is profiler.Store's.
func (s *Store) Import(ctx context.Context, who string, cardTypes []loyalty.CardType) (changed int, err error) {
	err = s.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		changed, err = s.cardTypes.PutAll(tx, at, who, cardTypes)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("importing card types: %w", err)
	}
	return changed, nil
}

type cardType struct {
	ruledb.Head   `gorm:"embedded"`
	Name          string
	RewardUnit    string
	RewardProgram string
	Decimals      int
}

// Set takes over a card type.
func (m *cardType) Set(t loyalty.CardType) error {
	m.Name, m.RewardUnit, m.RewardProgram, m.Decimals = t.Name, t.Unit, t.Programme, int(t.Decimals)
	return nil
}

// Rule is the card type.
func (m *cardType) Rule() (loyalty.CardType, error) {
	return loyalty.CardType{
		CardType: m.ID, Name: m.Name, Unit: m.RewardUnit, Programme: m.RewardProgram, Decimals: uint8(m.Decimals),
	}, nil
}
