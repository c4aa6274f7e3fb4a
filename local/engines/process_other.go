//go:build unix && !linux

package engines

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// attributes are those of a process in a session of its own. Nothing here ends it when this process
// is killed; the next start does.
func attributes(as *account, _ bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true}
	if as != nil {
		a.Credential = &syscall.Credential{Uid: uint32(as.uid), Gid: uint32(as.gid)}
	}
	return a
}

func processes() (table, error) {
	out, err := exec.Command("ps", "-axo", "pid=,ppid=,rss=,stat=,lstart=").Output()
	if err != nil {
		return nil, fmt.Errorf("asking ps for the processes: %w", err)
	}
	t := table{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 5 || strings.HasPrefix(f[3], "Z") {
			continue
		}
		pid, err1 := strconv.Atoi(f[0])
		parent, err2 := strconv.Atoi(f[1])
		kilobytes, err3 := strconv.ParseInt(f[2], 10, 64)
		if err1 != nil || err2 != nil || err3 != nil {
			return nil, fmt.Errorf("ps said %q", line)
		}
		t[pid] = entry{process{pid, strings.Join(f[4:], " ")}, parent, kilobytes * 1024}
	}
	return t, nil
}
