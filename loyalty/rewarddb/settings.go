package rewarddb

import (
	"errors"
	"os"

	"github.com/angelowl-loyalties/app/loyalty/config"
)

// Settings say where the store is, as a deployment sets it.
type Settings struct {
	Hosts    []string      `env:"DB_CONN_STRING" help:"some of Cassandra's nodes, host or host:port, several with commas between; the others are found"`
	Port     config.Port   `env:"DB_PORT" default:"9042" help:"the port of nodes that are named without one, and of those that are found"`
	User     string        `env:"DB_USER,optional" help:"Cassandra's user, where it asks for one"`
	Password config.Secret `env:"DB_PASS,optional" help:"the user's password"`
	TLS      bool          `env:"DB_SSL" default:"false" help:"whether connections to Cassandra are encrypted; its certificates must be valid for the nodes' addresses"`
	CAFile   string        `env:"DB_CA_FILE,optional" help:"PEM file of the authorities that they are checked against; default: the machine's"`
	Keyspace string        `env:"DB_KEYSPACE" help:"the keyspace; whoever runs Cassandra makes it, with the replication that the bank wants"`
	Table    string        `env:"DB_TABLE" default:"rewards" help:"the table of rewards; its index by day is named after it"`
	LocalDC  string        `env:"DB_LOCAL_DC,optional" help:"the data centre to use, the same for all instances; needed where there are several"`
}

// Config is what Open takes.
func (s *Settings) Config() Config {
	return Config{
		Hosts: s.Hosts, Port: int(s.Port), Keyspace: s.Keyspace, Table: s.Table, Username: s.User, Password: s.Password.Reveal(),
		TLS: s.TLS, CAFile: s.CAFile, LocalDC: s.LocalDC,
	}
}

// Check is config.Checker's.
func (s *Settings) Check() []config.Problem {
	var out []config.Problem
	hosts, keyspace := []string{"host"}, "keyspace"
	for _, one := range []struct {
		name string
		of   Config // nothing but that
	}{
		{"DB_CONN_STRING", Config{Hosts: s.Hosts, Keyspace: keyspace}},
		{"DB_KEYSPACE", Config{Hosts: hosts, Keyspace: s.Keyspace}},
		{"DB_TABLE", Config{Hosts: hosts, Keyspace: keyspace, Table: s.Table}},
		{"DB_USER", Config{Hosts: hosts, Keyspace: keyspace, Username: s.User, Password: s.Password.Reveal()}},
		{"DB_SSL", Config{Hosts: hosts, Keyspace: keyspace, TLS: s.TLS, CAFile: s.CAFile}},
	} {
		if err := one.of.Validate(); err != nil {
			out = append(out, config.Problem{Name: one.name, Reason: "cannot be used: " + err.Error()})
		}
	}
	if s.CAFile != "" {
		if _, err := os.ReadFile(s.CAFile); err != nil {
			out = append(out, config.Problem{Name: "DB_CA_FILE", Reason: "cannot be read: " + err.Error()})
		}
	}
	return out
}

// refused is an error of opening a store that does not pass by itself.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// Refused marks an error of opening the store as one that does not pass by itself: the store, or
// who set it up, has to be asked.
func Refused(err error) error { return refused{err} }

// MayPass says whether opening the store may succeed later. The driver tells most of what goes
// wrong then in words alone, so everything may pass that is not known to stay.
func MayPass(err error) bool {
	var stays refused
	return !errors.As(err, &stays)
}
