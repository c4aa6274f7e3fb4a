//go:build unix

package engines

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Ports are taken from below those that Linux and others give to outgoing connections: a port of
// those could be taken while its engine is down, even by a client that calls that engine and then
// talks to itself.
const lowPort, highPort = 12000, 32000

// FreePorts finds ports on loopback for programs that a test starts. Nobody else who asks here is given them while this
// process lives, and no connection gets one by chance, as it may one that was listened on and left.
func FreePorts(n int) ([]int, error) { return freePorts(n, []string{"127.0.0.1"}) }

// freePorts finds n ports that are free on all hosts.
func freePorts(n int, hosts []string) ([]int, error) {
	var ports []int
	var last error
	for range 1000 {
		port := lowPort + rand.IntN(highPort-lowPort)
		last = nil
		for _, host := range hosts {
			last = errors.Join(last, free(host, port))
		}
		if last == nil && !slices.Contains(ports, port) && reserve(port) {
			ports = append(ports, port)
		}
		if len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("finding free ports on %v: %w", hosts, last)
}

// reserve takes a port for this process, and returns false where another engine on this
// machine, of this process or of another, has been given it: engines that start at the same time find
// it free, since each takes seconds until it listens. What it takes it keeps for as long as the process
// lives; by then an engine that goes on is listening.
func reserve(port int) bool {
	dir := filepath.Join(os.TempDir(), "angelowl-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return true // it is a help, no promise
	}
	_ = os.Chmod(dir, 0o777) // it may be another user's, and then it is open already
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return true
	}
	fd, err := syscall.Dup(int(f.Fd())) // no finalizer closes it
	f.Close()
	if err != nil {
		return true
	}
	syscall.CloseOnExec(fd)
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = syscall.Close(fd)
		return false
	}
	return true
}

// freed waits until a port can be listened on. A process that is being made has, for a moment, what
// this one had open, a port that was just tried out too.
func freed(ctx context.Context, host string, port int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := free(host, port)
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return err
		}
	}
}

// free says why a port cannot be listened on.
func free(host string, port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return l.Close()
}
