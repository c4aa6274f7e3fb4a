// Command angelowl runs the whole of AngelOwl in one process on this machine: as a service with
// `angelowl up`, or in one shot over files with `angelowl process`.
//
// It exits with 0 when it did what it was asked, with 1 when it did not, and with 2 on wrong usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
	_ "time/tzdata" // a machine without zone files knows the bank's zone all the same

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/redact"
	"github.com/spf13/cobra"
)

// version is set by the build.
var version = "unknown"

func main() {
	// A batch that claims to be larger when it is decompressed is not one of ours.
	sarama.MaxDecompressedBatchSize = 64 << 20
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errSaid says that what went wrong has been said.
var errSaid = errors.New("not everything that was asked for was done")

// usageError is a mistake in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run executes a command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "angelowl",
		Short:         "Card spend in, exact and explained rewards out",
		Version:       version,
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
	level := root.PersistentFlags().String("log", "warn", "what to log to standard error: debug, info, warn or error")
	logger := func() (*slog.Logger, error) {
		var l slog.Level
		if err := l.UnmarshalText([]byte(*level)); err != nil {
			return nil, usageError{fmt.Errorf("--log %s: say debug, info, warn or error", *level)}
		}
		return slog.New(redact.Handler(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: l}))), nil
	}
	root.AddCommand(upCommand(logger), processCommand(logger), statusCommand(), deadLettersCommand(), replayCommand(), nightlyCommand(),
		eraseCommand(), exportCommand(), earnedCommand())

	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "angelowl: %v\nangelowl --help says what there is.\n", err)
		return 2
	case errors.Is(err, errNotAccounted), errors.Is(err, errSaid):
		return 1 // it has said what
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(stderr, "angelowl: stopped")
		return 1
	}
	fmt.Fprintf(stderr, "angelowl: %v\n", err)
	return 1
}

// bank are the flags that say which bank this is.
type bank struct {
	home, timezone        string
	rewarders, partitions int
}

func (b *bank) flags(c *cobra.Command) {
	c.Flags().StringVar(&b.home, "home", "SGD", "home currency, ISO 4217")
	c.Flags().StringVar(&b.timezone, "timezone", "Asia/Singapore", "the bank's time zone")
	c.Flags().IntVar(&b.rewarders, "rewarders", 1, "how many rewarders share the work, 1 to 64")
}

func (b *bank) parse() (loyalty.Currency, *time.Location, error) {
	home, ok := loyalty.ParseCurrency(b.home)
	if !ok {
		return 0, nil, usageError{fmt.Errorf("--home %q is not an ISO 4217 currency", b.home)}
	}
	zone, err := time.LoadLocation(b.timezone)
	if err != nil || b.timezone == "" || b.timezone == "Local" {
		return 0, nil, usageError{fmt.Errorf("--timezone %q is not a time zone; say one such as Asia/Singapore", b.timezone)}
	}
	if b.rewarders < 1 || b.rewarders > 64 {
		return 0, nil, usageError{fmt.Errorf("--rewarders %d is not between 1 and 64", b.rewarders)}
	}
	return home, zone, nil
}

// address refuses what is no address to listen on.
func address(flag, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if number, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || number > 65535 {
		return usageError{fmt.Errorf("%s %q is not an address; say one such as 127.0.0.1:8080", flag, addr)}
	}
	return nil
}
