package pgsql

import (
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/config"
)

func TestParseDSN(t *testing.T) {
	for dsn, want := range map[string]string{
		"postgres://u:hush@h:5432/d?sslmode=disable": "",
		"host=h user=u dbname=d sslmode=disable":     "",
		"postgres://u:hush@h:5432?sslmode=disable":   "names no database",
		"postgres://u:hush@h:port/d":                 "is not a connection string",
		"postgres://u:hush@h/d?sslmode=hush":         "is not a connection string",
		"hush":                                       "is not a connection string",
	} {
		_, err := ParseDSN(dsn)
		if (err == nil) != (want == "") || err != nil && (!strings.HasPrefix(err.Error(), "DB_CONN_STRING "+want) || strings.Contains(err.Error(), "hush")) {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

func TestUserAndPasswordStandInPlaceOfTheStrings(t *testing.T) {
	s := Settings{DSN: config.NewSecret("postgres://u:p@h/d"), User: "owl", Password: config.NewSecret("hush")}
	if problems := s.Check(); problems != nil {
		t.Fatal(problems)
	}
	if s.conn.User != "owl" || s.conn.Password != "hush" || s.conn.Host != "h" {
		t.Errorf("%s@%s", s.conn.User, s.conn.Host)
	}
}
