package keys

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// kept is how many keys a rotation leaves: the new one and those before it.
const kept = 3

// File returns the keys of the file at path, PEM blocks "PRIVATE KEY" (PKCS #8, RFC 5958), and makes
// it with one key where there is none; several processes may begin at once. It refuses a file that
// others may read.
func File(path string) (*Ring, error) {
	all, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createFile(path); err != nil && !errors.Is(err, fs.ErrExist) { // else another process was first
			return nil, fmt.Errorf("making the keys of tokens: %w", err)
		}
		all, err = readFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the keys of tokens: %w", err)
	}
	r := make([]key, len(all))
	for i, private := range all {
		public, err := publish(&private.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		r[i] = key{public, signer(private)}
	}
	out, err := ring(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

// Rotate puts a new key before those of the file, of which it keeps the two newest. Whoever calls File
// from then on signs with the new one.
func Rotate(path string) error {
	all, err := readFile(path)
	if err != nil {
		return fmt.Errorf("rotating the keys of tokens: %w", err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("rotating the keys of tokens: %w", err)
	}
	all = append([]*ecdsa.PrivateKey{private}, all[:min(len(all), kept-1)]...)
	if err := writeFile(path, all, os.Rename); err != nil {
		return fmt.Errorf("rotating the keys of tokens: %w", err)
	}
	return nil
}

func signer(private *ecdsa.PrivateKey) func(context.Context, []byte) ([]byte, error) {
	return func(_ context.Context, input []byte) ([]byte, error) {
		digest := sha256.Sum256(input)
		r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			return nil, fmt.Errorf("signing: %w", err)
		}
		return joined(r, s), nil
	}
}

func readFile(path string) ([]*ecdsa.PrivateKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s may be used by others (%04o): whoever reads it can sign in as anybody. Say chmod 600 %s, and if others may have read it, remove it: a new one is made, and everybody signs in again", path, mode, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, err
	}
	var out []*ecdsa.PrivateKey
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil || block.Type != "PRIVATE KEY" {
			return nil, fmt.Errorf("%s has something else than keys (PEM, PKCS #8) in it", path) // never what
		}
		private, ok := parsed.(*ecdsa.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("%s has a key that is not of the curve P-256", path)
		}
		out = append(out, private)
	}
	if len(out) == 0 || len(bytes.TrimSpace(b)) > 0 {
		return nil, fmt.Errorf("%s has something else than keys (PEM, PKCS #8) in it", path)
	}
	return out, nil
}

// createFile makes the file with one key. Its error matches fs.ErrExist where it is there meanwhile.
func createFile(path string) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return writeFile(path, []*ecdsa.PrivateKey{private}, func(tmp, path string) error {
		return errors.Join(os.Link(tmp, path), os.Remove(tmp)) // unlike a rename, a link replaces nothing
	})
}

// writeFile writes keys into a file beside path, which place puts there: nobody sees half a file.
func writeFile(path string, all []*ecdsa.PrivateKey, place func(tmp, path string) error) error {
	var b bytes.Buffer
	for _, private := range all {
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return err
		}
		if err := pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
			return err
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return place(f.Name(), path)
}
