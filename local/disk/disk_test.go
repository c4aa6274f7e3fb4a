package disk

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// drive is a disk of a test.
type drive struct{ free atomic.Int64 }

func (d *drive) look(string) (int64, error) {
	if n := d.free.Load(); n >= 0 {
		return n, nil
	}
	return 0, errors.New("the disk is gone")
}

func TestAGuardSaysWhenThereIsRoom(t *testing.T) {
	var (
		d    drive
		mu   sync.Mutex
		told []bool
	)
	d.free.Store(Keep)
	g := StartMeasured("/data", func(err error) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, err != nil)
	}, d.look)
	defer g.Close()
	for _, c := range []struct {
		name string
		free int64
		full bool
	}{
		{"just enough", Keep, false},
		{"a byte too little", Keep - 1, true},
		{"a little more does not end it", Keep + Keep/4 - 1, true},
		{"nothing", 0, true},
		{"a disk that cannot be looked at stays as it was", -1, true},
		{"a quarter more ends it", Keep + Keep/4, false},
		{"and is not needed any more", Keep, false},
		{"a disk that cannot be looked at stays as it was", -1, false},
	} {
		d.free.Store(c.free)
		if err := g.Look(); errors.Is(err, ErrFull) != c.full {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := g.Check(); errors.Is(err, ErrFull) != c.full {
			t.Errorf("%s: then %v", c.name, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 2 || !told[0] || told[1] {
		t.Errorf("it told %v, want that it is full and that it is not", told)
	}
}

func TestWhatWaitsForRoomGoesOn(t *testing.T) {
	var d drive
	full := make(chan struct{})
	g := StartMeasured("/data", func(err error) {
		if err != nil {
			close(full)
		}
	}, d.look)
	defer g.Close()
	<-full
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Await(gone); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrFull) {
		t.Errorf("who waits no longer is told %v", err)
	}
	waited := make(chan error)
	go func() { waited <- g.Await(t.Context()) }()
	d.free.Store(2 * Keep)
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if err := g.Fits(Keep); err != nil {
		t.Error(err)
	}
	if err := g.Fits(Keep + 1); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "256 MiB do not fit") {
		t.Errorf("what is too large: %v", err)
	}
	if err := g.Check(); err != nil {
		t.Errorf("what is too large fills no disk: %v", err)
	}
}

func TestADiskThatNobodyWatchesIsNeverFull(t *testing.T) {
	var g *Guard
	if err := errors.Join(g.Check(), g.Look(), g.Fits(1<<60), g.Await(t.Context())); err != nil {
		t.Error(err)
	}
	g.Close()
}

func TestTheDiskOfThisMachineCanBeLookedAt(t *testing.T) {
	if n, err := free(t.TempDir()); err != nil || n <= 0 {
		t.Errorf("%d bytes are free: %v", n, err)
	}
	if _, err := free("/no/such/folder"); err == nil {
		t.Error("a folder that is not there can be looked at")
	}
}
