package rewarddb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// Open connects to the store's keyspace. log takes what the driver says; nil: nothing does. The
// caller closes the session.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*gocql.Session, error) {
	return open(ctx, cfg, cfg.Keyspace, log)
}

// OpenCluster connects to no keyspace, for who makes one.
func OpenCluster(ctx context.Context, cfg Config, log *slog.Logger) (*gocql.Session, error) {
	return open(ctx, cfg, "", log)
}

func open(ctx context.Context, cfg Config, keyspace string, log *slog.Logger) (*gocql.Session, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("opening the reward store: %w", err)
	}
	cfg = cfg.WithDefaults()
	how, err := cluster(cfg, keyspace, log)
	if err != nil {
		return nil, fmt.Errorf("opening the reward store: %w", err)
	}
	// The driver's calls know no context here; they end by ConnectTimeout.
	type opened struct {
		session *gocql.Session
		err     error
	}
	done := make(chan opened, 1)
	go func() {
		s, err := how.CreateSession()
		done <- opened{s, err}
	}()
	var o opened
	select {
	case <-ctx.Done():
		go func() {
			if o := <-done; o.session != nil {
				o.session.Close()
			}
		}()
		return nil, ctx.Err()
	case o = <-done:
	}
	if o.err != nil {
		if keyspace != "" && !there(ctx, cfg, keyspace) {
			o.err = Refused(fmt.Errorf("there is no keyspace %q; make it with the replication that the bank wants, as the deployment guide says (%w)", keyspace, o.err))
		} else {
			o.err = opening(o.err, cfg)
		}
		return nil, fmt.Errorf("opening the reward store at %s: %w", strings.Join(cfg.Hosts, ", "), o.err)
	}
	if cfg.LocalDC == "" {
		if err := oneDC(ctx, o.session); err != nil {
			o.session.Close()
			return nil, fmt.Errorf("opening the reward store: %w", err)
		}
	}
	return o.session, nil
}

// there says whether a keyspace is, as far as is known. The driver says only that it could not
// connect.
func there(ctx context.Context, cfg Config, keyspace string) bool {
	s, err := OpenCluster(ctx, cfg, nil)
	if err != nil {
		return true
	}
	defer s.Close()
	err = s.Query("SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?", keyspace).
		Consistency(gocql.One).ScanContext(ctx, new(string))
	return !errors.Is(err, gocql.ErrNotFound)
}

// opening says in plain words what the driver only hints at.
func opening(err error, cfg Config) error {
	for hint, means := range map[string]string{
		"authentication required": "it asks for a user name and a password, and none is set",
		"password are incorrect":  fmt.Sprintf("it does not know the user %q with this password", cfg.Username),
		"x509":                    "its certificate is not trusted",
	} {
		if strings.Contains(err.Error(), hint) {
			return Refused(fmt.Errorf("%s (%w)", means, err))
		}
	}
	if cfg.LocalDC != "" {
		return fmt.Errorf("no node of the data centre %q answers (%w)", cfg.LocalDC, err)
	}
	return err
}

// cluster is how all sessions behave.
func cluster(cfg Config, keyspace string, log *slog.Logger) (*gocql.ClusterConfig, error) {
	c := gocql.NewCluster(cfg.Hosts...)
	c.Port = cfg.Port
	c.Keyspace = keyspace
	c.ConnectTimeout = cfg.ConnectTimeout
	c.Timeout = cfg.Timeout
	c.NumConns = cfg.Connections
	c.ConvictionPolicy = innocent{}
	c.ReconnectInterval = time.Second // the driver's 60 s would double an outage of a minute
	c.Consistency = gocql.LocalQuorum
	// A first arrival is first for all data centres, not for each.
	c.SerialConsistency = gocql.Serial
	c.DefaultIdempotence = true
	c.RetryPolicy = anotherNode{}
	c.Metadata.CacheMode = gocql.KeyspaceOnly
	c.Logger = logger{log, &sync.Map{}}

	// A policy belongs to one session.
	nodes := gocql.RoundRobinHostPolicy()
	if cfg.LocalDC != "" {
		// A coordinator elsewhere would take another data centre's quorum for the local one.
		nodes = gocql.DCAwareRoundRobinPolicy(cfg.LocalDC)
		c.HostFilter = gocql.DataCenterHostFilter(cfg.LocalDC)
	}
	c.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(nodes, gocql.ShuffleReplicas())

	if cfg.Username != "" {
		c.Authenticator = gocql.PasswordAuthenticator{Username: cfg.Username, Password: cfg.Password}
	}
	if cfg.TLS {
		trust, err := trusted(cfg.CAFile)
		if err != nil {
			return nil, err
		}
		c.SslOpts = &gocql.SslOptions{Config: &tls.Config{RootCAs: trust}, EnableHostVerification: true}
	}
	if cfg.Dial != nil {
		c.Dialer = dialer(cfg.Dial)
	}
	return c, nil
}

// trusted are the certificates of a file, nil for the system's.
func trusted(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading who signs the nodes' certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading who signs the nodes' certificates: %s has no PEM certificate", file)
	}
	return pool, nil
}

// innocent never takes a node for down because connections to it fail: each request then tries to
// connect again, of itself or at another node. The driver's own policy takes the node out, and where
// a connection comes about at that very moment it calls it up and leaves it out for ever.
type innocent struct{}

func (innocent) AddFailure(error, *gocql.HostInfo) bool { return false }
func (innocent) Reset(*gocql.HostInfo)                  {}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d(ctx, network, address)
}

// oneDC keeps LOCAL_QUORUM from meaning a different place in each request.
func oneDC(ctx context.Context, s *gocql.Session) error {
	found := map[string]bool{}
	for _, from := range []string{"system.local", "system.peers"} {
		var dc string
		rows := s.Query("SELECT data_center FROM " + from).Consistency(gocql.One).IterContext(ctx)
		for rows.Scan(&dc) {
			found[dc] = true
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	if len(found) > 1 {
		return Refused(fmt.Errorf("the cluster has the data centres %s; say which one is local", strings.Join(slices.Sorted(maps.Keys(found)), ", ")))
	}
	return nil
}

// logger passes on what the driver says, as hints: whoever cannot do its work without the store says
// so itself. While a node is away the driver repeats itself every second; once a minute is enough.
type logger struct {
	log  *slog.Logger
	said *sync.Map // time.Time by message
}

const sayAgain = time.Minute

func (l logger) Error(msg string, fields ...gocql.LogField)   { l.at(slog.LevelWarn, msg, fields) }
func (l logger) Warning(msg string, fields ...gocql.LogField) { l.at(slog.LevelInfo, msg, fields) }
func (l logger) Info(msg string, fields ...gocql.LogField)    { l.at(slog.LevelDebug, msg, fields) }
func (l logger) Debug(string, ...gocql.LogField)              {} // a line for each request

func (l logger) at(level slog.Level, msg string, fields []gocql.LogField) {
	if l.log == nil || !l.log.Enabled(context.Background(), level) {
		return
	}
	now := time.Now()
	if last, ok := l.said.Load(msg); ok && now.Sub(last.(time.Time)) < sayAgain {
		return
	}
	l.said.Store(msg, now)
	attrs := make([]slog.Attr, 0, len(fields))
	for _, f := range fields {
		attrs = append(attrs, slog.String(f.Name, f.Value.String()))
	}
	l.log.LogAttrs(context.Background(), level, "cassandra: "+msg, attrs...)
}
