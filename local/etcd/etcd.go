// Package etcd runs the real etcd inside this process, one member on loopback.
package etcd

import (
	"context"
	"fmt"
	"net/url"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

// Server is a running member. Stop it with Close.
type Server struct {
	etcd *embed.Etcd
	// Endpoint is the address for clients, such as 127.0.0.1:43211.
	Endpoint string
}

// Start opens the member whose data are under dir, or makes it, on a free port of loopback. It
// returns when the member serves. A member that loses its process loses nothing: etcd writes its
// log before it answers.
func Start(ctx context.Context, dir string) (*Server, error) {
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
	cfg.LogLevel = "error"
	cfg.LogOutputs = []string{"stderr"}
	cfg.TickMs, cfg.ElectionMs = 10, 100 // a group of one elects itself; a start need not wait a second for it
	cfg.AutoCompactionMode = "periodic"
	cfg.AutoCompactionRetention = "1h"
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("starting etcd in %s: %w", dir, err)
	}
	s := &Server{etcd: e}
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		s.Close()
		return nil, fmt.Errorf("starting etcd in %s: %w", dir, err)
	case <-ctx.Done():
		s.Close()
		return nil, ctx.Err()
	}
	s.Endpoint = e.Clients[0].Addr().String()
	return s, nil
}

// Err says when the member has failed.
func (s *Server) Err() <-chan error { return s.etcd.Err() }

// Close stops the member and waits for it.
func (s *Server) Close() { s.etcd.Close() }

// Client connects to the member.
func (s *Server) Client() (*clientv3.Client, error) {
	c, err := clientv3.New(clientv3.Config{
		Endpoints:            []string{s.Endpoint},
		DialTimeout:          5 * time.Second,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd at %s: %w", s.Endpoint, err)
	}
	return c, nil
}
