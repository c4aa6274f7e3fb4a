package rewarder

import (
	"errors"
	"fmt"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/record"
)

// Config is what a deployment sets. The zero value of every field but the first four is its
// default.
type Config struct {
	Brokers []string
	Group   string // the consumer group, shared by all rewarders
	Name    string // of this rewarder, for people: it stands in the status
	Home    loyalty.Currency

	Topic      string // default record.Topic; its dead letters go to Topic + ".dlq", its rule sets to Topic + ".rules"
	InstanceID string // of a static member of the group; "": a dynamic one

	BatchRows       int // most rows of one write; default 500
	BatchesInFlight int // writes at once of one partition; default 6
	RuleSets        int // compiled rule sets that are kept; default 16

	StoreTimeout   time.Duration // of one call of the store; default 10 s
	DrainTimeout   time.Duration // for writes under way when a partition is given back; default 10 s
	RetryMin       time.Duration // first pause after an error of the system; default 50 ms
	RetryMax       time.Duration // longest pause; default 5 s
	CommitInterval time.Duration // default 500 ms
	SessionTimeout time.Duration // how long the group waits for a member that is silent; default 10 s
	CheckEvery     time.Duration // how often the topic's id and etcd are looked at; default 10 s
	LeaseTTL       time.Duration // of the status keys; default 10 s
}

func (c *Config) setDefaults() {
	def(&c.Topic, record.Topic)
	def(&c.BatchRows, 500)
	def(&c.BatchesInFlight, 6)
	def(&c.RuleSets, 16)
	def(&c.StoreTimeout, 10*time.Second)
	def(&c.DrainTimeout, 10*time.Second)
	def(&c.RetryMin, 50*time.Millisecond)
	def(&c.RetryMax, 5*time.Second)
	def(&c.CommitInterval, 500*time.Millisecond)
	def(&c.SessionTimeout, 10*time.Second)
	def(&c.CheckEvery, 10*time.Second)
	def(&c.LeaseTTL, 10*time.Second)
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate says what is wrong, all of it at once.
func (c Config) Validate() error {
	c.setDefaults()
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(len(c.Brokers) > 0, "no Kafka broker is given")
	need(c.Group != "", "the consumer group has no name")
	need(c.Name != "", "the rewarder has no name")
	need(c.Home != 0, "no home currency is given")
	need(c.BatchRows > 0 && c.BatchRows <= 10_000, "%d rows a write: must be 1 to 10000", c.BatchRows)
	need(c.BatchesInFlight > 0 && c.BatchesInFlight <= 64, "%d writes at once: must be 1 to 64", c.BatchesInFlight)
	need(c.RuleSets >= 2, "%d compiled rule sets: must be 2 at least", c.RuleSets)
	need(c.StoreTimeout > 0 && c.DrainTimeout > 0 && c.CommitInterval > 0 && c.CheckEvery > 0, "a time is below 0")
	need(c.RetryMin > 0 && c.RetryMax >= c.RetryMin, "pauses of %s to %s do not go together", c.RetryMin, c.RetryMax)
	need(c.DrainTimeout < 50*time.Second, "a drain of %s: must be below 50 s, the group waits 60 s for a member", c.DrainTimeout)
	need(c.SessionTimeout >= 6*time.Second, "a session of %s: must be 6 s at least, as brokers ask", c.SessionTimeout)
	need(c.LeaseTTL >= 2*time.Second, "a lease of %s: must be 2 s at least", c.LeaseTTL)
	return errors.Join(errs...)
}
