package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
)

// Secret is a text that is never shown, however it is printed, logged or encoded.
type Secret struct{ reveal func() string }

// NewSecret returns a secret.
func NewSecret(text string) Secret { return Secret{func() string { return text }} }

// Reveal returns the text; "" where none was set.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

const hidden = "(secret)"

// String hides the text, and so do the next ones.
func (s Secret) String() string { return hidden }

// GoString is fmt's.
func (s Secret) GoString() string { return hidden }

// LogValue is log/slog's.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText is encoding's.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// UnmarshalText takes the text.
func (s *Secret) UnmarshalText(b []byte) error {
	*s = NewSecret(string(b))
	return nil
}

// Port is a TCP port.
type Port uint16

// UnmarshalText is encoding's.
func (p *Port) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 10, 16)
	if err == nil && n > 0 {
		*p = Port(n)
		return nil
	}
	if strings.HasPrefix(string(b), "tcp://") {
		return errors.New("must be a port from 1 to 65535; Kubernetes sets such a variable for a service of that name: say enableServiceLinks: false in the pod")
	}
	return errors.New("must be a port from 1 to 65535")
}

// Address is where to listen on the port: on every address of the machine.
func (p Port) Address() string { return ":" + strconv.Itoa(int(p)) }

// TLS are the files of a connection that is encrypted. A deployment gives the authority that signed
// the server's certificate where the machine does not know it, and a certificate of its own where
// the server asks for one.
type TLS struct {
	CA   string `env:"CA_FILE,optional" help:"PEM file of the authorities that the server's certificate is checked against; default: the machine's"`
	Cert string `env:"CERT_FILE,optional" help:"PEM file of our own certificate, where the server asks for one; read again for each connection"`
	Key  string `env:"KEY_FILE,optional" help:"PEM file of its key"`

	authorities *x509.CertPool
}

// Given says whether any of it was set.
func (t *TLS) Given() bool { return t.CA+t.Cert+t.Key != "" }

// Check reads the files.
func (t *TLS) Check() []Problem {
	var out []Problem
	if (t.Cert == "") != (t.Key == "") {
		out = append(out, Problem{"CERT_FILE", "and KEY_FILE belong together; set both or none"})
	} else if t.Cert != "" {
		if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
			out = append(out, Problem{"CERT_FILE", "and KEY_FILE cannot be used: " + err.Error()})
		}
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		t.authorities = x509.NewCertPool()
		switch {
		case err != nil:
			out = append(out, Problem{"CA_FILE", "cannot be read: " + err.Error()})
		case !t.authorities.AppendCertsFromPEM(pem):
			out = append(out, Problem{"CA_FILE", "names " + t.CA + ", which has no certificate in PEM"})
		}
	}
	return out
}

// Config is what Go's clients take, after Check.
func (t *TLS) Config() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: t.authorities}
	if t.Cert != "" {
		// Certificates are renewed while programs run.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
			return &pair, err
		}
	}
	return c
}
