// Package keys keeps the private keys that profiler signs tokens with: in a file, or in AWS KMS, which
// never gives them out. Of several keys the first signs; the others are published with it, so that
// what they signed is good until it expires. A key's id is its thumbprint (RFC 7638), so it is the
// same for every instance.
package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/angelowl-loyalties/app/loyalty/token"
)

// Ring is one or more keys. It is a token.Signer, and may be used by several goroutines at once.
type Ring struct {
	keys []key
}

var _ token.Signer = (*Ring)(nil)

// key is one key.
type key struct {
	public jose.JSONWebKey
	sign   func(ctx context.Context, input []byte) ([]byte, error)
}

// Key is token.Signer's: the key that signs.
func (r *Ring) Key() jose.JSONWebKey { return r.keys[0].public }

// Sign is token.Signer's.
func (r *Ring) Sign(ctx context.Context, input []byte) ([]byte, error) {
	return r.keys[0].sign(ctx, input)
}

// Public are the public halves of all keys, the one that signs first.
func (r *Ring) Public() []jose.JSONWebKey {
	out := make([]jose.JSONWebKey, len(r.keys))
	for i := range r.keys {
		out[i] = r.keys[i].public
	}
	return out
}

func ring(all []key) (*Ring, error) {
	seen := map[string]bool{}
	for _, k := range all {
		if seen[k.public.KeyID] {
			return nil, fmt.Errorf("the key %s is there twice", k.public.KeyID)
		}
		seen[k.public.KeyID] = true
	}
	if len(all) == 0 {
		return nil, errors.New("there is no key")
	}
	return &Ring{all}, nil
}

// publish describes a public key to those who verify.
func publish(public crypto.PublicKey) (jose.JSONWebKey, error) {
	k, ok := public.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P256() {
		return jose.JSONWebKey{}, errors.New("the key is not of the curve P-256, which ES256 needs")
	}
	jwk := jose.JSONWebKey{Key: k, Algorithm: string(jose.ES256), Use: "sig"}
	print, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return jwk, fmt.Errorf("naming a key: %w", err)
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(print)
	return jwk, nil
}
