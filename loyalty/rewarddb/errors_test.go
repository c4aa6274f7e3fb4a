package rewarddb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// said is an error that Cassandra answers; the driver's own have no fields to set.
type said struct {
	code    int
	message string
}

func (e said) Code() int       { return e.code }
func (e said) Message() string { return e.message }
func (e said) Error() string   { return e.message }

// TestErrors has what Cassandra 5.0.9 says, word for word, and what it means here.
func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name                       string
		err                        error
		tooLarge, missing, passing bool
	}{
		{"a mutation over max_mutation_size", said{gocql.ErrCodeInvalid, "Rejected an oversized mutation (71739/65536) for keyspace: spike. Top keys are: t.x"}, true, false, false},
		{"the same of 4.0", said{gocql.ErrCodeInvalid, "Mutation of 17.0MiB is too large for the maximum size of 16.0MiB"}, true, false, false},
		{"a message over native_transport_max_message_size", said{gocql.ErrCodeInvalid, "CQL Message of size 8388680 bytes exceeds allowed maximum of 8388608 bytes"}, true, false, false},
		{"a batch over batch_size_fail_threshold", said{gocql.ErrCodeInvalid, "Batch too large"}, true, false, false},
		{"a table that is not there", said{gocql.ErrCodeInvalid, "table nope does not exist"}, false, true, false},
		{"the same of 3.11", said{gocql.ErrCodeInvalid, "unconfigured table nope"}, false, true, false},
		{"a keyspace that is not there", said{gocql.ErrCodeInvalid, "keyspace nokeyspace does not exist"}, false, true, false},
		{"a column that is not there", said{gocql.ErrCodeInvalid, "Undefined column name nope in table spike.t"}, false, false, false},
		{"no permission", &gocql.RequestErrUnauthorized{}, false, false, false},
		{"too few replicas", said{gocql.ErrCodeUnavailable, "Cannot achieve consistency level LOCAL_QUORUM"}, false, false, true},
		{"a write that timed out", said{gocql.ErrCodeWriteTimeout, "Operation timed out"}, false, false, true},
		{"a read that timed out", said{gocql.ErrCodeReadTimeout, "Operation timed out"}, false, false, true},
		{"a conditional write that nobody knows of", said{gocql.ErrCodeCASWriteUnknown, "CAS operation result is unknown"}, false, false, true},
		{"a node that is overloaded", said{gocql.ErrCodeOverloaded, "Request dropped"}, false, false, true},
		{"a replica that failed", said{gocql.ErrCodeWriteFailure, "Operation failed"}, false, false, false},
		{"no answer", gocql.ErrTimeoutNoResponse, false, false, true},
		{"no node", gocql.ErrNoConnections, false, false, true},
		{"a connection that ended", fmt.Errorf("x: %w", io.EOF), false, false, true},
		{"a context that ended", context.Canceled, false, false, false},
		{"a time that is up", context.DeadlineExceeded, false, false, false},
		{"a session that was closed", gocql.ErrSessionClosed, false, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, err := range []error{tt.err, fmt.Errorf("while: %w", tt.err), Wrap("doing", tt.err)} {
				if TooLarge(err) != tt.tooLarge || Missing(err) != tt.missing || Passing(err) != tt.passing {
					t.Errorf("%v: too large %t, missing %t, passing %t", err, TooLarge(err), Missing(err), Passing(err))
				}
			}
			if got := Wrap("doing", tt.err); !errors.Is(got, tt.err) || !strings.HasPrefix(got.Error(), "doing: ") || errors.Is(got, ErrSchema) != tt.missing {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestRetry(t *testing.T) {
	final := errors.New("final")
	for _, tt := range []struct {
		name  string
		errs  []error // of the calls, one after another
		calls int
		want  error
	}{
		{"at once", []error{nil}, 1, nil},
		{"what passes is tried again", []error{gocql.ErrTimeoutNoResponse, nil}, 2, nil},
		{"what does not is not", []error{final, nil}, 1, final},
		{"nor is it after what passed", []error{gocql.ErrTimeoutNoResponse, final}, 2, final},
		{"not for ever", []error{gocql.ErrNoConnections, gocql.ErrNoConnections, gocql.ErrNoConnections, nil}, 3, gocql.ErrNoConnections},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls := 0
			err := Retry(t.Context(), func() error { calls++; return tt.errs[calls-1] })
			if calls != tt.calls || err != tt.want {
				t.Errorf("%d calls, %v", calls, err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := Retry(ctx, func() error { calls++; cancel(); return gocql.ErrTimeoutNoResponse })
	if calls != 1 || err != gocql.ErrTimeoutNoResponse {
		t.Errorf("with a context that ended: %d calls, %v", calls, err)
	}
}

func TestValidate(t *testing.T) {
	good := Config{Hosts: []string{"10.0.0.1", "cassandra:9142"}, Keyspace: "angelowl"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, edit := range map[string]func(*Config){
		"no host":                   func(c *Config) { c.Hosts = nil },
		"a blank host":              func(c *Config) { c.Hosts = []string{""} },
		"hosts in one":              func(c *Config) { c.Hosts = []string{"a,b"} },
		"an address":                func(c *Config) { c.Hosts = []string{"http://a"} },
		"a port of 17 bits":         func(c *Config) { c.Port = 1 << 16 },
		"no keyspace":               func(c *Config) { c.Keyspace = "" },
		"a keyspace with a quote":   func(c *Config) { c.Keyspace = `a"b` },
		"a keyspace in upper case":  func(c *Config) { c.Keyspace = "Bank" },
		"a long keyspace":           func(c *Config) { c.Keyspace = strings.Repeat("a", 49) },
		"a table with a keyspace":   func(c *Config) { c.Table = "a.b" },
		"a table without an index":  func(c *Config) { c.Table = strings.Repeat("a", 42) },
		"a user without a password": func(c *Config) { c.Username = "bank" },
		"a password without a user": func(c *Config) { c.Password = "x" },
		"certificates without TLS":  func(c *Config) { c.CAFile = "ca.pem" },
		"a time below 0":            func(c *Config) { c.Timeout = -time.Second },
		"connections below 0":       func(c *Config) { c.Connections = -1 },
	} {
		c := good
		edit(&c)
		if c.Validate() == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if c := (Config{Table: "spend"}); c.Rewards() != "spend" || c.ByDay() != "spend_by_day" {
		t.Errorf("the tables are %s and %s", c.Rewards(), c.ByDay())
	}
}
