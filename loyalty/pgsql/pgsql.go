// Package pgsql opens PostgreSQL.
package pgsql

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/angelowl-loyalties/app/loyalty/config"
)

// Settings say where the database is, how to sign in and how much of it to use.
type Settings struct {
	DSN       config.Secret `env:"DB_CONN_STRING" help:"PostgreSQL's database: postgres://host:5432/database?sslmode=verify-full&sslrootcert=FILE, or the same in words, host=… dbname=…"`
	User      string        `env:"DB_USER,optional" help:"the database's user, in place of the one in DB_CONN_STRING"`
	Password  config.Secret `env:"DB_PASS,optional" help:"the user's password, in place of the one in DB_CONN_STRING"`
	Conns     int           `env:"DB_MAX_CONNS" default:"10" min:"3" max:"1000" help:"most connections of one instance; one is the publisher's"`
	Statement time.Duration `env:"DB_STATEMENT_TIMEOUT" default:"30s" min:"1s" max:"1h" help:"how long one statement may take; a migration may take longer"`

	conn *pgx.ConnConfig
}

// Check reads the connection string, without connecting.
func (s *Settings) Check() []config.Problem {
	conn, err := pgx.ParseConfig(s.DSN.Reveal())
	if err != nil { // which would show parts of the string
		return []config.Problem{{Name: "DB_CONN_STRING", Reason: "is not a connection string of PostgreSQL with parameters that it knows, such as postgres://host:5432/database?sslmode=verify-full"}}
	}
	if s.User != "" {
		conn.User = s.User
	}
	if s.Password.Reveal() != "" {
		conn.Password = s.Password.Reveal()
	}
	if conn.Database == "" {
		return []config.Problem{{Name: "DB_CONN_STRING", Reason: "names no database: postgres://host:5432/database"}}
	}
	s.conn = conn
	return nil
}

// ParseDSN returns settings as they would be with this connection string alone, or a
// config.Problems.
func ParseDSN(dsn string) (*Settings, error) {
	s := &Settings{DSN: config.NewSecret(dsn), Conns: 10, Statement: 30 * time.Second}
	if problems := s.Check(); problems != nil {
		return nil, config.Problems(problems)
	}
	return s, nil
}

// Open returns the database after Check, with a pool of connections that show themselves under
// name. It connects when it is first used. Close it by the *sql.DB that its DB method returns.
//
// The session's time zone is UTC; a transaction that idles for a minute is ended by the server,
// so that an instance that hangs holds no locks. A connection is closed after half an hour, so
// that connections find their way back after a failover.
func (s *Settings) Open(name string) (*gorm.DB, error) {
	conn := s.conn.Copy()
	params := conn.RuntimeParams
	params["application_name"] = name
	params["timezone"] = "UTC"
	params["statement_timeout"] = strconv.FormatInt(s.Statement.Milliseconds(), 10)
	params["idle_in_transaction_session_timeout"] = strconv.FormatInt(time.Minute.Milliseconds(), 10)
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = 5 * time.Second
	}
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	conn.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, conn.ConnectTimeout)
		defer cancel()
		return dialer.DialContext(ctx, network, address)
	}
	pool := stdlib.OpenDB(*conn)
	pool.SetMaxOpenConns(s.Conns)
	pool.SetMaxIdleConns(s.Conns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	pool.SetConnMaxLifetime(30 * time.Minute)
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), &gorm.Config{
		DisableAutomaticPing:   true,
		Logger:                 logger.Discard, // errors are returned; its lines would show what people wrote
		SkipDefaultTransaction: true,           // transactions are where the code says so
		NowFunc:                func() time.Time { return time.Now().UTC() },
	})
	if err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("opening PostgreSQL: %w", err)
	}
	return db, nil
}
