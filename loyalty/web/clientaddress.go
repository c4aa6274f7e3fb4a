package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/angelowl-loyalties/app/loyalty/config"
)

// ClientAddressHeader is where the portal says for whose browser it asks: a JWT with an HS256 signature
// by the key that it shares with us, for the audience below, the address as its subject, and a minute to
// live.
const (
	ClientAddressHeader   = "X-Client-Address"
	clientAddressAudience = "angelowl client address"
	clientAddressLife     = 2 * time.Minute // at most, whatever the token says
	clockSkew             = 5 * time.Second // between the portal and us
)

// ClientAddress is the setting of the key by which the portal's word is taken.
type ClientAddress struct {
	Key config.Secret `env:"CLIENT_ADDRESS_KEY,optional" help:"32 characters or more that the portal has, too: by it the portal says from which address a person comes, so that limits of tries count people and not the portal"`
}

// minKey is the 256 bits that RFC 7518, 3.2 asks for.
const minKey = 32

// Check is config.Checker's.
func (s *ClientAddress) Check() []config.Problem {
	if n := len(s.Key.Reveal()); n > 0 && n < minKey {
		return []config.Problem{{Name: "CLIENT_ADDRESS_KEY", Reason: fmt.Sprintf("needs %d characters or more, as openssl rand -base64 32 makes them", minKey)}}
	}
	return nil
}

// Handler lets next see the address that the portal vouches for as the one that the request came from.
// What is not vouched for comes from where the gateway says. Without a key nobody is believed.
func (s *ClientAddress) Handler(next http.Handler, log *slog.Logger, clock func() time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := r.Header.Values(ClientAddressHeader)
		r.Header.Del(ClientAddressHeader)
		if key := s.Key.Reveal(); key != "" && len(said) > 0 {
			address, err := vouched(said, []byte(key), clock())
			if err == nil {
				r.Header.Set(SourceIPHeader, address)
			} else {
				id := r.Header.Get(RequestIDHeader)
				if !saneID(id) {
					id = ""
				}
				log.InfoContext(r.Context(), "security event", "security_event", "client_address_refused", "request_id", id, "caller", "", "role", "",
					"source_ip", sourceIP(r), "error", err)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// vouched is the address of which a token says, signed by the key, that a request comes from there.
func vouched(tokens []string, key []byte, now time.Time) (string, error) {
	if len(tokens) != 1 {
		return "", errors.New("there is more than one")
	}
	signed, err := jwt.ParseSigned(tokens[0], []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return "", err
	}
	var claims jwt.Claims
	if err := signed.Claims(key, &claims); err != nil {
		return "", err
	}
	if err := claims.ValidateWithLeeway(jwt.Expected{AnyAudience: jwt.Audience{clientAddressAudience}, Time: now}, clockSkew); err != nil {
		return "", err
	}
	if claims.Expiry == nil || claims.Expiry.Time().Sub(now) > clientAddressLife {
		return "", errors.New("it lives too long")
	}
	address, err := netip.ParseAddr(claims.Subject)
	if err != nil || address.Zone() != "" {
		return "", errors.New("its subject is not an address")
	}
	return address.String(), nil
}
