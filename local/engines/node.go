//go:build unix

package engines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// command is how a node is run.
type command struct {
	argv []string
	env  []string // beside what this process has
	user *account // whom it runs as; nil is whom this process runs as
}

// child is a process that this one started.
type child struct {
	pid  int
	done chan struct{} // closed when it has ended
	err  error         // why that is a failure, after done
	how  string        // how it ended, after done
}

// spawn starts a command. Unless it is detached it ends when this process does.
func spawn(c command, dir, log string, detach bool) (*child, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = append(os.Environ(), c.env...)
	if c.user != nil {
		cmd.Dir = "/" // the node's folder may be closed to that user until the program runs
	}
	cmd.SysProcAttr = attributes(c.user, !detach)
	p := &child{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux ends the child when the thread ends that started it, not the process, so that thread
		// has to stay for as long as the child does.
		runtime.LockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		p.how = cmd.ProcessState.String()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("running %s: %w", c.argv[0], err)
	}
	return p, nil
}

func (n *Node) name() string {
	if len(n.e.Nodes) == 1 {
		return string(n.e.Kind)
	}
	return fmt.Sprintf("%s, node %d", n.e.Kind, n.index+1)
}

func (n *Node) hostPort(port int) string {
	return net.JoinHostPort(n.host, strconv.Itoa(n.ports[port]))
}

// recorded is what the state says of the node.
func (n *Node) recorded() nodeState {
	n.e.mu.Lock()
	defer n.e.mu.Unlock()
	return n.e.state.Nodes[n.index]
}

// alive returns the node's process if it runs.
func (n *Node) alive() (table, process, error) {
	procs, err := processes()
	if err != nil {
		return nil, process{}, err
	}
	p := n.recorded().Process
	if !procs.has(p) {
		return procs, process{}, nil
	}
	return procs, p, nil
}

// PID is the node's process, 0 where it does not run.
func (n *Node) PID() int {
	_, p, err := n.alive()
	if err != nil {
		return 0
	}
	return p.PID
}

// Start runs the node, if it does not run, on the port and the data that it had, and returns when
// it serves.
func (n *Node) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("not ready after %v", startLimit))
	defer cancel()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		err := n.launch(ctx)
		if err == nil {
			return nil
		}
		err = errors.Join(err, n.kill())
		if !errors.Is(err, errEnded) && ctx.Err() == nil {
			return err
		}
		if log := n.Tail(); ctx.Err() != nil || !n.e.engine.early(log) {
			return fmt.Errorf("%w\nThe end of %s:\n%s", err, n.Log, log)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// launch runs the node, if it does not run, and returns when it serves.
func (n *Node) launch(ctx context.Context) error {
	_, p, err := n.alive()
	if err != nil {
		return err
	}
	if p.PID != 0 {
		return n.wait(ctx)
	}
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return err
	}
	for _, port := range n.ports {
		if err := freed(ctx, n.host, port); err != nil {
			return fmt.Errorf("port %d, which it had before, is taken by another process now: %w; end that one, or use another folder", port, err)
		}
	}
	if err := n.e.engine.prepare(ctx, n.e, n); err != nil {
		return err
	}
	c, err := n.e.engine.command(n.e, n)
	if err != nil {
		return err
	}
	n.e.mu.Lock()
	detach := n.e.state.Detached
	n.e.mu.Unlock()
	if n.child, err = spawn(c, n.dir, n.Log, detach); err != nil {
		return err
	}
	begin := time.Now()
	err = n.record(func(s *nodeState, procs table) { s.Process, s.Since, s.Took = procs[n.child.pid].process, begin, 0 })
	if err != nil {
		return err
	}
	if err := n.wait(ctx); err != nil {
		return err
	}
	return n.record(func(s *nodeState, _ table) { s.Took = time.Since(begin).Seconds() })
}

// record changes what the node's folder remembers of it.
func (n *Node) record(change func(*nodeState, table)) error {
	procs, err := processes()
	if err != nil {
		return err
	}
	n.e.mu.Lock()
	defer n.e.mu.Unlock()
	change(&n.e.state.Nodes[n.index], procs)
	return n.e.state.write(n.e.dir)
}

// errEnded is a node that ended before it served.
var errEnded = errors.New("it ended before it served")

// wait returns when the node, which runs, serves.
func (n *Node) wait(ctx context.Context) error {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	var last error
	for {
		ask, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := n.e.engine.ready(ask, n.e, n)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		_, p, err := n.alive()
		switch {
		case err != nil:
			return err
		case p.PID == 0 && n.child == nil:
			return errEnded
		case p.PID == 0:
			<-n.child.done
			return fmt.Errorf("%w, with %s", errEnded, n.child.how)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), last)
		}
	}
}

// Kill ends the node, and what it started, with SIGKILL, and returns when it is gone.
func (n *Node) Kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.kill()
}

func (n *Node) kill() error {
	procs, p, err := n.alive()
	if err != nil || p.PID == 0 {
		return err
	}
	if err := procs.kill(p); err != nil {
		return fmt.Errorf("killing process %d: %w", p.PID, err)
	}
	if n.child != nil && n.child.pid == p.PID {
		<-n.child.done
	}
	return nil
}

// Stop ends the node in good order, and with SIGKILL if it has not ended when ctx does or after half
// a minute.
func (n *Node) Stop(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, p, err := n.alive()
	if err != nil || p.PID == 0 {
		return err
	}
	if err := syscall.Kill(p.PID, n.e.engine.stop()); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("ending process %d: %w", p.PID, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := gone(ctx, p); err != nil {
		return n.kill()
	}
	if n.child != nil && n.child.pid == p.PID {
		<-n.child.done
	}
	return nil
}

// gone waits until a process has ended.
func gone(ctx context.Context, p process) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		procs, err := processes()
		if err != nil {
			return err
		}
		if !procs.has(p) {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Tail is the end of the node's log, to be shown.
func (n *Node) Tail() string { return tail(n.Log) }

// tail returns the last lines of a file, to be shown.
func tail(file string) string {
	const most = 3000
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	if len(b) > most {
		b = b[len(b)-most:]
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			b = b[i+1:]
		}
	}
	return string(bytes.TrimSpace(b))
}
