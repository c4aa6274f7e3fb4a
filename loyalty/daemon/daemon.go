// Package daemon is what the mains of all services have in common: signals, the log, the exit.
package daemon

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Main runs a program until it ends or SIGINT or SIGTERM asks it to, logs JSON to stderr, and
// exits: 0 when run returned nil, else 1. A second signal ends the program at once.
func Main(name string, run func(ctx context.Context, log *slog.Logger) error) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals) // the next one has its usual effect
		cancel()
	}()
	os.Exit(Run(ctx, name, os.Stderr, run))
}

// Run is Main without the process: it returns the exit code.
func Run(ctx context.Context, name string, stderr io.Writer, run func(ctx context.Context, log *slog.Logger) error) int {
	log := slog.New(slog.NewJSONHandler(stderr, nil)).With("service", name)
	log.Info("starting")
	if err := run(ctx, log); err != nil {
		log.Error("ended with an error", "error", err)
		return 1
	}
	log.Info("ended")
	return 0
}
