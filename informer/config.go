package informer

import (
	"errors"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
)

// Config says how the service behaves.
type Config struct {
	Home     loyalty.Currency // the bank's currency, in which a summary adds spend up
	Timezone *time.Location   // the bank's: today is the day there
	Portal   string           // the origin of the portal, whose scripts may read answers; "" is none
	Settle   time.Duration    // how long /health fails before the listeners close
	Drain    time.Duration    // how long requests in flight may take after that; 0: 10 s
}

func (c Config) withDefaults() Config {
	if c.Drain == 0 {
		c.Drain = 10 * time.Second
	}
	return c
}

// Validate says everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	if c.Home == 0 {
		errs = append(errs, errors.New("the home currency is missing"))
	}
	if c.Timezone == nil {
		errs = append(errs, errors.New("the bank's time zone is missing"))
	}
	if c.Settle < 0 || c.Drain < 0 {
		errs = append(errs, errors.New("a wait is below 0"))
	}
	return errors.Join(errs...)
}
