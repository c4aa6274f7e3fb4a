package engines

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// attributes are those of a process in a session of its own, so that what a terminal sends to this
// one does not reach it.
func attributes(as *account, endsWithUs bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true}
	if endsWithUs {
		a.Pdeathsig = syscall.SIGKILL
	}
	if as != nil {
		a.Credential = &syscall.Credential{Uid: uint32(as.uid), Gid: uint32(as.gid)}
		// A folder of root's, a test's own say, may be closed to that user on the way down.
		const dacOverride = 1 // CAP_DAC_OVERRIDE of linux/capability.h
		a.AmbientCaps = []uintptr{dacOverride}
	}
	return a
}

// processes reads /proc.
func processes() (table, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	t := make(table, len(files))
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		e, err := parseStat(b)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		if e.PID != 0 {
			t[e.PID] = e
		}
	}
	return t, nil
}

// parseStat reads a line of proc(5)'s /proc/PID/stat. A process that has ended and waits for its
// parent is 0.
func parseStat(b []byte) (entry, error) {
	// The second field is the command in parentheses; it may itself have spaces and parentheses.
	end := bytes.LastIndexByte(b, ')')
	first, _, _ := strings.Cut(string(b), " ")
	pid, err := strconv.Atoi(first)
	if err != nil || end < 0 {
		return entry{}, fmt.Errorf("%q is not what proc(5) says", b)
	}
	f := strings.Fields(string(b[end+1:])) // from the third field on
	if len(f) < 22 {
		return entry{}, fmt.Errorf("%q is not what proc(5) says", b)
	}
	if f[0] == "Z" || f[0] == "X" {
		return entry{}, nil
	}
	parent, err := strconv.Atoi(f[4-3])
	if err != nil {
		return entry{}, err
	}
	pages, err := strconv.ParseInt(f[24-3], 10, 64)
	if err != nil {
		return entry{}, err
	}
	return entry{process{pid, f[22-3]}, parent, pages * int64(os.Getpagesize())}, nil
}
