package ruledb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/outbox"
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

// queue is a transaction that takes rules out of the outbox. Its reads lock, so it may write.
func (d dialect) queue() *sql.TxOptions {
	if d == postgres {
		return &sql.TxOptions{Isolation: sql.LevelRepeatableRead}
	}
	return d.snapshot()
}

// skipping passes over rows that somebody is changing: they enter the outbox anew when that is
// done, and nobody should wait for a transaction of whatever length.
func (d dialect) skipping(tx *gorm.DB) *gorm.DB {
	if d == postgres {
		return tx.Clauses(clause.Locking{Strength: "UPDATE", Options: "SKIP LOCKED"})
	}
	return tx
}

// done takes a version of a rule out of the outbox, unless somebody is changing the rule.
func (d dialect) done(tx *gorm.DB, r outbox.Rule) error {
	tx = tx.Where("kind = ? AND rule_id = ? AND version <= ?", r.Kind, r.ID, r.Version)
	if d == postgres {
		// (a FOR UPDATE of its own, because DELETE has no SKIP LOCKED)
		free := d.skipping(tx.Session(&gorm.Session{}).Model(&outboxRow{}).Select("rule_id"))
		tx = tx.Session(&gorm.Session{}).Where("rule_id IN (?)", free)
	}
	return tx.Delete(&outboxRow{}).Error
}

// patience is how long a transaction may take: what the server's own timeouts do not end is a
// connection that hangs, and nobody may wait for one for ever.
const patience = time.Minute

// bounded ends a transaction that takes too long. SQLite waits for nobody but its own busy timeout.
func (d dialect) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if d == postgres {
		return context.WithTimeout(ctx, patience)
	}
	return ctx, func() {}
}

// state is the SQLSTATE of an error (PostgreSQL's manual, appendix A), or "".
func state(err error) string {
	var e interface{ SQLState() string }
	if errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}

const insufficientPrivilege = "42501"

// conflict says whether a transaction failed only because of what others did at the same time. It
// has changed nothing and may be run again.
func conflict(err error) bool {
	switch state(err) {
	case "40001", // serialization failure
		"40P01", // deadlock
		"23505", // somebody else was first with a key; who comes second then sees it
		"0A000": // a cached plan is of before a migration
		return true
	}
	return errors.Is(err, errRace)
}

// Unavailable says whether err is about the way to the database, or about its being away, full or
// too busy, and not about what was asked of it: the same may succeed later.
func Unavailable(err error) bool {
	if s := state(err); s != "" {
		return strings.HasPrefix(s, "08") || // connection
			strings.HasPrefix(s, "53") || // resources
			strings.HasPrefix(s, "57") || // stopped, starting up, or the statement's time was over
			strings.HasPrefix(s, "58") || // the system below it
			s == "25006" || // it became a standby
			s == "55P03" // a lock was not to be had in time
	}
	var network net.Error
	var closed interface{ SafeToRetry() bool } // the driver's, of a connection that is closed
	return errors.As(err, &network) || errors.As(err, &closed) && closed.SafeToRetry() ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded)
}

// locking makes reads lock their rows until the transaction ends. SQLite's transactions that may
// write begin with the lock of the whole database (_txlock=immediate).
func (d dialect) locking(tx *gorm.DB) *gorm.DB {
	if d == postgres {
		return tx.Clauses(clause.Locking{Strength: "UPDATE"}).Session(&gorm.Session{})
	}
	return tx
}

// exclusively runs f under PostgreSQL's lock of the publisher.
func exclusively(ctx context.Context, db *gorm.DB, f func(context.Context) error) error {
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
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if _, err := conn.ExecContext(last, "SELECT pg_advisory_unlock($1)", publisherLock); err != nil {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
	}()
	return f(ctx)
}

// lockMigrations keeps other instances from migrating until the transaction ends. What they do may
// take longer than a statement of the service may.
func (d dialect) lockMigrations(tx *gorm.DB) error {
	if d != postgres {
		return nil
	}
	if err := tx.Exec("SET LOCAL statement_timeout = 0").Error; err != nil {
		return err
	}
	return tx.Exec("SELECT pg_advisory_xact_lock(?)", migrationLock).Error
}

// hasTable sees tables too on which the user has no rights.
func (d dialect) hasTable(tx *gorm.DB, name string) (there bool, err error) {
	if d != postgres {
		return tx.Migrator().HasTable(name), nil
	}
	err = tx.Raw("SELECT to_regclass(?) IS NOT NULL", name).Scan(&there).Error
	return there, err
}

var createdTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

// checkRights says which rights the database's user lacks on the tables that migrations made, so
// that it is not the first change of a rule that finds out.
func (d dialect) checkRights(tx *gorm.DB, ddls []string) error {
	if d != postgres {
		return nil
	}
	var lacks []string
	for _, m := range createdTable.FindAllStringSubmatch(strings.Join(ddls, "\n"), -1) {
		rights := []string{"SELECT", "INSERT", "UPDATE"}
		switch {
		case strings.HasSuffix(m[1], "_versions"): // history is never changed
			rights = rights[:2]
		case m[1] == (outboxRow{}).TableName():
			rights = append(rights, "DELETE")
		}
		for _, right := range rights {
			var has bool
			if err := tx.Raw("SELECT has_table_privilege(?, ?)", m[1], right).Scan(&has).Error; err != nil {
				return err
			}
			if !has {
				lacks = append(lacks, right+" on "+m[1])
			}
		}
	}
	if len(lacks) > 0 {
		return fmt.Errorf("the database's user lacks rights: %s; let the owner of the tables GRANT them", strings.Join(lacks, ", "))
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
