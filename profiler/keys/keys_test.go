package keys_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/profiler/keys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2021, 9, 1, 12, 0, 0, 0, time.UTC)

func sign(t *testing.T, r *keys.Ring) string {
	t.Helper()
	raw, err := token.DefaultParty.Sign(t.Context(), r, token.Claims{Subject: "a", Role: token.User, Session: 1, Issued: now, Expires: now.Add(token.Lifetime)})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func verify(ctx context.Context, r *keys.Ring, raw string) error {
	v := token.Verifier{Party: token.DefaultParty, Keys: token.Fixed(r.Public()), Clock: func() time.Time { return now }}
	_, err := v.Verify(ctx, raw)
	return err
}

func open(t *testing.T, path string) *keys.Ring {
	t.Helper()
	r, err := keys.File(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAFileIsMadeAtTheFirstStart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "jwt.pem")
	r := open(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v (%v)", info.Mode(), err)
	}
	again := open(t, path)
	if again.Key().KeyID != r.Key().KeyID || verify(t.Context(), again, sign(t, r)) != nil {
		t.Error("started again, there is another key")
	}
	for _, k := range r.Public() {
		if !k.IsPublic() || k.Algorithm != "ES256" || k.Use != "sig" || len(k.KeyID) != 43 {
			t.Errorf("published: %+v", k)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("the folder has %v (%v)", left, err)
	}
}

func TestSeveralProcessesBeginAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jwt.pem")
	ids := make([]string, 16)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			r, err := keys.File(path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = r.Key().KeyID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("they have different keys: %v", ids)
		}
	}
}

func TestRotationWhileTokensLive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jwt.pem")
	before := open(t, path)
	old := sign(t, before)
	if err := keys.Rotate(path); err != nil {
		t.Fatal(err)
	}
	after := open(t, path)
	if after.Key().KeyID == before.Key().KeyID {
		t.Fatal("the old key signs")
	}
	if err := verify(t.Context(), after, old); err != nil {
		t.Errorf("a token of before: %v", err)
	}
	if err := verify(t.Context(), after, sign(t, after)); err != nil {
		t.Error(err)
	}
	if verify(t.Context(), before, sign(t, after)) == nil {
		t.Error("a token of the new key is good for who knows the old one alone: the key is the same")
	}
	for range 2 {
		if err := keys.Rotate(path); err != nil {
			t.Fatal(err)
		}
	}
	last := open(t, path)
	if n := len(last.Public()); n != 3 {
		t.Errorf("%d keys are published, want 3", n)
	}
	if verify(t.Context(), last, old) == nil {
		t.Error("a key that was rotated out is good still")
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good.pem")
	open(t, good)
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(p384)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		body []byte
		mode os.FileMode
		want string
	}{
		{"the group may read it", whole, 0o640, "chmod 600"},
		{"everybody may write it", whole, 0o602, "chmod 600"},
		{"empty", nil, 0o600, "something else"},
		{"cut off", whole[:len(whole)-20], 0o600, "something else"},
		{"with more behind it", append(bytes.Clone(whole), "hello"...), 0o600, "something else"},
		{"the same key twice", append(bytes.Clone(whole), whole...), 0o600, "twice"},
		{"another curve", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600, "P-256"},
		{"not a key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), 0o600, "something else"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "jwt.pem")
			if err := os.WriteFile(path, test.body, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, test.mode); err != nil {
				t.Fatal(err)
			}
			_, err := keys.File(path)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, test.body) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
	if _, err := keys.File(t.TempDir()); err == nil {
		t.Error("a folder is taken for a file")
	}
}
