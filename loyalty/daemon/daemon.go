// Package daemon is what the mains of all services have in common: settings, signals, the log, the
// exit.
package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/redact"
)

// Exit codes.
const (
	exitFailed = 1 // run returned an error
	exitUsage  = 2 // the settings are wrong; nothing was started
)

// Main reads settings S (see package config), runs a program with them until it ends or SIGINT or
// SIGTERM asks it to, logs JSON to stderr, and exits: 0 when run returned nil or help was asked
// for, 1 when it returned an error, 2 when the settings or the command line are wrong; nothing has
// run then. A second signal ends the program at once. About says in a sentence what it is. A command
// is run in place of run where its name is the first word of the command line.
func Main[S any](name, about string, run func(ctx context.Context, settings *S, log *slog.Logger) error, commands ...Command) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals) // the next one has its usual effect
		cancel()
	}()
	os.Exit(Run(ctx, name, about, os.Args[1:], os.Stdout, os.Stderr, run, commands...))
}

// Command is something else that a program does, with settings of its own.
type Command struct {
	name, words, about string
	run                func(ctx context.Context, program string, args []string, stdout, stderr io.Writer) int
}

// NewCommand returns the command of a name, which is run as Main runs a program: "owl sleep".
func NewCommand[S any](name, about string, run func(ctx context.Context, settings *S, log *slog.Logger) error) Command {
	return Command{name, "[--config FILE]", about, func(ctx context.Context, program string, args []string, stdout, stderr io.Writer) int {
		return Run(ctx, program+" "+name, about, args, stdout, stderr, run)
	}}
}

// NewProgram returns a command that reads what follows its name itself; words say what that may be.
func NewProgram(name, words, about string, run func(ctx context.Context, args []string, stdout, stderr io.Writer) int) Command {
	return Command{name, words, about, func(ctx context.Context, _ string, args []string, stdout, stderr io.Writer) int {
		return run(ctx, args, stdout, stderr)
	}}
}

// Run is Main without the process: it returns the exit code.
func Run[S any](ctx context.Context, name, about string, args []string, stdout, stderr io.Writer,
	run func(ctx context.Context, settings *S, log *slog.Logger) error, commands ...Command,
) int {
	for _, c := range commands {
		if len(args) > 0 && args[0] == c.name {
			return c.run(ctx, name, args[1:], stdout, stderr)
		}
	}
	settings := new(S)
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("config", os.Getenv(config.FileVariable), "")
	ask := flags.Bool("health", false, "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		if err := help(stdout, name, about, settings, commands); err != nil {
			return exitFailed
		}
		return 0
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("%q is one word too many", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %s; %s --help says what there is\n", name, err, name)
		return exitUsage
	}

	if *ask {
		return health(ctx, name, stderr)
	}
	log := Logger(stderr, name)
	if !Settings(settings, *file, log) {
		return exitUsage
	}
	log.Info("starting")
	if err := run(ctx, settings, log); ctx.Err() != nil && errors.Is(err, context.Canceled) {
		log.Info("ended before it was up")
		return 0
	} else if err != nil {
		log.Error("ended with an error", "error", err)
		return exitFailed
	}
	log.Info("ended")
	return 0
}

// Logger is the log of a program: JSON, in which secrets and card numbers are starred (see package
// redact). Main makes it for programs that stay; a lambda does it itself.
func Logger(w io.Writer, name string) *slog.Logger {
	return slog.New(redact.Handler(slog.NewJSONHandler(w, nil))).With("service", name)
}

// Settings reads settings, logs each thing that is wrong or odd about them, and says whether they
// can be used. Main does it for programs that stay; a lambda does it itself.
func Settings(settings any, file string, log *slog.Logger) bool {
	warnings, err := config.Read(settings, file)
	for _, w := range warnings {
		log.Warn(w)
	}
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			log.Error(p.Error(), "variable", p.Name)
		}
		log.Error("the settings are wrong; nothing was started", "problems", len(problems))
	}
	return err == nil
}

func help(w io.Writer, name, about string, settings any, commands []Command) error {
	var more strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&more, "       %s %s %s  %s\n", name, c.name, c.words, c.about)
	}
	_, err := fmt.Fprintf(w, `%s %s

usage: %s [--config FILE]
%s
What can be set are environment variables. %s (or --config) names a YAML, JSON or TOML file with
the same names, where one is liked better; the environment wins. --health ends with 0 when the one that
runs here, with this PORT, is ready, for containers' checks.

`, name, about, name, more.String(), config.FileVariable)
	if err != nil {
		return err
	}
	return config.Help(w, settings)
}
