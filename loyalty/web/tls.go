package web

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/metrics"
)

// TLS are the settings of the certificate that a service serves its ports with.
type TLS struct {
	Cert string `env:"TLS_CERT_FILE,optional" help:"PEM file of the certificate that the ports are served with, those of its authorities behind it, read again when it changes; default: they are not encrypted"`
	Key  string `env:"TLS_KEY_FILE,optional" help:"PEM file of its key"`
}

// Check is config.Checker's.
func (t *TLS) Check() []config.Problem {
	out := (&config.TLS{Cert: t.Cert, Key: t.Key}).Check()
	for i := range out {
		out[i].Name = "TLS_" + out[i].Name
	}
	return out
}

// Listen listens on a port of every address of the machine. Where there is a certificate, who connects has to
// speak TLS 1.2 or newer; HTTP is 1.1, as load balancers speak it to what is behind them.
func (t *TLS) Listen(ctx context.Context, port config.Port, log *slog.Logger) (*Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", port.Address())
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	out := &Listener{TCPListener: l.(*net.TCPListener)}
	if t.Cert != "" {
		out.files = &pair{cert: t.Cert, key: t.Key, log: log}
		out.config = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: out.files.certificate}
	}
	return out, nil
}

// Listener is a service's port.
type Listener struct {
	*net.TCPListener
	config *tls.Config // nil: it is not encrypted
	files  *pair       // the config's
}

// MeasureCertificate shows in a service's metrics for how long the certificate of its ports is good.
func MeasureCertificate(set *metrics.Set, l net.Listener, clock func() time.Time) {
	set.Gauge("certificate_ends_seconds", "Until the certificate that the ports are served with ends; +Inf without one.", nil, func(emit func(string, ...string)) {
		own, ok := l.(*Listener)
		if !ok || own.files == nil {
			emit("+Inf")
			return
		}
		now, err := own.files.certificate(nil)
		if err != nil {
			emit("0") // nobody can connect
			return
		}
		emit(strconv.FormatInt(int64(now.Leaf.NotAfter.Sub(clock()).Seconds()), 10))
	})
}

// Accept is net.Listener's. The handshake is left to the first who reads.
func (l *Listener) Accept() (net.Conn, error) {
	conn, err := l.TCPListener.Accept()
	if err != nil || l.config == nil {
		return conn, err
	}
	return tls.Server(conn, l.config), nil
}

// pair is a certificate in files that are replaced while the program runs.
type pair struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	read   [2]version // of what is loaded, or was tried last
	loaded *tls.Certificate
}

// version tells a file from the one that was there before.
type version struct {
	at   time.Time
	size int64
}

// certificate is that of the files. While they cannot be read, or do not belong together since only one was
// replaced yet, the one before is still good.
func (p *pair) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, err := versions(p.cert, p.key)
	if err == nil && p.loaded != nil && now == p.read {
		return p.loaded, nil
	}
	var fresh tls.Certificate
	if err == nil {
		fresh, err = tls.LoadX509KeyPair(p.cert, p.key)
	}
	switch {
	case err == nil:
		if p.loaded != nil {
			p.log.Info("the certificate was replaced", "file", p.cert, "until", fresh.Leaf.NotAfter)
		}
		p.loaded = &fresh
	case p.loaded == nil:
		return nil, fmt.Errorf("reading the certificate: %w", err)
	case now != p.read:
		p.log.Error("the new certificate cannot be used; the one before is served on", "file", p.cert, "until", p.loaded.Leaf.NotAfter, "error", err)
	}
	p.read = now
	return p.loaded, nil
}

func versions(names ...string) (out [2]version, err error) {
	for i, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return out, err
		}
		out[i] = version{info.ModTime(), info.Size()}
	}
	return out, nil
}
