//go:build unix

// Package kms_test signs tokens by the API of AWS KMS, through Amazon's own client.
package kms_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/local/moto"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler/keys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client(t *testing.T) *kms.Client {
	t.Helper()
	transport := awshttp.NewBuildableClient()
	t.Cleanup(func() { transport.GetTransport().CloseIdleConnections() })
	plain := &http.Client{Transport: transport.GetTransport(), Timeout: 30 * time.Second}
	t.Cleanup(plain.CloseIdleConnections)
	return kms.New(kms.Options{
		Region: "ap-southeast-1", BaseEndpoint: aws.String(moto.Start(t)), HTTPClient: plain,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

func create(t *testing.T, c *kms.Client, spec types.KeySpec, usage types.KeyUsageType) string {
	t.Helper()
	out, err := c.CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: spec, KeyUsage: usage})
	if err != nil {
		t.Fatal(err)
	}
	return *out.KeyMetadata.KeyId
}

func claims(now time.Time) token.Claims {
	return token.Claims{Subject: uuid.NewString(), Role: token.Admin, Session: 3, ID: uuid.NewString(), Issued: now, Expires: now.Add(token.Lifetime)}
}

func TestTokensSignedByKMS(t *testing.T) {
	c, ctx, now := client(t), t.Context(), time.Now()
	first := create(t, c, types.KeySpecEccNistP256, types.KeyUsageTypeSignVerify)
	second := create(t, c, types.KeySpecEccNistP256, types.KeyUsageTypeSignVerify)
	if _, err := c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/angelowl"), TargetKeyId: &second}); err != nil {
		t.Fatal(err)
	}
	before, err := keys.KMS(ctx, c, first)
	if err != nil {
		t.Fatal(err)
	}
	old, err := token.DefaultParty.Sign(ctx, before, claims(now))
	if err != nil {
		t.Fatal(err)
	}

	// JWT_KMS_KEY_ID names the new key before the old one.
	after, err := keys.KMS(ctx, c, "alias/angelowl", " "+first)
	if err != nil {
		t.Fatal(err)
	}
	if len(after.Public()) != 2 || after.Public()[1].KeyID != before.Key().KeyID || after.Key().KeyID == before.Key().KeyID {
		t.Fatalf("published %v, before that %v", after.Public(), before.Public())
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: after.Public()})
	}))
	defer srv.Close()
	verifier := &token.Verifier{Party: token.DefaultParty, Keys: token.NewRemote(srv.URL, srv.Client(), time.Now), Clock: time.Now}
	if _, err := verifier.Verify(ctx, old); err != nil {
		t.Errorf("a token of the old key: %v", err)
	}
	// DER leaves leading zeros of r and s out, or adds one: enough signatures have each case.
	for range 40 {
		want := claims(now)
		raw, err := token.DefaultParty.Sign(ctx, after, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := verifier.Verify(ctx, raw)
		if err != nil || got.Subject != want.Subject || got.Role != want.Role || got.Session != want.Session {
			t.Fatalf("%+v, %v; want %+v", got, err, want)
		}
	}
	raw, err := token.DefaultParty.Sign(ctx, after, claims(now))
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(raw, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	oldHead, _, _ := strings.Cut(old, ".")
	for name, bad := range map[string]string{
		"another's signature": head + "." + payload + "." + old[strings.LastIndex(old, ".")+1:],
		"another key's id":    oldHead + "." + payload + "." + signature,
	} {
		if _, err := verifier.Verify(ctx, bad); err == nil {
			t.Errorf("%s is good", name)
		}
	}
	if _, err := after.Sign(ctx, make([]byte, 4097)); err == nil {
		t.Error("more than KMS takes was signed")
	}
}

func TestKMSKeysThatAreRefused(t *testing.T) {
	c := client(t)
	good := create(t, c, types.KeySpecEccNistP256, types.KeyUsageTypeSignVerify)
	for _, test := range []struct {
		name string
		ids  []string
		want string
	}{
		{"none", nil, "no key"},
		{"there is none", []string{uuid.NewString()}, "NotFound"},
		{"RSA", []string{create(t, c, types.KeySpecRsa2048, types.KeyUsageTypeSignVerify)}, "P-256"},
		{"for encryption", []string{create(t, c, types.KeySpecSymmetricDefault, types.KeyUsageTypeEncryptDecrypt)}, "SIGN_VERIFY"},
		{"another curve", []string{create(t, c, types.KeySpecEccNistP384, types.KeyUsageTypeSignVerify)}, "P-256"},
		{"the same twice", []string{good, good}, "twice"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := keys.KMS(t.Context(), c, test.ids...); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestKeysBySettings(t *testing.T) {
	if p := (&keys.Settings{}).Check(); len(p) != 1 {
		t.Error(p)
	}
	if p := (&keys.Settings{KMS: []string{"x"}, File: "y"}).Check(); len(p) != 1 {
		t.Error(p)
	}
	file := keys.Settings{File: filepath.Join(t.TempDir(), "jwt.pem")}
	if ring, err := file.Open(t.Context()); err != nil || file.Check() != nil || len(ring.Public()) != 1 {
		t.Errorf("%v", err)
	}
	c := client(t)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_KMS": *c.Options().BaseEndpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	settings := keys.Settings{KMS: []string{create(t, c, types.KeySpecEccNistP256, types.KeyUsageTypeSignVerify)}, Region: "ap-southeast-1"}
	ring, err := settings.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.DefaultParty.Sign(t.Context(), ring, claims(time.Now())); err != nil {
		t.Error(err)
	}
	settings.KMS = []string{uuid.NewString()}
	if _, err := settings.Open(t.Context()); err == nil || keys.Unavailable(err) {
		t.Errorf("a key that is not there: %v", err)
	}
	t.Setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	if _, err := settings.Open(t.Context()); err == nil || !keys.Unavailable(err) {
		t.Errorf("KMS is away: %v", err)
	}
}

func TestKMSIsAway(t *testing.T) {
	c := client(t)
	ring, err := keys.KMS(t.Context(), c, create(t, c, types.KeySpecEccNistP256, types.KeyUsageTypeSignVerify))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := token.DefaultParty.Sign(ctx, ring, claims(time.Now())); err == nil {
		t.Error("signed by nobody")
	}
}
