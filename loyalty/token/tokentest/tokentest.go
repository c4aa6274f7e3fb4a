// Package tokentest makes tokens for tests.
package tokentest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty/token"
)

// Signer is a token.Signer with a key of its own.
type Signer struct {
	ID      string
	Private *ecdsa.PrivateKey
}

// NewSigner makes a key.
func NewSigner(t testing.TB) *Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Signer{uuid.NewString(), key}
}

// Key is token.Signer's.
func (s *Signer) Key() jose.JSONWebKey {
	return jose.JSONWebKey{Key: &s.Private.PublicKey, KeyID: s.ID, Algorithm: string(jose.ES256), Use: "sig"}
}

// Sign is token.Signer's.
func (s *Signer) Sign(_ context.Context, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	r, v, err := ecdsa.Sign(rand.Reader, s.Private, digest[:])
	if err != nil {
		return nil, err
	}
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	v.FillBytes(out[32:])
	return out, nil
}

// Verifier takes the signer's tokens, by the clock of the machine.
func (s *Signer) Verifier() *token.Verifier {
	return &token.Verifier{Party: token.DefaultParty, Keys: token.Fixed{s.Key()}, Clock: time.Now}
}

// Token is a token for an account, good for the usual time.
func (s *Signer) Token(t testing.TB, subject string, role token.Role) string {
	t.Helper()
	now := time.Now()
	return s.Sealed(t, token.Claims{Subject: subject, Role: role, Session: 1, ID: uuid.NewString(), Issued: now, Expires: now.Add(token.Lifetime)})
}

// Sealed is a token with these claims.
func (s *Signer) Sealed(t testing.TB, c token.Claims) string {
	t.Helper()
	raw, err := token.DefaultParty.Sign(t.Context(), s, c)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
