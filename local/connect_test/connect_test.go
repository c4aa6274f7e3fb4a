// Package connect_test reaches Kafka and etcd as a bank has them: over TLS, and signed in.
package connect_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/angelowl-loyalties/app/local/etcd"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/config/tlstest"
	"github.com/angelowl-loyalties/app/loyalty/etcdconn"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// sarama's metrics tick for as long as the process lives.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

// server is the TLS of a server; it asks clients for a certificate of the authority if mutual.
func server(t *testing.T, a *tlstest.Authority, mutual bool) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(a.Issue("server", "127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}}
	if mutual {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, a.Pool()
	}
	return c
}

// with are the files of a client of a that has a certificate of an authority.
func with(a, of *tlstest.Authority) config.TLS {
	cert, key := of.Issue("client")
	return config.TLS{CA: a.CA(), Cert: cert, Key: key}
}

func TestKafka(t *testing.T) {
	a, stranger := tlstest.New(t), tlstest.New(t)
	ca, mutual := config.TLS{CA: a.CA()}, with(a, a)
	pass, wrong := config.NewSecret("pässword, with a comma"), config.NewSecret("wrong")
	for _, test := range []struct {
		name   string
		broker []kfake.Opt
		s      kafkaconn.Settings
		ok     bool
	}{
		{"neither", nil, kafkaconn.Settings{}, true},
		{"TLS", []kfake.Opt{kfake.TLS(server(t, a, false))}, kafkaconn.Settings{TLS: true, Files: ca}, true},
		{"TLS of a stranger", []kfake.Opt{kfake.TLS(server(t, stranger, false))}, kafkaconn.Settings{TLS: true, Files: ca}, false},
		{"a certificate of our own", []kfake.Opt{kfake.TLS(server(t, a, true))}, kafkaconn.Settings{TLS: true, Files: mutual}, true},
		{"a certificate that is missing", []kfake.Opt{kfake.TLS(server(t, a, true))}, kafkaconn.Settings{TLS: true, Files: ca}, false},
		{"SCRAM-SHA-512 over TLS, as MSK", sasl("SCRAM-SHA-512", pass, kfake.TLS(server(t, a, false))),
			kafkaconn.Settings{TLS: true, Files: ca, SASL: "SCRAM-SHA-512", Username: "owl", Password: pass}, true},
		{"SCRAM-SHA-256", sasl("SCRAM-SHA-256", pass), kafkaconn.Settings{SASL: "SCRAM-SHA-256", Username: "owl", Password: pass}, true},
		{"PLAIN over TLS", sasl("PLAIN", pass, kfake.TLS(server(t, a, false))),
			kafkaconn.Settings{TLS: true, Files: ca, SASL: "PLAIN", Username: "owl", Password: pass}, true},
		{"a wrong password", sasl("SCRAM-SHA-512", pass), kafkaconn.Settings{SASL: "SCRAM-SHA-512", Username: "owl", Password: wrong}, false},
		{"not signed in", sasl("SCRAM-SHA-512", pass), kafkaconn.Settings{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cluster, err := kfake.NewCluster(append(test.broker, kfake.NumBrokers(1), kfake.SeedTopics(1, "transaction"))...)
			if err != nil {
				t.Fatal(err)
			}
			defer cluster.Close()
			s := test.s
			s.Brokers = cluster.ListenAddrs()
			if problems := append(s.Files.Check(), s.Check()...); len(problems) > 0 {
				t.Fatal(problems)
			}
			c := sarama.NewConfig()
			c.Version = sarama.V3_6_0_0
			c.Producer.Return.Successes = true
			c.Metadata.Retry.Max = 1
			c.Net.DialTimeout, c.Net.ReadTimeout = 5*time.Second, 5*time.Second
			s.Apply(c)
			err = produce(s.Brokers, c)
			if (err == nil) != test.ok {
				t.Errorf("error: %v", err)
			}
		})
	}
}

func sasl(mechanism string, pass config.Secret, more ...kfake.Opt) []kfake.Opt {
	return append(more, kfake.EnableSASL(), kfake.Superuser(mechanism, "owl", pass.Reveal()))
}

func produce(brokers []string, c *sarama.Config) error {
	p, err := sarama.NewSyncProducer(brokers, c)
	if err != nil {
		return err
	}
	defer p.Close()
	_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: "transaction", Value: sarama.StringEncoder("x")})
	return err
}

// TestEtcdOverTLS has etcd as a bank has it: encrypted, and with certificates of the clients.
func TestEtcdOverTLS(t *testing.T) {
	a, stranger := tlstest.New(t), tlstest.New(t)
	ca := config.TLS{CA: a.CA()}
	for _, server := range []struct {
		name   string
		of     *tlstest.Authority
		mutual bool
		tests  []tlsTest
	}{
		{"TLS", a, false, []tlsTest{
			{"by https", "https://", ca, true},
			{"by the file alone", "", ca, true},
			{"not encrypted", "", config.TLS{}, false},
			{"of an authority that nobody named", "https://", config.TLS{}, false},
		}},
		{"TLS of a stranger", stranger, false, []tlsTest{{"refused", "https://", ca, false}}},
		{"mutual TLS", a, true, []tlsTest{
			{"a certificate of our own", "https://", with(a, a), true},
			{"a certificate that is missing", "https://", ca, false},
			{"a certificate of a stranger", "https://", with(a, stranger), false},
		}},
	} {
		t.Run(server.name, func(t *testing.T) {
			endpoint := etcdOverTLS(t, server.of, server.mutual)
			for _, test := range server.tests {
				t.Run(test.name, func(t *testing.T) {
					s := etcdconn.Settings{Endpoints: []string{test.scheme + endpoint}, TLS: test.files}
					if problems := append(s.TLS.Check(), s.Check()...); len(problems) > 0 {
						t.Fatal(problems)
					}
					c, err := s.Open(slog.New(slog.DiscardHandler))
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					wait := time.Second // it is tried again and again: only its time ends that
					if test.ok {
						wait = 20 * time.Second
					}
					ctx, cancel := context.WithTimeout(t.Context(), wait)
					defer cancel()
					if _, err := c.Put(ctx, "k", "v"); (err == nil) != test.ok {
						t.Errorf("error: %v", err)
					}
				})
			}
		})
	}
}

type tlsTest struct {
	name   string
	scheme string // of the endpoint
	files  config.TLS
	ok     bool
}

// etcdOverTLS starts a member with the authority's certificate of a server, and returns its address.
func etcdOverTLS(t *testing.T, a *tlstest.Authority, mutual bool) string {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir = t.TempDir()
	cfg.LogLevel = "fatal"
	cfg.ListenClientUrls = []url.URL{{Scheme: "https", Host: "127.0.0.1:0"}}
	cfg.ListenPeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg.TickMs, cfg.ElectionMs = 10, 100
	cert, key := a.Issue("server", "127.0.0.1")
	cfg.ClientTLSInfo = transport.TLSInfo{CertFile: cert, KeyFile: key, ClientCertAuth: mutual}
	if mutual {
		cfg.ClientTLSInfo.TrustedCAFile = a.CA()
	}
	member, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(member.Close)
	select {
	case <-member.Server.ReadyNotify():
	case err := <-member.Err():
		t.Fatal(err)
	}
	return member.Clients[0].Addr().String()
}

func TestEtcd(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	member, err := etcd.Start(t.Context(), t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	defer func() {
		if !closed {
			member.Close()
		}
	}()
	root, err := member.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, user := range []string{"root", "owl"} {
		if _, err := root.UserAdd(t.Context(), user, "right"); err != nil {
			t.Fatal(err)
		}
		if _, err := root.UserGrantRole(t.Context(), user, "root"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := root.AuthEnable(t.Context()); err != nil {
		t.Fatal(err)
	}
	as := func(user, pass string) etcdconn.Settings {
		s := etcdconn.Settings{Endpoints: []string{member.Endpoint}, Username: user}
		if pass != "" {
			s.Password = config.NewSecret(pass)
		}
		return s
	}
	t.Run("a user", func(t *testing.T) {
		s := as("owl", "right")
		c, err := s.Open(log)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Put(t.Context(), "k", "v"); err != nil {
			t.Error(err)
		}
	})
	t.Run("a wrong password does not pass", func(t *testing.T) {
		s := as("owl", "wrong")
		if _, err := s.Open(log); err == nil || etcdconn.Unavailable(err) {
			t.Errorf("error: %v", err)
		}
	})
	t.Run("nobody", func(t *testing.T) {
		s := as("", "")
		c, err := s.Open(log)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := c.Put(ctx, "k", "v"); err == nil {
			t.Error("it may write")
		}
	})
	t.Run("an etcd that is away may come back", func(t *testing.T) {
		if testing.Short() {
			t.Skip("SKIPPED in the short form: it waits for the 5 s of a connection")
		}
		member.Close()
		closed = true
		s := as("owl", "right")
		if _, err := s.Open(log); err == nil || !etcdconn.Unavailable(err) {
			t.Errorf("error: %v", err)
		}
	})
}
