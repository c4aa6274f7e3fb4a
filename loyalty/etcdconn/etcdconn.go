// Package etcdconn is how every program reaches etcd: its endpoints, TLS and a user.
package etcdconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/angelowl-loyalties/app/loyalty/config"
)

// Settings say where etcd is and how to sign in.
type Settings struct {
	Endpoints []string      `env:"ETCD_ENDPOINTS" help:"etcd's members, host:port or https://host:port, several with commas between; https, or a file for TLS, encrypts"`
	Username  string        `env:"ETCD_USERNAME,optional" help:"etcd's user, where it asks for one"`
	Password  config.Secret `env:"ETCD_PASSWORD,optional" help:"the user's password"`
	TLS       config.TLS    `prefix:"ETCD_"`
}

const secure, plain = "https://", "http://"

// Check is config.Checker's.
func (s *Settings) Check() []config.Problem {
	var out []config.Problem
	add := func(name, format string, args ...any) {
		out = append(out, config.Problem{Name: name, Reason: fmt.Sprintf(format, args...)})
	}
	for _, e := range s.Endpoints {
		address := strings.TrimPrefix(strings.TrimPrefix(e, secure), plain)
		if host, port, err := net.SplitHostPort(strings.TrimSuffix(address, "/")); err != nil || host == "" || port == "" {
			add("ETCD_ENDPOINTS", "has %q, which is not host:port (etcd's is mostly 2379)", e)
		}
		if strings.HasPrefix(e, plain) && s.encrypted() {
			add("ETCD_ENDPOINTS", "has %q without encryption, and the rest of the settings ask for it; say https for all", e)
		}
	}
	if (s.Username == "") != (s.Password.Reveal() == "") {
		add("ETCD_USERNAME", "and ETCD_PASSWORD belong together; set both or none")
	}
	return out
}

func (s *Settings) encrypted() bool {
	for _, e := range s.Endpoints {
		if strings.HasPrefix(e, secure) {
			return true
		}
	}
	return s.TLS.Given()
}

// Open returns a client. Without a user it does not wait for etcd; with one it signs in, for which
// etcd has to be there: see Unavailable.
func (s *Settings) Open(log *slog.Logger) (*clientv3.Client, error) {
	cfg := clientv3.Config{
		Endpoints:            s.Endpoints,
		Username:             s.Username,
		Password:             s.Password.Reveal(),
		DialTimeout:          5 * time.Second,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		Logger:               logger(log), // its own writes to standard error in a form of its own
	}
	if s.encrypted() {
		cfg.TLS = s.TLS.Config()
	}
	c, err := clientv3.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd at %s: %w", strings.Join(s.Endpoints, ","), err)
	}
	return c, nil
}

// Unavailable says whether the same may succeed later. That a user is not let in does not pass.
func Unavailable(err error) bool {
	if errors.Is(err, rpctypes.ErrAuthFailed) {
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	for ; err != nil; err = errors.Unwrap(err) {
		if s, ok := status.FromError(err); ok {
			return s.Code() == codes.Unavailable || s.Code() == codes.DeadlineExceeded
		}
	}
	return false
}

// logger takes the client's errors into log.
func logger(log *slog.Logger) *zap.Logger {
	encoding := zapcore.EncoderConfig{MessageKey: "msg", EncodeDuration: zapcore.StringDurationEncoder}
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), zapcore.AddSync(lines{log}), zapcore.ErrorLevel))
}

type lines struct{ log *slog.Logger }

func (l lines) Write(b []byte) (int, error) {
	l.log.Warn("etcd: " + strings.TrimSpace(string(b)))
	return len(b), nil
}
