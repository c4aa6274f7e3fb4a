//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/angelowl-loyalties/app/local/engines"
	"github.com/spf13/cobra"
)

func runCommand() *cobra.Command {
	var nodes int
	c := &cobra.Command{
		Use:   "run [ENGINE...] -- COMMAND [ARGUMENT...]",
		Short: "Run a command with engines that live no longer than it",
		Long: `run starts the engines, all four or those that are named, on new data, runs the command with their
addresses in TEST_KAFKA, TEST_CASSANDRA, TEST_POSTGRES_DSN and TEST_ETCD, ends the engines, removes
their data, and exits as the command did. An engine whose variable is set is used as it is.`,
		Example: "  engines run -- go test ./local/...\n  engines run --nodes 3 kafka -- sh",
	}
	nodesFlag(c, &nodes)
	c.RunE = func(c *cobra.Command, args []string) error {
		dash := c.ArgsLenAtDash()
		if dash < 0 || dash == len(args) {
			return usageError{errors.New("which command? Say it after --")}
		}
		all, err := kinds(args[:dash])
		if err != nil {
			return err
		}
		if err := checkNodes(nodes); err != nil {
			return err
		}
		return runWith(c, all, nodes, args[dash:])
	}
	return c
}

func runWith(c *cobra.Command, all []engines.Kind, nodes int, argv []string) (err error) {
	say := sayTo(c.ErrOrStderr())
	dir, remove, err := engines.Temp(c.Context())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	all = unnamed(all, say)
	begin := time.Now()
	started, err := startAll(c.Context(), dir, all, engines.Options{Nodes: nodes})
	if err != nil {
		return err
	}
	if len(all) > 0 {
		say(fmt.Sprintf("engines: %s started in %.1f s", join(all), time.Since(begin).Seconds()))
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, c.OutOrStdout(), c.ErrOrStderr()
	cmd.Env = os.Environ()
	for _, e := range started {
		cmd.Env = append(cmd.Env, e.Kind.Variable()+"="+e.Addr())
	}
	err = runUntil(c.Context(), cmd)
	for _, e := range started {
		for _, n := range e.Nodes {
			if n.PID() == 0 {
				say(fmt.Sprintf("engines: %s ended while the command ran. The end of its log:\n%s", e.Kind, n.Tail()))
			}
		}
	}
	return err
}

// runUntil runs a command and passes its exit code on. When ctx ends it waits for the command, which
// the terminal has told too; then it tells it to end, and then it ends it.
func runUntil(ctx context.Context, cmd *exec.Cmd) error {
	// A signal's end of ctx is once; what comes after it is for the command alone.
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(again)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("running %s: %w", cmd.Path, err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	over := ctx.Done()
	patience := time.NewTimer(0)
	<-patience.C
	end := syscall.SIGTERM
	for {
		select {
		case err := <-done:
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				return err
			}
			if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				return exitCode(128 + int(status.Signal()))
			}
			return exitCode(exit.ExitCode())
		case <-over:
			over = nil
			patience.Reset(10 * time.Second)
		case s := <-again:
			if s == syscall.SIGTERM {
				_ = cmd.Process.Signal(s)
			}
		case <-patience.C:
			_ = cmd.Process.Signal(end)
			end = syscall.SIGKILL
			patience.Reset(10 * time.Second)
		}
	}
}
