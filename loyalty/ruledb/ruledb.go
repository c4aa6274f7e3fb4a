// Package ruledb keeps versioned rules, their history and their outbox in a SQL database, through
// gorm. It is written for PostgreSQL and runs on SQLite too; what differs is in dialect.go.
package ruledb

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/outbox"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/web"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// chunk is how many rows one statement takes; PostgreSQL allows 65,535 values, SQLite 32,766.
const chunk = 500

// Source is a kind of rule as it is published. Table is one.
type Source interface {
	// Kind is what is published.
	Kind() rulebook.Kind
	// Current returns the rules of these ids as they stand, tombstones too, in the caller's
	// transaction.
	Current(tx *gorm.DB, ids []string) ([]outbox.Rule, error)
	// Versions returns rules with nothing but their versions, tombstones too, in the order of
	// their ids, from the one behind after on.
	Versions(tx *gorm.DB, after string, limit int) ([]outbox.Rule, error)
}

// DB is a database of rules. It is the outbox.Store of its sources.
type DB struct {
	gorm    *gorm.DB
	dialect dialect
	clock   func() time.Time
	sources []Source      // by kind
	turn    chan struct{} // to wait for the publisher's lock
}

// New returns the database; its schema is there already (see Migrate).
func New(db *gorm.DB, clock func() time.Time) (*DB, error) {
	d, err := dialectOf(db)
	if err != nil {
		return nil, err
	}
	return &DB{gorm: db, dialect: d, clock: clock, turn: make(chan struct{}, 1)}, nil
}

// Close closes a database that was opened for New.
func Close(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

// Publish makes the outbox publish sources. It is called before the DB is used.
func (db *DB) Publish(sources ...Source) {
	db.sources = append(db.sources, sources...)
	slices.SortFunc(db.sources, func(a, b Source) int { return strings.Compare(string(a.Kind()), string(b.Kind())) })
}

// Change runs f in a transaction that may write, and gives it the time of the change. A transaction
// that fails because of what others did at the same time is run again, four times in all; so f
// changes nothing outside but what it sets anew each time.
func (db *DB) Change(ctx context.Context, f func(tx *gorm.DB, at time.Time) error) error {
	return db.run(ctx, true, nil, func(tx *gorm.DB) error {
		return f(tx, db.clock().UTC().Truncate(time.Millisecond))
	})
}

// Read runs f in a transaction that sees the database as it is at one moment.
func (db *DB) Read(ctx context.Context, f func(tx *gorm.DB) error) error {
	return db.run(ctx, false, db.dialect.snapshot(), f)
}

// What people are told when it is the database that fails.
var (
	errAway = &web.Error{Status: http.StatusServiceUnavailable, Code: "database_unavailable",
		Message: "the database cannot be reached just now; nothing was changed, try again"}
	errUnknown = &web.Error{Status: http.StatusServiceUnavailable, Code: "outcome_unknown",
		Message: "the connection to the database broke off while the change was saved; look whether it was before you try again"}
	errBusy = &web.Error{Status: http.StatusServiceUnavailable, Code: "busy",
		Message: "others keep changing the same; nothing was changed, try again"}
)

// run runs f in a transaction. An error that is the database's own, and not f's, is one of those
// above too.
func (db *DB) run(ctx context.Context, writes bool, options *sql.TxOptions, f func(tx *gorm.DB) error) error {
	for tries := 1; ; tries++ {
		saving := false
		bounded, cancel := db.dialect.bounded(ctx)
		err := db.gorm.WithContext(bounded).Transaction(func(tx *gorm.DB) error {
			err := f(tx)
			saving = err == nil
			return err
		}, options)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case conflict(err) && tries < 4:
			continue
		case conflict(err):
			return fmt.Errorf("%w: %w", errBusy, err)
		case !Unavailable(err):
			return err
		case saving && writes:
			return fmt.Errorf("%w: %w", errUnknown, err)
		}
		return fmt.Errorf("%w: %w", errAway, err)
	}
}

// outboxRow is a rule that waits to be published.
type outboxRow struct {
	Kind    string `gorm:"primaryKey"`
	RuleID  string `gorm:"primaryKey"`
	Version int64
	Held    bool
	Since   time.Time
}

func (outboxRow) TableName() string { return "outbox" }

// Enter puts versions of rules into the outbox in the transaction that makes them.
func (db *DB) enter(tx *gorm.DB, at time.Time, held bool, rules []outbox.Rule) error {
	rows := make([]outboxRow, len(rules))
	for i, r := range rules {
		rows[i] = outboxRow{string(r.Kind), r.ID, r.Version, held, at}
	}
	if len(rows) == 0 {
		return nil
	}
	// Since stays: a rule that is edited again does not lose its place.
	err := tx.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "kind"}, {Name: "rule_id"}},
		DoUpdates: clause.AssignmentColumns([]string{"version", "held"}),
	}).CreateInBatches(rows, chunk).Error
	if err != nil {
		return fmt.Errorf("entering %d rules into the outbox: %w", len(rows), err)
	}
	return nil
}

// Kinds are those of the sources.
func (db *DB) Kinds() []rulebook.Kind {
	kinds := make([]rulebook.Kind, len(db.sources))
	for i, s := range db.sources {
		kinds[i] = s.Kind()
	}
	return kinds
}

// Exclusively holds an advisory lock where the database has them. Of one DB one waits for it, with
// one connection: f needs others. A SQLite file belongs to one process.
func (db *DB) Exclusively(ctx context.Context, f func(context.Context) error) error {
	if db.dialect != postgres {
		return f(ctx)
	}
	select {
	case db.turn <- struct{}{}:
		defer func() { <-db.turn }()
	case <-ctx.Done():
		return fmt.Errorf("taking the publisher's lock: %w", context.Cause(ctx))
	}
	return exclusively(ctx, db.gorm, f)
}

// Waiting returns rules of the outbox as they stand.
func (db *DB) Waiting(ctx context.Context, limit int) ([]outbox.Rule, error) {
	// Most looks into the outbox find nothing; they take no transaction.
	var some int64
	if err := db.gorm.WithContext(ctx).Model(&outboxRow{}).Where("NOT held").Limit(1).Count(&some).Error; err != nil || some == 0 {
		return nil, err
	}
	var out []outbox.Rule
	err := db.run(ctx, false, db.dialect.queue(), func(tx *gorm.DB) error {
		var rows []outboxRow
		if err := db.dialect.skipping(tx).Where("NOT held").Order("since, kind, rule_id").Limit(limit).Find(&rows).Error; err != nil {
			return err
		}
		refs := make([]outbox.Ref, len(rows))
		for i, r := range rows {
			refs[i] = outbox.Ref{Kind: rulebook.Kind(r.Kind), ID: r.RuleID}
		}
		var err error
		out, err = db.current(tx, refs)
		return err
	})
	return out, err
}

// Backlog counts the rules in the outbox: those that wait, and those that are held until a person
// has looked.
func (db *DB) Backlog(ctx context.Context) (waiting, held int64, err error) {
	err = db.Read(ctx, func(tx *gorm.DB) error {
		if err := tx.Model(&outboxRow{}).Where("NOT held").Count(&waiting).Error; err != nil {
			return err
		}
		return tx.Model(&outboxRow{}).Where("held").Count(&held).Error
	})
	if err != nil {
		return 0, 0, fmt.Errorf("counting the outbox: %w", err)
	}
	return waiting, held, nil
}

// current returns rules as they stand, in the order of refs.
func (db *DB) current(tx *gorm.DB, refs []outbox.Ref) ([]outbox.Rule, error) {
	found := make(map[outbox.Ref]outbox.Rule, len(refs))
	for _, s := range db.sources {
		var ids []string
		for _, r := range refs {
			if r.Kind == s.Kind() {
				ids = append(ids, r.ID)
			}
		}
		for part := range slices.Chunk(ids, chunk) {
			rules, err := s.Current(tx, part)
			if err != nil {
				return nil, err
			}
			for _, r := range rules {
				found[r.Ref] = r
			}
		}
	}
	out := make([]outbox.Rule, 0, len(refs))
	for _, ref := range refs {
		r, ok := found[ref]
		if !ok {
			return nil, fmt.Errorf("the outbox names %s, which is not in the database", ref.Key())
		}
		out = append(out, r)
	}
	return out, nil
}

// State says where a rule stands.
func (db *DB) State(ctx context.Context, ref outbox.Ref) (outbox.State, error) {
	var rows []outboxRow
	err := db.gorm.WithContext(ctx).Where("kind = ? AND rule_id = ?", ref.Kind, ref.ID).Find(&rows).Error
	switch {
	case err != nil:
		return 0, fmt.Errorf("reading the outbox: %w", err)
	case len(rows) == 0:
		return outbox.Published, nil
	case rows[0].Held:
		return outbox.Held, nil
	}
	return outbox.Waits, nil
}

// waiting returns which of the ids are in the outbox.
func waiting(tx *gorm.DB, kind rulebook.Kind, ids []string) (map[string]bool, error) {
	out := map[string]bool{}
	for part := range slices.Chunk(ids, chunk) {
		var found []string
		err := tx.Model(&outboxRow{}).Where("kind = ? AND rule_id IN ?", kind, part).Pluck("rule_id", &found).Error
		if err != nil {
			return nil, fmt.Errorf("reading the outbox: %w", err)
		}
		for _, id := range found {
			out[id] = true
		}
	}
	return out, nil
}

// Done takes rules out of the outbox unless they have changed since.
func (db *DB) Done(ctx context.Context, rules []outbox.Rule) error {
	if len(rules) == 0 {
		return nil
	}
	return db.Change(ctx, func(tx *gorm.DB, _ time.Time) error {
		for _, r := range rules {
			if err := db.dialect.done(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// Enter puts rules into the outbox as they stand.
func (db *DB) Enter(ctx context.Context, refs []outbox.Ref) error {
	return db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		rules, err := db.current(db.dialect.locking(tx), refs)
		if err != nil {
			return err
		}
		return db.enter(tx, at, false, rules)
	})
}

// Hold sets rules aside that still stand at their versions.
func (db *DB) Hold(ctx context.Context, rules []outbox.Rule) ([]outbox.Rule, error) {
	refs := make([]outbox.Ref, len(rules))
	for i, r := range rules {
		refs[i] = r.Ref
	}
	var held []outbox.Rule
	err := db.Change(ctx, func(tx *gorm.DB, at time.Time) error {
		held = nil
		now, err := db.current(db.dialect.locking(tx), refs)
		if err != nil {
			return err
		}
		for i, r := range now {
			if r.Version == rules[i].Version {
				held = append(held, r)
			}
		}
		return db.enter(tx, at, true, held)
	})
	return held, err
}

// Current returns rules as they stand.
func (db *DB) Current(ctx context.Context, refs []outbox.Ref) (out []outbox.Rule, err error) {
	err = db.Read(ctx, func(tx *gorm.DB) error {
		out, err = db.current(tx, refs)
		return err
	})
	return out, err
}

// Versions returns rules without their data, by kind and id.
func (db *DB) Versions(ctx context.Context, after outbox.Ref, limit int) ([]outbox.Rule, error) {
	var out []outbox.Rule
	for _, s := range db.sources {
		from := ""
		switch {
		case s.Kind() < after.Kind || len(out) == limit:
			continue
		case s.Kind() == after.Kind:
			from = after.ID
		}
		rules, err := s.Versions(db.gorm.WithContext(ctx), from, limit-len(out))
		if err != nil {
			return nil, err
		}
		out = append(out, rules...)
	}
	return out, nil
}
