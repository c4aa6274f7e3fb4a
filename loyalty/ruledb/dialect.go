package ruledb

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// dialect is all that differs between databases.
type dialect string

const (
	postgres dialect = "postgres"
	sqlite   dialect = "sqlite"
)

func dialectOf(db *gorm.DB) (dialect, error) {
	switch d := dialect(db.Name()); d {
	case postgres, sqlite:
		return d, nil
	default:
		return "", fmt.Errorf("rules cannot be kept in %q, only in postgres and sqlite", d)
	}
}

// The advisory locks; the numbers only have to differ from those of other programs.
const (
	publisherLock = 0x616e6702
	migrationLock = 0x616e6701
)

// snapshot is a transaction that reads the database as it is at one moment. In SQLite's journal
// mode WAL every transaction does, and one that only reads must not take the lock of a writer.
func (d dialect) snapshot() *sql.TxOptions {
	if d == postgres {
		return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	return &sql.TxOptions{ReadOnly: true}
}

// locking makes reads lock their rows until the transaction ends. SQLite's transactions that may
// write begin with the lock of the whole database (_txlock=immediate).
func (d dialect) locking(tx *gorm.DB) *gorm.DB {
	if d == postgres {
		return tx.Clauses(clause.Locking{Strength: "UPDATE"}).Session(&gorm.Session{})
	}
	return tx
}

// exclusively runs f under the publisher's lock. A SQLite file belongs to one process.
func (d dialect) exclusively(ctx context.Context, db *gorm.DB, f func(context.Context) error) error {
	if d != postgres {
		return f(ctx)
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("taking the publisher's lock: %w", err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", publisherLock); err != nil {
		return fmt.Errorf("taking the publisher's lock: %w", err)
	}
	defer func() {
		// The lock is the session's: if it cannot be given back, the session must end.
		if _, err := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", publisherLock); err != nil {
			_ = conn.Raw(func(any) error { return sql.ErrConnDone })
		}
	}()
	return f(ctx)
}

// lockMigrations keeps other instances from migrating until the transaction ends.
func (d dialect) lockMigrations(tx *gorm.DB) error {
	if d == postgres {
		return tx.Exec("SELECT pg_advisory_xact_lock(?)", migrationLock).Error
	}
	return nil
}

var postgresTypes = regexp.MustCompile(`\b(TIMESTAMPTZ|UUID|JSON)\b`)

// schema adapts the SQL of a migration, which is PostgreSQL's. SQLite takes any name for a type,
// but what it does with values depends on it.
func (d dialect) schema(ddl string) string {
	if d == postgres {
		return ddl
	}
	return postgresTypes.ReplaceAllStringFunc(ddl, func(name string) string {
		if name == "TIMESTAMPTZ" {
			return "DATETIME"
		}
		return "TEXT"
	})
}
