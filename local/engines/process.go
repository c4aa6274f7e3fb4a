//go:build unix

package engines

import (
	"context"
	"errors"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"
)

// process is a process for good: numbers come back, but not with the time of their start.
type process struct {
	PID     int    `json:"pid"`
	Started string `json:"started"`
}

// entry is what the system knows of a process.
type entry struct {
	process
	parent int
	rss    int64 // bytes
}

// table is all processes of the machine that have not ended, by number.
type table map[int]entry

func (t table) has(p process) bool { return p.PID != 0 && t[p.PID].process == p }

// tree returns a process and all that descend from it.
func (t table) tree(pid int) []entry {
	all := []entry{t[pid]}
	for _, e := range t {
		if e.parent == pid && e.PID != pid {
			all = append(all, t.tree(e.PID)...)
		}
	}
	return all
}

// kill ends a process and its descendants with SIGKILL and returns when they are gone.
func (t table) kill(p process) error {
	all := t.tree(p.PID)
	for _, e := range all {
		if err := syscall.Kill(e.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, e := range all {
		if err := gone(ctx, e.process); err != nil {
			return err
		}
	}
	return nil
}

// self is this process.
func self() process {
	procs, err := processes()
	if err != nil {
		return process{}
	}
	return procs[os.Getpid()].process
}

// account is a user of the system.
type account struct{ uid, gid int }

// unprivileged returns whom to run a program as that refuses to run as root; nil is nobody else.
func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	a := &account{}
	if a.uid, err = strconv.Atoi(u.Uid); err != nil {
		return nil, err
	}
	a.gid, err = strconv.Atoi(u.Gid)
	return a, err
}
