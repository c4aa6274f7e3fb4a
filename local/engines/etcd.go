//go:build unix

package engines

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// etcd is etcd.
type etcd struct{ binary string }

func (etcd) ports() int           { return 2 } // the clients', the other members'
func (etcd) stop() syscall.Signal { return syscall.SIGTERM }
func (etcd) early(string) bool    { return false }

func (etcd) addr(e *Engine, n *Node) string { return n.hostPort(0) }

func (etcd) prepare(context.Context, *Engine, *Node) error { return nil }

func (c etcd) command(e *Engine, n *Node) (command, error) {
	name := func(i int) string { return fmt.Sprintf("n%d", i+1) }
	var cluster []string
	for i, n := range e.Nodes {
		cluster = append(cluster, name(i)+"=http://"+n.hostPort(1))
	}
	argv := []string{c.binary, "--name", name(n.index), "--data-dir", filepath.Join(n.dir, "data"),
		"--listen-client-urls", n.url(), "--advertise-client-urls", n.url(),
		"--listen-peer-urls", "http://" + n.hostPort(1), "--initial-advertise-peer-urls", "http://" + n.hostPort(1),
		"--initial-cluster", strings.Join(cluster, ","), "--log-level", "warn"}
	if len(e.Nodes) == 1 { // it elects itself; that need not take a second
		argv = append(argv, "--heartbeat-interval", "10", "--election-timeout", "100")
	}
	if n.tls != nil {
		argv = append(argv, "--cert-file", n.tls.Chain, "--key-file", n.tls.Key)
	}
	return command{argv: argv}, nil
}

// url is where clients reach a node of etcd.
func (n *Node) url() string {
	if n.tls != nil {
		return "https://" + n.hostPort(0)
	}
	return "http://" + n.hostPort(0)
}

func (etcd) ready(ctx context.Context, _ *Engine, n *Node) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url()+"/health", nil)
	if err != nil {
		return err
	}
	conf, err := n.clientTLS()
	if err != nil {
		return err
	}
	r.Close = true
	answer, err := (&http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: conf}}).Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New("it has no leader")
	}
	return nil
}
