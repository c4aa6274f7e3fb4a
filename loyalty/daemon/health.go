package daemon

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// health asks a program of this machine how it is, for --health: images have no shell that could. It returns the
// exit code.
func health(ctx context.Context, name string, stderr io.Writer) int {
	if err := ready(ctx, cmp.Or(os.Getenv("PORT"), "8080")); err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", name, err)
		return exitFailed
	}
	return 0
}

func ready(ctx context.Context, port string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort("127.0.0.1", port)+"/health", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
		return errors.Join(fmt.Errorf("it is not ready: %s %s", res.Status, bytes.TrimSpace(body)), err)
	}
	return nil
}
