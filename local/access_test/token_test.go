package access_test

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/authorizer"
	"github.com/angelowl-loyalties/app/local/gateway"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/token/tokentest"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// forge makes a token of any header and claims, signed by whatever sign is.
func forge(header, claims object, sign func(input []byte) []byte) string {
	input := b64([]byte(header.String())) + "." + b64([]byte(claims.String()))
	return input + "." + b64(sign([]byte(input)))
}

// attack is a token that is none of ours, or is so no longer.
type attack struct{ name, token string }

func attacks(t *testing.T) (control string, all []attack) {
	t.Helper()
	key := w.keys.Key()
	parts := strings.Split(w.tokens[admin], ".")
	claims := func(change object) object {
		out := object{}
		if err := json.Unmarshal(must[[]byte](t)(base64.RawURLEncoding.DecodeString(parts[1])), &out); err != nil {
			t.Fatal(err)
		}
		for name, value := range change {
			out[name] = value
		}
		return out
	}
	header := func(alg string) object { return object{"alg": alg, "typ": "JWT", "kid": key.KeyID} }
	ours := func(input []byte) []byte { return must[[]byte](t)(w.keys.Sign(t.Context(), input)) }
	none := func([]byte) []byte { return nil }
	add := func(name, token string) { all = append(all, attack{name, token}) }

	for _, alg := range []string{"none", "None", "NONE", "nOnE", ""} {
		add("alg "+alg, forge(header(alg), claims(nil), none))
	}
	der := must[[]byte](t)(x509.MarshalPKIXPublicKey(key.Key))
	jwk := must[[]byte](t)(key.MarshalJSON())
	set := []byte(want(t, 200, "", "GET", "/.well-known/jwks.json", "").body)
	for name, secret := range map[string][]byte{
		"DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "JWK": jwk, "JWKS": set, "JWKS, trimmed": []byte(strings.TrimSpace(string(set))),
	} {
		add("HS256 by the public key as "+name, forge(header("HS256"), claims(nil), func(input []byte) []byte {
			h := hmac.New(sha256.New, secret)
			h.Write(input)
			return h.Sum(nil)
		}))
	}
	now := time.Now().Unix()
	for name, change := range map[string]object{
		"another audience": {"aud": "other-api"}, "another audience, in a list": {"aud": []string{"other-api"}}, "no audience": {"aud": nil},
		"another issuer": {"iss": "owlangel"}, "no issuer": {"iss": nil},
		"expired": {"iat": now - 7200, "nbf": now - 7200, "exp": now - 3600}, "no end": {"exp": nil},
		"not yet valid": {"iat": now + 3600, "nbf": now + 3600, "exp": now + 7200},
	} {
		add(name, forge(header("ES256"), claims(change), ours))
	}
	stranger := tokentest.NewSigner(t)
	add("an unknown kid", stranger.Token(t, w.samples[token.Admin].ID, token.Admin))
	stranger.ID = key.KeyID
	add("our kid over another key", stranger.Token(t, w.samples[token.Admin].ID, token.Admin))
	usual := strings.Split(w.tokens[own], ".")
	of := claims(nil)
	add("a changed claim", usual[0]+"."+b64([]byte(of.String()))+"."+usual[2])
	add("the signature stripped", parts[0]+"."+parts[1]+".")
	add("the signature and its dot stripped", parts[0]+"."+parts[1])
	add("the key in the header", forge(object{"alg": "ES256", "jwk": json.RawMessage(must[[]byte](t)(stranger.Key().MarshalJSON()))}, claims(nil),
		func(input []byte) []byte { return must[[]byte](t)(stranger.Sign(t.Context(), input)) }))
	return forge(header("ES256"), claims(nil), ours), all
}

func TestForgedTokensComeNoFurtherThanTheGateway(t *testing.T) {
	control, all := attacks(t)
	for _, route := range []struct{ method, path, service string }{
		{"GET", "/user/" + w.userID, "profiler"}, {"GET", "/campaign", "campaignex"}, {"GET", "/reward/" + w.card, "informer"}, {"POST", "/publish", "publish-single"},
	} {
		body := ""
		if route.method == "POST" {
			body = w.spend(w.card)
		}
		// The same tools make a token that is good, and then the service hears of it.
		id := rand.Text() // no UUID, which may look like a card number and is replaced then
		a := must[answer](t)(w.sendAs(control, route.method, route.path, body, "X-Request-Id: "+id))
		if by := w.log.known(t, id, route.service); a.status >= 300 || !slices.Contains(by, route.service) {
			t.Errorf("what is good: %s, and %v know of it", a, by)
		}
		for _, x := range all {
			id := rand.Text() // no UUID, which may look like a card number and is replaced then
			a := must[answer](t)(w.sendAs(x.token, route.method, route.path, body, "X-Request-Id: "+id))
			if a.status != 401 || a.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: %s", x.name, a)
			}
			if by := w.log.known(t, id, "gateway"); !slices.Equal(by, []string{"gateway"}) {
				t.Errorf("%s: %s, and %v know of it", x.name, a, by)
			}
		}
	}
}

// second is a gateway of its own before the services that run, with its own keys' source.
func second(t *testing.T, v *token.Verifier, publish gateway.Lambda, clock func() time.Time) *httptest.Server {
	t.Helper()
	var routes []authorizer.Route
	for _, r := range w.file.Routes() {
		routes = append(routes, authorizer.Route(r))
	}
	auth, err := authorizer.New(authorizer.Config{}, routes, v)
	if err != nil {
		t.Fatal(err)
	}
	services := map[string]string{}
	for _, name := range []string{"campaignex", "profiler", "informer", "rewarder"} {
		found, err := filepath.Glob(filepath.Join(w.sockets, "angelowl-*", name))
		if err != nil || len(found) != 1 {
			t.Fatalf("the sockets of %s: %v, %v", name, found, err)
		}
		services[name] = found[0]
	}
	g, err := gateway.New(w.file, gateway.Config{
		Services: services, Lambdas: map[string]gateway.Lambda{"publish-single": publish, "uploads": noLambda}, Authorizer: auth.Handle, Loopback: true, Clock: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(g)
	t.Cleanup(func() {
		srv.Close()
		g.Close()
	})
	return srv
}

func noLambda(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	return events.APIGatewayProxyResponse{StatusCode: 500}, nil
}

func TestTokensWhileTheirKeysAreAway(t *testing.T) {
	set := want(t, 200, "", "GET", "/.well-known/jwks.json", "").body
	var away atomic.Bool
	var asked, ahead atomic.Int64
	profiler := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if away.Load() {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		_, _ = io.WriteString(out, set)
	}))
	t.Cleanup(profiler.Close)
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	gate := func() *httptest.Server {
		v := &token.Verifier{Party: token.DefaultParty, Keys: token.NewRemote(profiler.URL, profiler.Client(), clock), Clock: time.Now}
		return second(t, v, noLambda, clock)
	}
	ask := func(srv *httptest.Server, bearer string, status int, code string) {
		t.Helper()
		a, err := through(srv.Client(), srv.URL, bearer, "GET", "/campaign", "")
		if err == nil {
			err = a.read(status, nil)
		}
		if err != nil || a.code() != code {
			t.Errorf("%s, %v", a, err)
		}
		if (status == 503) != (a.header.Get("Retry-After") != "") {
			t.Errorf("%s with Retry-After %q", a, a.header.Get("Retry-After"))
		}
	}
	stranger := tokentest.NewSigner(t).Token(t, uuid.NewString(), token.Admin)

	warm := gate()
	ask(warm, w.tokens[admin], 200, "")
	away.Store(true)
	before := asked.Load()
	ask(warm, w.tokens[bank], 200, "") // a token that was not seen yet, under a key that was
	ask(warm, stranger, 401, "no_token")
	ahead.Store(int64(20 * time.Minute)) // the keys are old by now, and cannot be had again
	ask(warm, w.tokens[own], 200, "")
	ahead.Add(int64(2 * time.Minute)) // so that it is for the stranger's key that they are asked for
	ask(warm, stranger, 401, "no_token")
	if asked.Load() == before {
		t.Error("the keys were not asked for again")
	}

	cold := gate()
	ask(cold, w.tokens[admin], 503, "keys_unavailable")
	ask(cold, stranger, 503, "keys_unavailable")
	away.Store(false)
	ahead.Add(int64(2 * time.Minute))
	ask(cold, w.tokens[admin], 200, "")
	ask(cold, stranger, 401, "no_token")
}
