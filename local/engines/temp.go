//go:build unix

package engines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// tempPattern and ownerFile are of folders that are thrown away when their owner ends.
const (
	tempPattern = "angelowl-engines-"
	ownerFile   = "owner.json"
)

// Temp makes a folder for engines that live no longer than this process. remove kills what runs
// there and removes it; where this process ends without, the next Temp of anyone does.
func Temp(ctx context.Context) (dir string, remove func() error, err error) {
	if err := sweep(ctx); err != nil {
		return "", nil, fmt.Errorf("cleaning up after engines whose owner is gone: %w", err)
	}
	dir, err = os.MkdirTemp("", tempPattern)
	if err != nil {
		return "", nil, fmt.Errorf("making a folder for engines: %w", err)
	}
	b, err := json.Marshal(self())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, ownerFile), b, 0o600)
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("making a folder for engines: %w", err), os.RemoveAll(dir))
	}
	return dir, func() error { return clear(dir) }, nil
}

// Temps lists the folders of Temp that are there.
func Temps() ([]string, error) {
	owners, err := filepath.Glob(filepath.Join(os.TempDir(), tempPattern+"*", ownerFile))
	if err != nil {
		return nil, err
	}
	for i := range owners {
		owners[i] = filepath.Dir(owners[i])
	}
	return owners, nil
}

// sweep removes the folders of Temp whose owner is gone.
func sweep(ctx context.Context) error {
	dirs, err := Temps()
	if err != nil {
		return err
	}
	procs, err := processes()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, ownerFile))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			continue // another swept it, or it is another user's
		}
		var owner process
		if err != nil || json.Unmarshal(b, &owner) != nil || procs.has(owner) {
			continue // its owner is at work, perhaps at this very file
		}
		if err := clear(dir); err != nil {
			return err
		}
	}
	return nil
}

// clear kills the engines of a folder and removes it.
func clear(dir string) error {
	procs, err := processes()
	if err != nil {
		return err
	}
	for _, k := range Kinds {
		var s state
		if err := s.read(filepath.Join(dir, string(k))); err != nil {
			continue
		}
		for _, n := range s.Nodes {
			if procs.has(n.Process) {
				if err := procs.kill(n.Process); err != nil {
					return err
				}
			}
		}
	}
	return os.RemoveAll(dir)
}

// Status is what the system knows of a node.
type Status struct {
	// PID is 0 where the node does not run; the rest is then 0 too.
	PID int
	// Memory is the resident bytes of the node's processes. Those of PostgreSQL share some, which
	// count for each.
	Memory int64
	// Since is when the node was started, Took how long it was from there until it served.
	Since time.Time
	Took  time.Duration
}

// Status asks the system for a node.
func (n *Node) Status() (Status, error) {
	procs, p, err := n.alive()
	if err != nil || p.PID == 0 {
		return Status{}, err
	}
	r := n.recorded()
	s := Status{PID: p.PID, Since: r.Since, Took: time.Duration(r.Took * float64(time.Second))}
	for _, e := range procs.tree(p.PID) {
		s.Memory += e.rss
	}
	return s, nil
}
