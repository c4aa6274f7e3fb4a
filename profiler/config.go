package profiler

import (
	"errors"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/outbox"
)

// Config says how the service behaves. Begin with DefaultConfig.
type Config struct {
	PublishWait time.Duration // how long the answer to a change may wait for its publication
	Outbox      outbox.Config
	Portal      string        // the origin of the portal, whose scripts may read answers; "" is none
	Settle      time.Duration // how long /health fails before the listener closes
	Drain       time.Duration // how long requests in flight may take after that
}

// DefaultConfig is what suits most.
func DefaultConfig() Config {
	return Config{PublishWait: 250 * time.Millisecond, Outbox: outbox.DefaultConfig(), Drain: 10 * time.Second}
}

// Validate says everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	if c.PublishWait < 0 || c.Settle < 0 || c.Drain < 0 {
		errs = append(errs, errors.New("a wait is below 0"))
	}
	return errors.Join(append(errs, c.Outbox.Validate())...)
}
