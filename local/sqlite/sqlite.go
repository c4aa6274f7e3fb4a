// Package sqlite opens the database file that stands in for PostgreSQL when everything runs in one
// process.
package sqlite

import (
	"fmt"
	"net/url"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Option is one of Open's.
type Option func(url.Values)

// NoSync has nothing wait for the disk: a database that nobody needs after the process.
func NoSync(v url.Values) { v.Add("_pragma", "synchronous(OFF)") }

// Open opens or makes the file at path. Close it by the *sql.DB that its DB method returns.
func Open(path string, more ...Option) (*gorm.DB, error) {
	options := url.Values{
		// A transaction that may write takes the writer's lock when it begins. One that began to
		// read and then wants to write could not wait for it, and would fail.
		"_txlock": {"immediate"},
		"_pragma": {
			"busy_timeout(10000)",
			"journal_mode(WAL)", // readers and the writer do not wait for one another
			"synchronous(FULL)", // a change that was answered survives the loss of power, as in PostgreSQL
			"foreign_keys(ON)",
		},
	}
	for _, o := range more {
		o(options)
	}
	db, err := gorm.Open(sqlite.Open("file:"+(&url.URL{Path: path}).EscapedPath()+"?"+options.Encode()), &gorm.Config{
		Logger:                 logger.Discard, // errors are returned; its lines would show what people wrote
		SkipDefaultTransaction: true,           // transactions are where the code says so
		NowFunc:                func() time.Time { return time.Now().UTC() },
	})
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	return db, nil
}
