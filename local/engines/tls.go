//go:build unix

package engines

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
)

// keystore writes what the JVM's engines read: the key and the certificate in one file.
func (n *Node) keystore() error {
	if n.tls == nil {
		return nil
	}
	key, err := os.ReadFile(n.tls.Key)
	if err != nil {
		return err
	}
	chain, err := os.ReadFile(n.tls.Chain)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(n.dir, "node.pem"), append(append(key, '\n'), chain...), 0o600)
}

// clientTLS is how this process asks a node; nil without TLS.
func (n *Node) clientTLS() (*tls.Config, error) {
	if n.tls == nil {
		return nil, nil
	}
	authority, err := os.ReadFile(n.tls.Authority)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: n.host}
	if !conf.RootCAs.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s has no certificate", n.tls.Authority)
	}
	return conf, nil
}
