//go:build unix

package engines

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// state is what an engine's folder remembers of it, in engine.json.
type state struct {
	Nodes []nodeState `json:"nodes"`
	// Password is that of PostgreSQL.
	Password string `json:"password"`
	// Owner is the process that started it last; the engine ends with it unless it is detached.
	Owner    process `json:"owner"`
	Detached bool    `json:"detached"`
}

type nodeState struct {
	Host    string    `json:"host"`
	Ports   []int     `json:"ports"`
	Process process   `json:"process"`
	Since   time.Time `json:"since"`
	// Took is the seconds from there until it served.
	Took float64 `json:"took"`
}

const stateFile = "engine.json"

func (s *state) read(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, s); err != nil || len(s.Nodes) == 0 {
		return fmt.Errorf("%s is not readable (%v); remove that folder to start anew", filepath.Join(dir, stateFile), err)
	}
	return nil
}

// write replaces the file whole; others read it without a lock.
func (s *state) write(dir string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, stateFile)
	if err := os.WriteFile(file+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func secret() string { return rand.Text() }

// lock waits for a lock file's lock. A process that ends gives it back.
func lock(ctx context.Context, file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("locking %s: %w", file, err)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("waiting for whoever holds %s: %w", file, ctx.Err())
		}
	}
}
