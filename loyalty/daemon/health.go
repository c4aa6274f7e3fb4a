package daemon

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
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
	if err := ready(ctx, cmp.Or(os.Getenv("PORT"), "8080"), os.Getenv("TLS_CERT_FILE")); err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", name, err)
		return exitFailed
	}
	return 0
}

// ready asks a port of this machine. It is the one whose certificate is in the file, if there is a file.
func ready(ctx context.Context, port, certificate string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	scheme, transport := "http", &http.Transport{DisableKeepAlives: true}
	if certificate != "" {
		conf, err := only(certificate)
		if err != nil {
			return err
		}
		scheme, transport.TLSClientConfig = "https", conf
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort("127.0.0.1", port)+"/health", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: transport}
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

// only trusts the certificate of a file, by whatever name.
func only(file string) (*tls.Config, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading TLS_CERT_FILE: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("reading TLS_CERT_FILE: %s has no certificate in PEM", file)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading TLS_CERT_FILE: %w", err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	conf.RootCAs.AddCert(leaf)
	if len(leaf.DNSNames) > 0 {
		conf.ServerName = leaf.DNSNames[0]
	}
	return conf, nil
}
