// Package rewarddb is what the reward store in Cassandra is to both of its services, to the
// rewarder that writes it and to informer that reads it: how a session is opened, what the tables
// are called, and which columns a reward has. The statements are the services' own.
package rewarddb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"
)

// Config says where the store is and who asks. The zero value of every field but Hosts and
// Keyspace is its default.
type Config struct {
	Hosts    []string // of some nodes, each a host or host:port; the others are found
	Port     int      // of those without one, and of all nodes that are found; default 9042
	Keyspace string   // the operator makes it, with the replication that the bank wants
	Table    string   // of the rewards, default "rewards"; its index by day is Table + "_by_day"

	Username string // "": none is asked for
	Password string

	TLS    bool   // the nodes' certificates must be valid for their addresses
	CAFile string // PEM of who signed them; "": the system's

	// LocalDC is the data centre whose nodes are asked, and no other's. It may be "" where there
	// is one alone. All rewarders and informers name the same: what one writes at LOCAL_QUORUM
	// the others see there.
	LocalDC string

	ConnectTimeout time.Duration // default 5 s
	Timeout        time.Duration // of one request; default 6 s, longer than Cassandra's own
	Connections    int           // to each node; default 2

	// Dial connects to a node; nil: net.Dialer does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// WithDefaults is c with what is not set.
func (c Config) WithDefaults() Config {
	def(&c.Port, 9042)
	def(&c.Table, "rewards")
	def(&c.ConnectTimeout, 5*time.Second)
	def(&c.Timeout, 6*time.Second)
	def(&c.Connections, 2)
	return c
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Rewards is the table of rewards, ByDay its index.
func (c Config) Rewards() string { return c.WithDefaults().Table }

// ByDay is the index of rewards by the bank's day of their records.
func (c Config) ByDay() string { return c.WithDefaults().Table + bySuffix }

const bySuffix = "_by_day"

// maxName is the most characters that Cassandra's names have.
const maxName = 48

// A name that is not quoted is read in lower case, so there is one way to write it.
var name = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// Validate says what is wrong, all of it at once.
func (c Config) Validate() error {
	c = c.WithDefaults()
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(len(c.Hosts) > 0, "no Cassandra host is given")
	for _, h := range c.Hosts {
		need(strings.TrimSpace(h) != "" && !strings.ContainsAny(h, " ,/"), "%q is not a Cassandra host", h)
	}
	need(c.Port > 0 && c.Port < 1<<16, "%d is not a port", c.Port)
	need(name.MatchString(c.Keyspace) && len(c.Keyspace) <= maxName,
		"%q is not a keyspace: a name has lower-case letters, digits and _, %d at most", c.Keyspace, maxName)
	need(name.MatchString(c.Table) && len(c.Table)+len(bySuffix) <= maxName,
		"%q is not a table: a name has lower-case letters, digits and _, %d at most", c.Table, maxName-len(bySuffix))
	need((c.Username == "") == (c.Password == ""), "a user name and a password go together")
	need(c.CAFile == "" || c.TLS, "a file of certificates is given, but TLS is off")
	need(c.ConnectTimeout > 0 && c.Timeout > 0, "a time is below 0")
	need(c.Connections > 0, "%d connections to a node: must be 1 at least", c.Connections)
	return errors.Join(errs...)
}
