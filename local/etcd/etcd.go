// Package etcd runs the real etcd inside this process, one member on loopback.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Server is a running member. Stop it with Close.
type Server struct {
	etcd    *embed.Etcd
	serving atomic.Bool
	logger  *zap.Logger
	failed  chan error
	broken  chan struct{} // closed when the member cannot go on, nor end
	forward sync.WaitGroup
	stop    context.CancelFunc // of keeping room
	// Endpoint is the address for clients, such as 127.0.0.1:43211.
	Endpoint string
}

// Start opens the member whose data are under dir, or makes it, on a free port of loopback. It
// returns when the member serves. A member that loses its process loses nothing: etcd writes its
// log before it answers.
func Start(ctx context.Context, dir string, log *slog.Logger) (*Server, error) {
	cfg := embed.NewConfig()
	cfg.Dir = dir
	cfg.Name = "angelowl"
	any := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg.ListenClientUrls = []url.URL{any}
	cfg.ListenPeerUrls = []url.URL{any}
	// The member talks to nobody, but its peer address must not change from start to start.
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:2380"}
	cfg.AdvertisePeerUrls = []url.URL{peer}
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:2379"}}
	cfg.InitialCluster = cfg.Name + "=" + peer.String()
	s := &Server{failed: make(chan error, 1), broken: make(chan struct{})}
	s.logger = s.zap(log)
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(s.logger)
	cfg.TickMs, cfg.ElectionMs = 10, 100 // a group of one elects itself; a start need not wait a second for it
	cfg.AutoCompactionMode = "periodic"
	cfg.AutoCompactionRetention = "1h"
	e, err := s.start(cfg)
	if err != nil {
		return nil, fmt.Errorf("starting etcd in %s: %w", dir, err)
	}
	s.etcd = e
	select {
	case <-e.Server.ReadyNotify():
	case <-s.broken:
		return nil, fmt.Errorf("starting etcd in %s: %w", dir, <-s.failed)
	case err := <-e.Err():
		s.Close()
		return nil, fmt.Errorf("starting etcd in %s: %w", dir, err)
	case <-ctx.Done():
		s.Close()
		return nil, ctx.Err()
	}
	s.serving.Store(true)
	s.Endpoint = e.Clients[0].Addr().String()
	s.forward.Go(func() {
		for err := range e.Err() {
			s.fail(err)
		}
	})
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.forward.Go(func() { keepRoom(keep, filepath.Join(dir, "member", "snap", "db")) })
	return s, nil
}

// keepRoom reserves the room of the database's file, now and whenever the file has become longer, until
// ctx ends. Where that fails, by a disk that is full already or that cannot do it, etcd fails at the
// next write that needs room, as it would have anyway.
func keepRoom(ctx context.Context, path string) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for reserved := int64(0); ; {
		if info, err := os.Stat(path); err == nil && info.Size() != reserved {
			if size, err := reserve(path); err == nil {
				reserved = size
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// start starts the member. One that fails for good while it does never returns.
func (s *Server) start(cfg *embed.Config) (*embed.Etcd, error) {
	type result struct {
		etcd *embed.Etcd
		err  error
	}
	started := make(chan result, 1)
	go func() {
		e, err := embed.StartEtcd(cfg)
		started <- result{e, err}
	}()
	select {
	case r := <-started:
		return r.etcd, r.err
	case <-s.broken:
		return nil, <-s.failed
	}
}

// Err says when the member has failed. After a write that failed, to a full disk for one, it
// answers nobody any more and cannot be closed: the process has to end. What it acknowledged is
// there at the next start.
func (s *Server) Err() <-chan error { return s.failed }

func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default: // the first has not been looked at yet
	}
}

// Close stops the member and waits for it, unless it cannot end.
func (s *Server) Close() {
	s.serving.Store(false)
	if s.stop != nil {
		s.stop()
	}
	select {
	case <-s.broken:
		return
	default:
	}
	s.etcd.Close()
	s.forward.Wait()
}

// fatal is what etcd does where it would end the process, by os.Exit: it says so, and whoever it was
// stays there, with the locks that it has. Only the process can end in order.
type fatal struct {
	s    *Server
	once *sync.Once
}

// OnWrite implements zapcore.CheckWriteHook. It must not return.
func (f fatal) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	err := errors.New(entry.Message)
	for _, field := range fields {
		if cause, ok := field.Interface.(error); ok && field.Type == zapcore.ErrorType {
			err = fmt.Errorf("%s: %w", entry.Message, cause)
		}
	}
	f.once.Do(func() {
		f.s.fail(err)
		close(f.s.broken)
	})
	select {}
}

// firstStart is what a new member says once, before it has written its first snapshot.
const firstStart = "failed to update storage version"

// zap takes etcd's errors into log. While the member starts and stops it calls things errors that
// are none, such as that its listeners are closed; those are for debugging.
func (s *Server) zap(log *slog.Logger) *zap.Logger {
	lines := zapcore.AddSync(lineWriter(func(line string) {
		level := slog.LevelWarn
		if !s.serving.Load() || strings.HasPrefix(line, firstStart) {
			level = slog.LevelDebug
		}
		log.Log(context.Background(), level, "etcd: "+line)
	}))
	encoding := zapcore.EncoderConfig{MessageKey: "msg", EncodeDuration: zapcore.StringDurationEncoder}
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), lines, zapcore.ErrorLevel),
		zap.WithFatalHook(fatal{s, new(sync.Once)}))
}

type lineWriter func(string)

func (f lineWriter) Write(b []byte) (int, error) {
	f(strings.TrimSpace(string(b)))
	return len(b), nil
}

// Client connects to the member.
func (s *Server) Client() (*clientv3.Client, error) {
	c, err := clientv3.New(clientv3.Config{
		Endpoints:            []string{s.Endpoint},
		DialTimeout:          5 * time.Second,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		Logger:               s.logger, // its own writes to standard error
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd at %s: %w", s.Endpoint, err)
	}
	return c, nil
}
