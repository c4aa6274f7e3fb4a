// Package disk watches how much room is left on the disk of a folder, so that what writes there can
// stop in time, say why, and go on when there is room again.
package disk

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
)

// Keep is how many bytes of the disk must stay free. What the engines write behind the scenes, such
// as compactions and the next segment of a log, has to fit in.
const Keep = 256 << 20

// ErrFull says that less than Keep is free. A *FullError matches it.
var ErrFull = errors.New("the disk is full")

// FullError says which disk is full, in words for people.
type FullError struct {
	Dir        string
	Free, Keep int64 // bytes
	Need       int64 // bytes of what was to be written, 0: anything
}

func (e *FullError) Error() string {
	if e.Need > 0 {
		return fmt.Sprintf("%s do not fit on the disk with the data folder %s: %s are free, and %s must stay free; free space on it, then try again",
			Bytes(e.Need), e.Dir, Bytes(e.Free), Bytes(e.Keep))
	}
	return fmt.Sprintf("the disk with the data folder %s is full: %s are free, and %s must stay free; free space on it",
		e.Dir, Bytes(e.Free), Bytes(e.Keep))
}

// Is matches ErrFull.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// Bytes is a size for people.
func Bytes(n int64) string {
	switch {
	case n < 1<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	case n < 10<<30:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d GiB", n>>30)
}

// every is how often the disk is looked at: the engines write some MiB in that time.
const every = 100 * time.Millisecond

// Guard watches a disk. A nil Guard is of a disk that is never full.
type Guard struct {
	dir  string
	free func(dir string) (int64, error)
	tell func(error)
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	full    *FullError
	changed chan struct{} // closed when full comes or goes
}

// Start watches the disk of dir until Close. Tell is told, one call at a time and not for long, when
// the disk has become full, by a *FullError, and by nil when there is room again; nil: nobody is.
func Start(dir string, tell func(error)) *Guard { return StartMeasured(dir, tell, free) }

// StartMeasured is Start where free says how many bytes may still be written to the disk of a folder.
func StartMeasured(dir string, tell func(error), free func(dir string) (int64, error)) *Guard {
	if tell == nil {
		tell = func(error) {}
	}
	ctx, stop := context.WithCancel(context.Background())
	g := &Guard{dir: dir, free: free, tell: tell, stop: stop, done: make(chan struct{}), changed: make(chan struct{})}
	_ = g.Look()
	go func() {
		defer close(g.done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = g.Look()
			case <-ctx.Done():
				return
			}
		}
	}()
	return g
}

// Close stops watching.
func (g *Guard) Close() {
	if g == nil {
		return
	}
	g.stop()
	<-g.done
}

// free is how many bytes a program may still write to the disk of a folder.
func free(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("looking at the disk of %s: %w", dir, err)
	}
	return int64(uint64(st.Bavail) * uint64(st.Bsize)), nil
}

// Look looks at the disk now, and returns what Check does from now on. Once full, a disk has room
// again when a quarter more than Keep is free: else every row would stop the work anew.
func (g *Guard) Look() error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	n, err := g.free(g.dir)
	if err != nil {
		return g.err() // what cannot be looked at stays as it was
	}
	was := g.full
	switch {
	case n < Keep || was != nil && n < Keep+Keep/4:
		g.full = &FullError{Dir: g.dir, Free: n, Keep: Keep}
	default:
		g.full = nil
	}
	if (was == nil) != (g.full == nil) {
		close(g.changed)
		g.changed = make(chan struct{})
		g.tell(g.err())
	}
	return g.err()
}

func (g *Guard) err() error {
	if g.full == nil {
		return nil
	}
	return g.full
}

// Check is nil while there is room, else a *FullError. It costs next to nothing.
func (g *Guard) Check() error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err()
}

// Fits looks at the disk now and says whether so many bytes can be written.
func (g *Guard) Fits(bytes int64) error {
	if g == nil {
		return nil
	}
	if err := g.Look(); err != nil {
		return err
	}
	if n, err := g.free(g.dir); err == nil && n-bytes < Keep {
		return &FullError{Dir: g.dir, Free: n, Keep: Keep, Need: bytes}
	}
	return nil
}

// Await looks at the disk now, and waits until there is room or ctx ends.
func (g *Guard) Await(ctx context.Context) error {
	if g == nil {
		return nil
	}
	_ = g.Look()
	for {
		g.mu.Lock()
		full, changed := g.err(), g.changed
		g.mu.Unlock()
		if full == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", ctx.Err(), full)
		}
	}
}

// Explain adds to an error of what ran on a disk that the disk is full, if it is.
func (g *Guard) Explain(err error) error {
	if full := (*FullError)(nil); err != nil && !errors.Is(err, ErrFull) && errors.As(g.Look(), &full) {
		return fmt.Errorf("the disk with the data folder %s is full (%s are free, and %s must stay free), and not everything can go on without room: %w. "+
			"Nothing that was accepted is lost: free space on it, then start again", full.Dir, Bytes(full.Free), Bytes(full.Keep), err)
	}
	return err
}

// State is how a disk is, for people and programs.
type State struct {
	Dir  string `json:"dir"`
	Free int64  `json:"free"` // bytes
	Keep int64  `json:"keep"` // bytes that must stay free
	Full bool   `json:"full"` // nothing is read or rewarded until there is room
}

// State looks at the disk now.
func (g *Guard) State() (State, error) {
	full := g.Look()
	n, err := g.free(g.dir)
	return State{Dir: g.dir, Free: n, Keep: Keep, Full: full != nil}, err
}
