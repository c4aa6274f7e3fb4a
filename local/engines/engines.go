//go:build unix

// Package engines runs the engines that AngelOwl is deployed on — Apache Kafka, Apache Cassandra,
// PostgreSQL and etcd — as processes of this machine, on loopback, with a folder each. Tests and
// `angelowl up --engines real` use it; it is no way to run them for a bank.
//
// Install fetches them once. Start runs one, as one node or three, on free ports that it keeps for
// as long as its folder lives, so that a node that was killed can start again where it was.
package engines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Kind is one of the engines, by the name that people type.
type Kind string

const (
	Kafka     Kind = "kafka"
	Cassandra Kind = "cassandra"
	Postgres  Kind = "postgres"
	Etcd      Kind = "etcd"
)

// Kinds are all engines.
var Kinds = []Kind{Kafka, Cassandra, Postgres, Etcd}

// ParseKind reads an engine's name.
func ParseKind(s string) (Kind, error) {
	for _, k := range Kinds {
		if s == string(k) {
			return k, nil
		}
	}
	return "", fmt.Errorf("there is no engine %q; there are kafka, cassandra, postgres and etcd", s)
}

// Variable is the environment variable that holds the address of a running engine of this kind, in
// the form of Engine.Addr. Where a person sets it, that engine is used and none is started.
func (k Kind) Variable() string {
	if k == Postgres {
		return "TEST_POSTGRES_DSN"
	}
	return "TEST_" + strings.ToUpper(string(k))
}

// engine is what differs between the kinds. Its methods are called for the nodes of one Engine,
// several nodes at once.
type engine interface {
	// ports says how many ports a node has. All nodes have the same hosts' ports free.
	ports() int
	// addr is where clients reach a node.
	addr(e *Engine, n *Node) string
	// prepare writes the node's configuration, and makes its data if there are none.
	prepare(ctx context.Context, e *Engine, n *Node) error
	// command is what runs the node.
	command(e *Engine, n *Node) (command, error)
	// ready asks a node once whether it serves, as a part of all of e.
	ready(ctx context.Context, e *Engine, n *Node) error
	// stop is the signal that ends a node in good order.
	stop() syscall.Signal
	// early says whether a node that ended at once has said, at the end of its log, that what it was
	// before is not all gone yet.
	early(log string) bool
}

// Options say how an engine starts. The zero value is one node that ends with this process.
type Options struct {
	// Nodes is 1 or 3; 0 is 1. PostgreSQL is always one.
	Nodes int
	// Detach lets the engine go on when this process has ended. Open finds it again.
	Detach bool
	// JMX opens Cassandra's on loopback, to whoever is on this machine, for Nodetool.
	JMX bool
	// Secure has clients come over TLS, as a bank's engines do, and Kafka and Cassandra ask who they are: one
	// certificate a node, good for its address. It is to be said at each start.
	Secure []Certificate
}

// extraPort says whether a node has one port more: JMX's, or Kafka's for those who sign in.
func (o Options) extraPort(k Kind) bool { return o.JMX || k == Kafka && len(o.Secure) > 0 }

// Certificate is what a node shows to its clients: files in PEM.
type Certificate struct{ Chain, Key, Authority string }

// Engine is one engine, of one node or three. Its methods and those of its nodes may be called by
// several goroutines; what starts or ends a node waits until another has started or ended it.
type Engine struct {
	Kind  Kind
	Nodes []*Node

	dir      string
	engine   engine
	password string
	mu       sync.Mutex
	state    state // under mu
}

// Node is one process of an engine.
type Node struct {
	// Addr is where clients reach it: host:port, of PostgreSQL a connection string.
	Addr string
	// Log is the file with all that the node said.
	Log string

	e     *Engine
	index int
	host  string
	ports []int
	dir   string
	tls   *Certificate // nil: without TLS
	mu    sync.Mutex
	child *child // nil where another process started it
}

// startLimit is how long a start may take. Three Cassandras on two busy cores take 13 s and more.
const startLimit = 3 * time.Minute

// Start runs an engine whose data are under dir, or makes it there. It returns when clients are
// served. Whatever an earlier process left running in dir is ended first, unless that process still
// lives or had detached it. The engine ends when this process does, however that ends; Stop ends
// it in good order. A missing engine is ErrMissing, with words that say what to do.
func Start(ctx context.Context, dir string, k Kind, o Options) (*Engine, error) {
	if o.Nodes == 0 || k == Postgres {
		o.Nodes = 1
	}
	if o.Nodes != 1 && o.Nodes != 3 {
		return nil, fmt.Errorf("starting %s: it runs as 1 node or as 3, not as %d", k, o.Nodes)
	}
	if o.JMX && k != Cassandra {
		return nil, fmt.Errorf("starting %s: JMX is Cassandra's", k)
	}
	if len(o.Secure) != 0 && len(o.Secure) != o.Nodes {
		return nil, fmt.Errorf("starting %s: %d certificates are not one for each of %d nodes", k, len(o.Secure), o.Nodes)
	}
	e, err := start(ctx, dir, k, o)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", k, err)
	}
	return e, nil
}

func start(ctx context.Context, dir string, k Kind, o Options) (*Engine, error) {
	recipe, err := find(ctx, k)
	if err != nil {
		return nil, err
	}
	e, err := newEngine(dir, k, recipe)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(e.dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, filepath.Join(e.dir, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	switch err := e.state.read(e.dir); {
	case errors.Is(err, os.ErrNotExist):
		if err := e.fresh(o); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case len(e.state.Nodes) != o.Nodes:
		return nil, fmt.Errorf("its data in %s are of %d nodes, and %d are asked for; use another folder", e.dir, len(e.state.Nodes), o.Nodes)
	case o.extraPort(k) && len(e.state.Nodes[0].Ports) == e.engine.ports():
		return nil, fmt.Errorf("its data in %s are of one without JMX, or without users; use another folder", e.dir)
	default:
		if err := e.claim(); err != nil {
			return nil, err
		}
	}
	e.state.Detached, e.state.Owner = o.Detach, self()
	e.join()
	for i := range o.Secure {
		e.Nodes[i].tls = &o.Secure[i]
	}
	return e, e.Start(ctx)
}

// Open returns the engine whose data are under dir, running or not, whoever started it. Where none
// was ever started there, the error is os.ErrNotExist.
func Open(ctx context.Context, dir string, k Kind) (*Engine, error) {
	e, err := newEngine(dir, k, nil)
	if err != nil {
		return nil, err
	}
	if err := e.state.read(e.dir); err != nil {
		return nil, fmt.Errorf("opening %s: %w", k, err)
	}
	if e.engine, err = find(ctx, k); err != nil {
		return nil, fmt.Errorf("opening %s: %w", k, err)
	}
	e.join()
	return e, nil
}

func newEngine(dir string, k Kind, recipe engine) (*Engine, error) {
	dir, err := filepath.Abs(dir) // the nodes have working directories of their own
	if err != nil {
		return nil, err
	}
	return &Engine{Kind: k, dir: filepath.Join(dir, string(k)), engine: recipe}, nil
}

// fresh decides what a new engine keeps for life: its ports and its password.
func (e *Engine) fresh(o Options) error {
	nodes := o.Nodes
	hosts := []string{"127.0.0.1"}
	if e.Kind == Cassandra { // its nodes share their ports, so they need hosts of their own
		hosts = []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}[:nodes]
	}
	ports := e.engine.ports()
	for i := range nodes {
		n := nodeState{Host: hosts[min(i, len(hosts)-1)]}
		if i > 0 && len(hosts) > 1 {
			n.Ports = e.state.Nodes[0].Ports
		} else {
			var err error
			if n.Ports, err = freePorts(ports, hosts); err != nil {
				return err
			}
		}
		if o.extraPort(e.Kind) { // JMX is listened for on one host
			port, err := freePorts(1, hosts)
			if err != nil {
				return err
			}
			n.Ports = slices.Concat(n.Ports[:ports], port)
		}
		e.state.Nodes = append(e.state.Nodes, n)
	}
	e.state.Password = secret()
	return nil
}

// claim ends what a dead process left running.
func (e *Engine) claim() error {
	procs, err := processes()
	if err != nil {
		return err
	}
	for _, n := range e.state.Nodes {
		if !procs.has(n.Process) {
			continue
		}
		if e.state.Detached || procs.has(e.state.Owner) {
			return fmt.Errorf("%w in %s, as process %d", ErrRuns, e.dir, n.Process.PID)
		}
		if err := procs.kill(n.Process); err != nil {
			return err
		}
	}
	return nil
}

// ErrRuns is what Start returns where the engine runs already.
var ErrRuns = errors.New("it runs already")

// join makes the nodes of what the state says.
func (e *Engine) join() {
	e.password = e.state.Password
	for i, s := range e.state.Nodes {
		n := &Node{e: e, index: i, host: s.Host, ports: s.Ports, dir: filepath.Join(e.dir, fmt.Sprintf("n%d", i+1))}
		n.Log = filepath.Join(n.dir, "log")
		n.Addr = e.engine.addr(e, n)
		e.Nodes = append(e.Nodes, n)
	}
}

// Addr is where clients reach the engine: the nodes' host:port with commas between, of PostgreSQL a
// connection string.
func (e *Engine) Addr() string {
	var all []string
	for _, n := range e.Nodes {
		all = append(all, n.Addr)
	}
	return strings.Join(all, ",")
}

// PID is the process of the first node, 0 where it does not run.
func (e *Engine) PID() int { return e.Nodes[0].PID() }

// Log is the first node's file with all that it said.
func (e *Engine) Log() string { return e.Nodes[0].Log }

// Start runs the nodes that do not run, on the ports and data that they had, and returns when all
// nodes serve.
func (e *Engine) Start(ctx context.Context) error {
	return e.each(ctx, func(ctx context.Context, n *Node) error { return n.Start(ctx) })
}

// Kill ends all nodes at once with SIGKILL, as a loss of power of their machine would, but for what
// the kernel holds for the disk. It returns when they are gone.
func (e *Engine) Kill() error {
	return e.each(context.Background(), func(_ context.Context, n *Node) error { return n.Kill() })
}

// Stop ends all nodes in good order, and with SIGKILL those that have not ended when ctx does or
// after half a minute. Data and ports stay, for Start.
func (e *Engine) Stop(ctx context.Context) error {
	return e.each(ctx, func(ctx context.Context, n *Node) error { return n.Stop(ctx) })
}

func (e *Engine) each(ctx context.Context, do func(context.Context, *Node) error) error {
	var all errgroup.Group
	for _, n := range e.Nodes {
		all.Go(func() error {
			if err := do(ctx, n); err != nil {
				return fmt.Errorf("%s: %w", n.name(), err)
			}
			return nil
		})
	}
	return all.Wait()
}
