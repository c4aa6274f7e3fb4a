package ruledb

import (
	"context"
	_ "embed" // the outbox's schema
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
)

//go:embed outbox.sql
var outboxSchema string

// Additive ends the names of migrations beside which a program that does not know them can work: what
// they add may be left out by whoever writes, and nothing that was there changes. So a deployment can
// go back behind them.
const Additive = "_additive.sql"

type migrationRow struct {
	Name      string `gorm:"primaryKey"`
	AppliedAt time.Time
}

func (migrationRow) TableName() string { return "schema_migrations" }

// ErrBehind says that migrations are missing, which whoever migrates has to bring.
var ErrBehind = errors.New("the database's schema is not of this release yet; the program's command migrate brings it up to date")

// MayPass says whether opening the database may succeed later: where it is Unavailable, or where
// its schema waits for somebody else.
func MayPass(err error) bool { return Unavailable(err) || errors.Is(err, ErrBehind) }

// Migrated looks whether Migrate would have nothing to do, and changes nothing: ErrBehind where
// migrations are missing. It refuses what Migrate refuses.
func Migrated(ctx context.Context, db *gorm.DB, files fs.FS) error {
	if err := bring(ctx, db, files, nil); err != nil {
		return fmt.Errorf("looking at the database's schema: %w", err)
	}
	return nil
}

// Migrate brings the schema up to date: the outbox's, then the .sql files of files in the order of
// their names, each once, all in one transaction. Instances that start together may all call it.
// A database that has migrations which this program does not know is refused: an older program must
// not write to it, unless all of them say by their names that it may (Additive). So is one whose user may not do what the program does; only a user with the
// right to create tables can bring a schema up to date, another one can use it.
func Migrate(ctx context.Context, db *gorm.DB, files fs.FS, clock func() time.Time) error {
	err := bring(ctx, db, files, clock)
	if state(err) == insufficientPrivilege {
		return fmt.Errorf("migrating the database: its user may not bring the schema up to date; GRANT it CREATE on the schema and make it the owner of the tables, or do this once with a user that is: %w", err)
	}
	if err != nil {
		return fmt.Errorf("migrating the database: %w", err)
	}
	return nil
}

// bring is Migrate, or, without a clock, Migrated.
func bring(ctx context.Context, db *gorm.DB, files fs.FS, clock func() time.Time) error {
	d, err := dialectOf(db)
	if err != nil {
		return err
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return fmt.Errorf("listing migrations: %w", err)
	}
	slices.Sort(names)
	return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if clock != nil {
			if err := d.lockMigrations(tx); err != nil {
				return err
			}
		}
		// Not IF NOT EXISTS: that needs the right to create tables even where there is nothing to do.
		if there, err := d.hasTable(tx, migrationRow{}.TableName()); err != nil {
			return err
		} else if !there {
			if clock == nil {
				return ErrBehind
			}
			if err := tx.Exec(d.schema("CREATE TABLE schema_migrations (name TEXT PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL)")).Error; err != nil {
				return err
			}
		}
		var applied []string
		if err := tx.Model(&migrationRow{}).Order("name").Pluck("name", &applied).Error; err != nil {
			return err
		}
		var ddls []string
		apply := func(name, ddl string) error {
			ddls = append(ddls, ddl)
			if slices.Contains(applied, name) {
				return nil
			}
			if clock == nil {
				return fmt.Errorf("%w (it lacks %s)", ErrBehind, name)
			}
			for _, statement := range strings.Split(d.schema(ddl), ";\n") {
				if strings.TrimSpace(statement) == "" {
					continue
				}
				if err := tx.Exec(statement).Error; err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			return tx.Create(&migrationRow{name, clock().UTC()}).Error
		}
		known := append([]string{"0000_outbox.sql"}, names...)
		for _, name := range applied {
			if !slices.Contains(known, name) && !strings.HasSuffix(name, Additive) {
				return fmt.Errorf("the database has been through %s, which this program does not know; it needs a newer program", name)
			}
		}
		if err := apply(known[0], outboxSchema); err != nil {
			return err
		}
		for _, name := range names {
			ddl, err := fs.ReadFile(files, name)
			if err != nil {
				return err
			}
			if err := apply(name, string(ddl)); err != nil {
				return err
			}
		}
		return d.checkRights(tx, ddls)
	})
}
