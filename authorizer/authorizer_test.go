package authorizer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/token/tokentest"
)

const (
	stage  = "arn:aws:execute-api:ap-southeast-1:123456789012:abcdef1234/prod/"
	method = stage + "GET/campaign"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func gatewayRoutes(t testing.TB) []Route {
	t.Helper()
	routes, err := Routes()
	if err != nil {
		t.Fatal(err)
	}
	return routes
}

// front is the authorizer with profiler's keys served by HTTP.
type front struct {
	*Handler
	published []jose.JSONWebKey
	away      bool
	now       time.Time
	log       bytes.Buffer
}

func start(t *testing.T, keys ...jose.JSONWebKey) *front {
	t.Helper()
	f := &front{published: keys, now: now}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if f.away {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: f.published})
	}))
	t.Cleanup(srv.Close)
	s := Settings{JWKSURL: srv.URL, Party: token.DefaultParty}
	if p := s.Check(); len(p) > 0 {
		t.Fatal(p)
	}
	var err error
	f.Handler, err = New(Config{Log: slog.New(slog.NewTextHandler(&f.log, nil))}, gatewayRoutes(t),
		s.Verifier(srv.Client(), func() time.Time { return f.now }))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *front) ask(t *testing.T, authorization string) (events.APIGatewayCustomAuthorizerResponse, error) {
	t.Helper()
	return f.Handle(t.Context(), events.APIGatewayCustomAuthorizerRequest{Type: "TOKEN", AuthorizationToken: authorization, MethodArn: method})
}

func claims() token.Claims {
	return token.Claims{Subject: "8a3d1c2e-0000-4000-8000-00000000000b", Role: token.Bank, Session: 3, ID: "t1", Issued: now, Expires: now.Add(token.Lifetime)}
}

func part(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func TestAForgedTokenIsUnauthorized(t *testing.T) {
	s, other := tokentest.NewSigner(t), tokentest.NewSigner(t)
	f := start(t, s.Key())
	good := s.Sealed(t, claims())
	parts := strings.Split(good, ".")
	with := func(change func(*token.Claims)) string {
		c := claims()
		change(&c)
		return s.Sealed(t, c)
	}
	party := func(p token.Party) string {
		raw, err := p.Sign(t.Context(), s, claims())
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	confused := func() string {
		point, err := s.Private.PublicKey.Bytes() // the form an attacker would use
		if err != nil {
			t.Fatal(err)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: point}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", s.ID))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := jwt.Signed(signer).Claims(map[string]any{
			"sub": "u1", "role": "admin", "iss": "angelowl", "aud": "angelowl-api",
			"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	changed := map[string]any{}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &changed); err != nil {
		t.Fatal(err)
	}
	changed["role"] = "admin"
	for name, authorization := range map[string]string{
		"alg none":                              "Bearer " + part(t, map[string]string{"alg": "none", "typ": "JWT", "kid": s.ID}) + "." + parts[1] + ".",
		"alg confusion, HMAC":                   "Bearer " + confused(),
		"wrong audience":                        "Bearer " + party(token.Party{Issuer: "angelowl", Audience: "other"}),
		"wrong issuer":                          "Bearer " + party(token.Party{Issuer: "other", Audience: "angelowl-api"}),
		"expired":                               "Bearer " + with(func(c *token.Claims) { c.Expires = now.Add(-time.Minute) }),
		"not yet valid":                         "Bearer " + with(func(c *token.Claims) { c.Issued = now.Add(time.Minute) }),
		"unknown kid":                           "Bearer " + other.Sealed(t, claims()),
		"changed claim":                         "Bearer " + parts[0] + "." + part(t, changed) + "." + parts[2],
		"signature stripped":                    "Bearer " + parts[0] + "." + parts[1] + ".",
		"nothing":                               "",
		"no scheme":                             good,
		"another scheme":                        "Basic " + good,
		"a scheme alone":                        "Bearer",
		"something that must be done, but what": "Bearer " + with(func(c *token.Claims) { c.Must = "dance" }),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := f.ask(t, authorization)
			if err == nil || err.Error() != "Unauthorized" || got.PrincipalID != "" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	if _, err := f.ask(t, "bearer "+good); err != nil {
		t.Error("the one they were made from:", err)
	}
	if strings.Contains(f.log.String(), parts[2]) {
		t.Error("the log has a token")
	}
}

func TestTheAnswerSaysWhoCalls(t *testing.T) {
	s := tokentest.NewSigner(t)
	f := start(t, s.Key())
	c := claims()
	c.Must = token.MustEnrolTOTP
	got, err := f.ask(t, "Bearer "+s.Sealed(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if got.PrincipalID != c.Subject || got.Context["id"] != c.Subject || got.Context["role"] != "bank" || got.Context["must"] != "totp" || got.Context["session"] != "3" {
		t.Errorf("%+v", got)
	}
}

func TestWithProfilerAway(t *testing.T) {
	s, other := tokentest.NewSigner(t), tokentest.NewSigner(t)
	f := start(t, s.Key())
	f.away = true
	if _, err := f.ask(t, "Bearer "+s.Sealed(t, claims())); !errors.Is(err, ErrUnavailable) || err.Error() == "Unauthorized" {
		t.Error("nothing cached:", err)
	}
	f.away = false
	f.now = f.now.Add(time.Minute)
	if _, err := f.ask(t, "Bearer "+s.Sealed(t, claims())); err != nil {
		t.Fatal(err)
	}
	f.away = true
	f.now = f.now.Add(2 * time.Minute)
	if _, err := f.ask(t, "Bearer "+s.Sealed(t, claims())); err != nil {
		t.Error("a known key:", err)
	}
	if _, err := f.ask(t, "Bearer "+other.Sealed(t, claims())); !errors.Is(err, ErrUnauthorized) {
		t.Error("an unknown key:", err)
	}
}

func TestAMethodsARN(t *testing.T) {
	for arn, want := range map[string]string{
		method:                  stage,
		stage + "GET/":          stage,
		stage + "POST/user/a/b": stage,
		"arn:aws-cn:execute-api:cn-north-1:1:a/b/GET/x": "arn:aws-cn:execute-api:cn-north-1:1:a/b/",
		"":    "",
		"arn": "",
		"arn:aws:execute-api:ap-southeast-1:123456789012:abcdef1234/prod": "",
		"arn:aws:execute-api:ap-southeast-1:123456789012:/prod/GET/":      "",
		"arn:aws:s3:::bucket/key/x":                                       "",
		"arn:aws:execute-api:ap-southeast-1:123456789012:*/prod/GET/":     "",
		"arn:aws:execute-api:ap-southeast-1:123456789012:abc//GET/":       "",
	} {
		if got, err := stageOf(arn); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", arn, got, err)
		}
	}
}

// API Gateway compares the message of the error that the runtime passes on.
func TestAsTheRuntimeCallsIt(t *testing.T) {
	s := tokentest.NewSigner(t)
	f := start(t, s.Key())
	h := lambda.NewHandler(f.Handle)
	event := func(authorization string) []byte {
		b, err := json.Marshal(map[string]string{"type": "TOKEN", "authorizationToken": authorization, "methodArn": method})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, err := h.Invoke(context.Background(), event("Bearer x")); err == nil || err.Error() != "Unauthorized" {
		t.Error(err)
	}
	out, err := h.Invoke(context.Background(), event("Bearer "+s.Sealed(t, claims())))
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		PrincipalID    string `json:"principalId"`
		PolicyDocument struct {
			Version   string
			Statement []struct {
				Effect           string
				Action, Resource []string
			}
		} `json:"policyDocument"`
		Context map[string]string `json:"context"` // the gateway takes texts, numbers and flags
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	if answer.PolicyDocument.Version != "2012-10-17" || len(answer.PolicyDocument.Statement) != 2 || answer.PolicyDocument.Statement[0].Effect != "Allow" {
		t.Errorf("%s", out)
	}
}

func TestRoutesThatNoPolicyTellsApart(t *testing.T) {
	v := tokentest.NewSigner(t).Verifier()
	for name, tt := range map[string]struct {
		routes []Route
		want   string
	}{
		"a parameter over a literal": {[]Route{{"GET", "/x/{name}", []token.Role{token.User}, nil}, {"GET", "/x/{name}/y", []token.Role{token.Bank}, nil},
			{"GET", "/x/{name}/{other}", []token.Role{token.User}, nil}}, "name the paths otherwise"},
		"a role that there is not": {[]Route{{"GET", "/x", []token.Role{"root"}, nil}}, "roles"},
		"no role":                  {[]Route{{"GET", "/x", nil, nil}}, "roles"},
		"a wildcard":               {[]Route{{"GET", "/x/*", []token.Role{token.User}, nil}}, "odd"},
		"twice":                    {[]Route{{"GET", "/x", []token.Role{token.User}, nil}, {"GET", "/x", []token.Role{token.Bank}, nil}}, "twice"},
		"a method in lower case":   {[]Route{{"get", "/x", []token.Role{token.User}, nil}}, "method"},
		"an unknown duty":          {[]Route{{"GET", "/x", []token.Role{token.User}, []token.Must{"dance"}}}, "must do"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(Config{}, tt.routes, v); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Error(err)
			}
		})
	}
	if _, err := New(Config{}, nil, nil); err == nil {
		t.Error("no verifier")
	}
}

func TestSettings(t *testing.T) {
	for url, good := range map[string]bool{
		"http://profiler:8080/.well-known/jwks.json": true, "https://p/x": true,
		"profiler:8080": false, "": false, "ftp://p/x": false, "http:///x": false,
	} {
		if got := len((&Settings{JWKSURL: url}).Check()) == 0; got != good {
			t.Errorf("%q: %v", url, got)
		}
	}
}
