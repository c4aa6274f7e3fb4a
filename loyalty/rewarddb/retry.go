package rewarddb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// Every statement of the store says the same when it is said again, so what may have failed for
// want of a node or of an answer is asked again: first of other nodes at once, then after a pause.
// What Cassandra refused it would refuse again.
const (
	otherNodes = 2 // that are asked after the first
	rounds     = 3
	firstPause = 50 * time.Millisecond // twice as long before each next round, give or take a half
)

// anotherNode is the driver's retry policy.
type anotherNode struct{}

func (anotherNode) Attempt(q gocql.RetryableQuery) bool { return q.Attempts() <= otherNodes }

func (anotherNode) GetRetryType(err error) gocql.RetryType {
	if Passing(err) {
		return gocql.RetryNextHost
	}
	return gocql.Rethrow
}

// Passing says whether an error may be gone in a moment: a node or an answer was missing. The
// request may have been carried out all the same.
func Passing(err error) bool {
	for _, is := range []error{
		gocql.ErrTimeoutNoResponse, gocql.ErrConnectionClosed, gocql.ErrNoStreams, gocql.ErrNoConnections,
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
	} {
		if errors.Is(err, is) {
			return true
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if e := net.Error(nil); errors.As(err, &e) {
		return true
	}
	if e := gocql.RequestError(nil); errors.As(err, &e) {
		switch e.Code() {
		case gocql.ErrCodeUnavailable, gocql.ErrCodeOverloaded, gocql.ErrCodeBootstrapping,
			gocql.ErrCodeWriteTimeout, gocql.ErrCodeReadTimeout, gocql.ErrCodeCASWriteUnknown:
			return true
		}
	}
	return false
}

// Retry calls f until it succeeds, fails for good, or has failed in every round.
func Retry(ctx context.Context, f func() error) error {
	pause := firstPause
	for round := 1; ; round++ {
		err := f()
		if ctx.Err() == nil && errors.Is(err, context.Canceled) {
			err = fmt.Errorf("%w (%w)", gocql.ErrConnectionClosed, err) // its own context, not ours, has ended
		}
		if err == nil || round == rounds || !Passing(err) || ctx.Err() != nil {
			return err
		}
		if Pause(ctx, pause/2+rand.N(pause)) != nil {
			return err
		}
		pause *= 2
	}
}

// Pause waits, or returns the context's error.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
