//go:build unix

package engines

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
)

// Ports are taken from below those that Linux and others give to outgoing connections: a port of
// those could be taken while its engine is down, even by a client that calls that engine and then
// talks to itself.
const lowPort, highPort = 12000, 32000

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
		if last == nil && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
		if len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("finding free ports on %v: %w", hosts, last)
}

// free says why a port cannot be listened on.
func free(host string, port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return l.Close()
}
