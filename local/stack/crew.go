package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
)

// crew is the rewarders of the stack. They can be sent away for as long as something takes that
// no rewarder may be there for.
type crew struct {
	members []member
	run     func(ctx context.Context, name string, l net.Listener) error
	pauses  chan pause
	over    chan struct{} // closed when they will not come back
}

type member struct {
	name string
	l    *net.TCPListener
}

type pause struct {
	f    func(context.Context) error
	done chan<- error
}

// newCrew listens for n rewarders on free ports of loopback.
func newCrew(ctx context.Context, n int, run func(context.Context, string, net.Listener) error) (*crew, error) {
	c := &crew{run: run, pauses: make(chan pause), over: make(chan struct{})}
	for i := range n {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			c.close()
			return nil, fmt.Errorf("listening for a rewarder: %w", err)
		}
		c.members = append(c.members, member{fmt.Sprintf("rewarder-%d", i), l.(*net.TCPListener)})
	}
	return c, nil
}

func (c *crew) close() {
	for _, m := range c.members {
		_ = m.l.Close()
	}
}

// work runs the rewarders until ctx ends or one of them fails.
func (c *crew) work(ctx context.Context) error {
	defer c.close()
	defer close(c.over)
	for {
		shift, end := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- c.shift(shift) }()
		select {
		case err := <-ended:
			end()
			return err
		case p := <-c.pauses:
			end()
			if err := <-ended; err != nil {
				p.done <- err
				return err
			}
			p.done <- p.f(ctx)
		}
	}
}

func (c *crew) shift(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range c.members {
		g.Go(func() error {
			if err := m.l.SetDeadline(time.Time{}); err != nil {
				return fmt.Errorf("listening for %s: %w", m.name, err)
			}
			return c.run(ctx, m.name, lent{m.l})
		})
	}
	return g.Wait()
}

// without calls f while no rewarder runs; then they run again, whatever f returned. Once it has
// begun it goes on, even if ctx ends.
func (c *crew) without(ctx context.Context, f func(context.Context) error) error {
	done := make(chan error, 1)
	select {
	case c.pauses <- pause{f, done}:
		return <-done
	case <-c.over:
		return errors.New("the system is stopping")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lent is a listener that a server gives back instead of closing it: a rewarder keeps its address
// while it is away, and whoever asks it something then waits.
type lent struct{ *net.TCPListener }

func (l lent) Close() error { return l.SetDeadline(time.Unix(1, 0)) }
