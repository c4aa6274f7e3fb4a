//go:build unix

// Command engines installs, starts and stops the engines that AngelOwl is deployed on, on this
// machine, for tests and for trying.
//
// It exits with 0 when it did what it was asked, with 1 when it did not, and with 2 on wrong usage;
// `engines run` exits as the command does that it ran.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/angelowl-loyalties/app/local/engines"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run executes a command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:   "engines",
		Short: "The real Kafka, Cassandra, PostgreSQL and etcd on this machine",
		Long: `engines runs Apache Kafka, Apache Cassandra, PostgreSQL and etcd as processes of this machine, on
loopback and on free ports, for tests and for trying. docs/engines.md says more.

Where one of TEST_KAFKA, TEST_CASSANDRA, TEST_POSTGRES_DSN and TEST_ETCD is set to the address of an
engine that runs elsewhere, "engines install" and "engines run" leave that engine alone.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no command %q", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(installCommand(), startCommand(), stopCommand(), statusCommand(), runCommand())

	err := root.ExecuteContext(ctx)
	var usage usageError
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "engines: %v\nengines --help says what there is.\n", err)
		return 2
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(stderr, "engines: stopped")
		return 1
	}
	fmt.Fprintf(stderr, "engines: %v\n", err)
	return 1
}

// kinds reads the engines that are named; none are all.
func kinds(args []string) ([]engines.Kind, error) {
	if len(args) == 0 {
		return engines.Kinds, nil
	}
	var all []engines.Kind
	for _, arg := range args {
		k, err := engines.ParseKind(arg)
		if err != nil {
			return nil, usageError{err}
		}
		if !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	return all, nil
}

// unnamed are those whose variable no person has set.
func unnamed(all []engines.Kind, say func(string)) []engines.Kind {
	var rest []engines.Kind
	for _, k := range all {
		if os.Getenv(k.Variable()) != "" {
			say(fmt.Sprintf("%s: %s is set, so that one is used", k, k.Variable()))
			continue
		}
		rest = append(rest, k)
	}
	return rest
}

func sayTo(w io.Writer) func(string) {
	return func(s string) { fmt.Fprintln(w, s) }
}

// dirFlag says where the engines' data are.
func dirFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "dir", "", "the folder of the engines' data (default: one in this user's cache)")
}

func whichDir(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	cache, err := engines.Cache()
	return filepath.Join(cache, "data"), err
}

func nodesFlag(c *cobra.Command, nodes *int) {
	c.Flags().IntVar(nodes, "nodes", 1, "1, or 3 nodes of Kafka, Cassandra and etcd; PostgreSQL is one")
}

func checkNodes(nodes int) error {
	if nodes != 1 && nodes != 3 {
		return usageError{fmt.Errorf("--nodes %d: an engine runs as 1 node or as 3", nodes)}
	}
	return nil
}

func installCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "install [ENGINE...]",
		Short: "Fetch what is not on this machine yet",
		Long: `install fetches Kafka and Cassandra from Maven Central and holds them to their hashes, builds etcd
from its Go module, and on Debian, as root, installs PostgreSQL, Java 17 and Maven by apt-get where
they are missing; elsewhere it says what to install. What is there already costs nothing.`,
		Example: "  engines install\n  engines install cassandra",
		RunE: func(c *cobra.Command, args []string) error {
			all, err := kinds(args)
			if err != nil {
				return err
			}
			say := sayTo(c.ErrOrStderr())
			return engines.Install(c.Context(), say, unnamed(all, say)...)
		},
	}
}

func startCommand() *cobra.Command {
	var dir string
	var o engines.Options
	c := &cobra.Command{
		Use:   "start [ENGINE...]",
		Short: "Start engines that go on when this command has ended",
		Long: `start runs the engines, all four or those that are named, on data that stay in a folder, and prints
their addresses as a shell reads them. Started once more it prints the same addresses. "engines stop"
ends them.`,
		Example: "  eval \"$(engines start)\"\n  engines start --nodes 3 --dir /tmp/three kafka",
	}
	dirFlag(c, &dir)
	nodesFlag(c, &o.Nodes)
	c.RunE = func(c *cobra.Command, args []string) error {
		all, err := kinds(args)
		if err != nil {
			return err
		}
		if err := checkNodes(o.Nodes); err != nil {
			return err
		}
		if dir, err = whichDir(dir); err != nil {
			return err
		}
		o.Detach = true
		started, err := startAll(c.Context(), dir, all, o)
		for _, e := range started {
			fmt.Fprintf(c.OutOrStdout(), "export %s='%s'\n", e.Kind.Variable(), e.Addr())
		}
		return err
	}
	return c
}

// startAll starts engines together. One that ran already counts as started. What has started when
// another has not is returned too.
func startAll(ctx context.Context, dir string, all []engines.Kind, o engines.Options) ([]*engines.Engine, error) {
	started := make([]*engines.Engine, len(all))
	var g errgroup.Group
	for i, k := range all {
		g.Go(func() error {
			e, err := engines.Start(ctx, dir, k, o)
			if errors.Is(err, engines.ErrRuns) {
				if e, err = engines.Open(ctx, dir, k); err == nil {
					err = e.Start(ctx) // all of its nodes, by now
				}
			}
			if err == nil {
				started[i] = e
			}
			return err
		})
	}
	err := g.Wait()
	return slices.DeleteFunc(started, func(e *engines.Engine) bool { return e == nil }), err
}

func stopCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "stop [ENGINE...]",
		Short: "Stop engines that were started; their data stay",
	}
	dirFlag(c, &dir)
	c.RunE = func(c *cobra.Command, args []string) error {
		all, err := kinds(args)
		if err != nil {
			return err
		}
		if dir, err = whichDir(dir); err != nil {
			return err
		}
		var g errgroup.Group
		for _, k := range all {
			g.Go(func() error {
				e, err := engines.Open(c.Context(), dir, k)
				if errors.Is(err, os.ErrNotExist) {
					return nil
				}
				if err != nil {
					return err
				}
				return e.Stop(c.Context())
			})
		}
		return g.Wait()
	}
	return c
}

// exitCode is that of a command that was run.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

func join(all []engines.Kind) string {
	names := make([]string, len(all))
	for i, k := range all {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}
