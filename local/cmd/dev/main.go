// Command dev is what docker-compose.yml runs beside the services: it makes secrets, prepares the engines,
// plays AWS's part (API Gateway, S3, Lambda's API, schedules, a mailbox) and loads the example. It is for one
// machine and never deployed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/daemon"
)

const usage = `dev plays AWS's part for docker-compose.yml.

usage:
  dev secrets DIR                         makes the secrets that are not in DIR yet
  dev prepare postgres|cassandra|kafka    makes users and databases, the keyspace and its tables, the topics
  dev cloud                               API Gateway, S3, Lambda's API, schedules and a mailbox, until it is told to end
  dev seed                                loads the example once, and says who can sign in
  dev health URL                          0 when URL answers 200

What prepare, cloud and seed are told are environment variables; dev COMMAND --help lists them.
`

func main() {
	command, args := "", []string(nil)
	if len(os.Args) > 1 {
		command, args = os.Args[1], os.Args[2:]
	}
	// daemon.Main reads what follows the command.
	settings := func(n int) []string {
		os.Args = append([]string{"dev " + command}, args[min(n, len(args)):]...)
		return args
	}
	switch {
	case command == "secrets" && len(args) == 1:
		exit(makeSecrets(args[0]))
	case command == "health" && len(args) == 1:
		exit(health(args[0]))
	case command == "prepare" && len(args) >= 1:
		what := settings(1)[0]
		switch what {
		case "postgres":
			daemon.Main("prepare-postgres", "makes the services' users and databases.", preparePostgres)
		case "cassandra":
			daemon.Main("prepare-cassandra", "makes the keyspace and its tables.", prepareCassandra)
		case "kafka":
			daemon.Main("prepare-kafka", "makes the topics.", prepareKafka)
		}
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	case command == "cloud":
		settings(0)
		daemon.Main("cloud", "plays AWS's part on one machine.", cloud)
	case command == "seed":
		settings(0)
		daemon.Main("seed", "loads the example once.", seed)
	case command == "--help" || command == "help":
		fmt.Print(usage)
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "dev:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// health is for health checks of containers that have no shell.
func health(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
		return errors.Join(fmt.Errorf("%s %s", res.Status, body), err)
	}
	return nil
}

// again calls f until it succeeds: engines tell that they are there a moment before they are.
func again(ctx context.Context, log *slog.Logger, what string, f func(context.Context) error) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		log.Info("waiting", "for", what, "error", err)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}
