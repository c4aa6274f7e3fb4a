//go:build unix

package engines

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// postgres is PostgreSQL, with a password as a bank's has one.
type postgres struct{ bin string }

const superuser = "angelowl"

func (postgres) ports() int           { return 1 }
func (postgres) stop() syscall.Signal { return syscall.SIGINT } // ends sessions; SIGTERM would wait for them

// early: the sessions of a server that somebody killed notice it a moment later.
func (postgres) early(log string) bool {
	return strings.Contains(log, "pre-existing shared memory block") || strings.Contains(log, `lock file "postmaster.pid" already exists`)
}

func (postgres) addr(e *Engine, n *Node) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, e.password), Host: n.hostPort(0),
		Path: "/postgres", RawQuery: "sslmode=disable"}
	return u.String()
}

func (p postgres) prepare(ctx context.Context, e *Engine, n *Node) error {
	data := filepath.Join(n.dir, "data")
	made := filepath.Join(n.dir, "made") // initdb that was cut short leaves what looks whole
	if _, err := os.Stat(made); err == nil {
		return nil
	}
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	user, err := unprivileged()
	if err != nil {
		return err
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	pw := filepath.Join(n.dir, "password")
	if err := os.WriteFile(pw, []byte(e.password), 0o600); err != nil {
		return err
	}
	defer os.Remove(pw)
	if user != nil {
		if err := errors.Join(os.Chown(data, user.uid, user.gid), os.Chown(pw, user.uid, user.gid)); err != nil {
			return err
		}
	}
	argv := []string{filepath.Join(p.bin, "initdb"), "-D", data, "-U", superuser, "--pwfile", pw,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"}
	if err := run(ctx, command{argv: argv, user: user}, n); err != nil {
		return err
	}
	return os.WriteFile(made, nil, 0o644)
}

func (p postgres) command(_ *Engine, n *Node) (command, error) {
	user, err := unprivileged()
	if err != nil {
		return command{}, err
	}
	argv := []string{filepath.Join(p.bin, "postgres"), "-D", filepath.Join(n.dir, "data"),
		"-c", "listen_addresses=" + n.host, "-p", strconv.Itoa(n.ports[0]), "-c", "unix_socket_directories=",
		"-c", "max_connections=200", "-c", "shared_buffers=32MB"}
	if n.tls != nil {
		// It takes a key that is its own user's and nobody else may read.
		chain, key := filepath.Join(n.dir, "data", "server.crt"), filepath.Join(n.dir, "data", "server.key")
		for from, to := range map[string]string{n.tls.Chain: chain, n.tls.Key: key} {
			b, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(to, b, 0o600)
			}
			if err == nil && user != nil {
				err = os.Chown(to, user.uid, user.gid)
			}
			if err != nil {
				return command{}, err
			}
		}
		argv = append(argv, "-c", "ssl=on", "-c", "ssl_cert_file="+chain, "-c", "ssl_key_file="+key)
	}
	return command{user: user, argv: argv}, nil
}

func (postgres) ready(ctx context.Context, _ *Engine, n *Node) error {
	c, err := pgx.Connect(ctx, n.Addr)
	if err != nil {
		return err
	}
	return errors.Join(c.Ping(ctx), c.Close(ctx))
}
