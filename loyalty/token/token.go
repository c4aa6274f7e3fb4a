// Package token is the access tokens of AngelOwl: JWTs (RFC 7519) with an ES256 signature
// (RFC 7518, 3.4), signed by profiler and verified by everybody else with its published keys.
//
// What RFC 8725 asks for is fixed here and nowhere else: the one algorithm, the type, the issuer, the
// audience, and that a token has an end.
package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Role is what an account may do.
type Role string

// The roles.
const (
	User     Role = "user"     // a cardholder
	Bank     Role = "bank"     // bank staff
	Merchant Role = "merchant" // sends single transactions
	Admin    Role = "admin"
	Service  Role = "service" // a part of the system; only on internal ports
)

// Valid says whether it is one of the above.
func (r Role) Valid() bool {
	switch r {
	case User, Bank, Merchant, Admin, Service:
		return true
	}
	return false
}

// Must is what an account has to do before it may do anything else.
type Must string

// What there is to do.
const (
	MustNothing        Must = ""
	MustChangePassword Must = "password" // its password is the first one, which others have seen
	MustEnrolTOTP      Must = "totp"     // it has no second factor, and needs one
)

// Lifetime is how long a token is good for.
const Lifetime = 20 * time.Minute

// leeway is by how much the clocks of two machines may differ.
const leeway = 5 * time.Second

// Claims are what a token says of its bearer.
type Claims struct {
	Subject string // the account's id
	Role    Role
	Must    Must
	Session int64 // the account's session version at sign-in: when it has gone up since, the session has ended
	ID      string
	Issued  time.Time
	Expires time.Time
}

// wire is a token's JSON. is_new is what existing clients read.
type wire struct {
	jwt.Claims
	Role    Role  `json:"role"`
	IsNew   bool  `json:"is_new"`
	Must    Must  `json:"must,omitempty"`
	Session int64 `json:"session"`
}

// Party says who signs tokens and for whom they are.
type Party struct {
	Issuer   string `env:"JWT_ISSUER" default:"angelowl" help:"who signs tokens: iss of a JWT"`
	Audience string `env:"JWT_AUDIENCE" default:"angelowl-api" help:"for whom tokens are: aud of a JWT"`
}

// DefaultParty is what every deployment has that says nothing else.
var DefaultParty = Party{Issuer: "angelowl", Audience: "angelowl-api"}

// Signer makes signatures with a private key that it keeps.
type Signer interface {
	// Key is the public half, with its id, algorithm ES256 and use "sig".
	Key() jose.JSONWebKey
	// Sign returns the signature r || s, 64 bytes, of the SHA-256 of input.
	Sign(ctx context.Context, input []byte) ([]byte, error)
}

// Sign makes a token.
func (p Party) Sign(ctx context.Context, s Signer, c Claims) (string, error) {
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: opaque{ctx, s}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	raw, err := jwt.Signed(signer).Claims(wire{
		Claims: jwt.Claims{
			Issuer: p.Issuer, Audience: jwt.Audience{p.Audience}, Subject: c.Subject, ID: c.ID,
			IssuedAt: jwt.NewNumericDate(c.Issued), NotBefore: jwt.NewNumericDate(c.Issued), Expiry: jwt.NewNumericDate(c.Expires),
		},
		Role: c.Role, IsNew: c.Must == MustChangePassword, Must: c.Must, Session: c.Session,
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return raw, nil
}

// opaque is a Signer as jose takes it.
type opaque struct {
	ctx context.Context
	Signer
}

func (o opaque) Public() *jose.JSONWebKey {
	k := o.Key()
	return &k
}

func (o opaque) Algs() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES256}
}

func (o opaque) SignPayload(payload []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	return o.Sign(o.ctx, payload)
}

var (
	// ErrInvalid says that a token is not one of ours, or is so no longer. Its text is for logs; whoever
	// sent the token is told nothing beyond it.
	ErrInvalid = errors.New("the token is not valid")
	// ErrUnavailable says that nobody can tell, since the keys cannot be had.
	ErrUnavailable = errors.New("the keys that tokens are verified with cannot be had")
)

// KeySource finds the public key of an id. Its errors match ErrInvalid for a key that does not exist,
// and ErrUnavailable. It may be called by several goroutines at once.
type KeySource interface {
	Key(ctx context.Context, id string) (jose.JSONWebKey, error)
}

// Verifier says what a token is worth.
type Verifier struct {
	Party Party
	Keys  KeySource
	Clock func() time.Time
}

// Verify returns what a valid token says. Its errors match ErrInvalid or ErrUnavailable.
func (v *Verifier) Verify(ctx context.Context, raw string) (Claims, error) {
	if len(raw) > 4096 {
		return Claims{}, fmt.Errorf("%w: it has %d bytes", ErrInvalid, len(raw))
	}
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(parsed.Headers) != 1 {
		return Claims{}, fmt.Errorf("%w: it has %d signatures", ErrInvalid, len(parsed.Headers))
	}
	key, err := v.Keys.Key(ctx, parsed.Headers[0].KeyID)
	if err != nil {
		return Claims{}, err
	}
	var w wire
	if err := parsed.Claims(key.Key, &w); err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	switch {
	case w.Expiry == nil, w.IssuedAt == nil, w.NotBefore == nil, w.Subject == "":
		return Claims{}, fmt.Errorf("%w: it lacks exp, iat, nbf or sub", ErrInvalid)
	case !w.Role.Valid():
		return Claims{}, fmt.Errorf("%w: its role is unknown", ErrInvalid)
	}
	if err := w.ValidateWithLeeway(jwt.Expected{
		Issuer: v.Party.Issuer, AnyAudience: jwt.Audience{v.Party.Audience}, Time: v.Clock(),
	}, leeway); err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	c := Claims{
		Subject: w.Subject, Role: w.Role, Must: w.Must, Session: w.Session, ID: w.ID,
		Issued: w.IssuedAt.Time(), Expires: w.Expiry.Time(),
	}
	if w.IsNew && c.Must == MustNothing {
		c.Must = MustChangePassword
	}
	return c, nil
}
