package password

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty"
	"go.uber.org/goleak"
	"golang.org/x/text/unicode/norm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAPasswordVerifiesAgainstItsHash(t *testing.T) {
	const plain = "four turquoise Öre trains"
	hash, err := Hash(t.Context(), plain)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hash is %s", hash)
	}
	if again, err := Hash(t.Context(), plain); err != nil || again == hash {
		t.Errorf("hashed again it is the same: no salt (%v)", err)
	}
	for _, test := range []struct {
		name, plain string
		want        bool
	}{
		{"as it is", plain, true},
		{"typed on a keyboard that composes", norm.NFD.String(plain), true},
		{"another case", strings.ToUpper(plain), false},
		{"nothing", "", false},
		{"one character more", plain + " ", false},
	} {
		v, err := Verify(t.Context(), test.plain, hash)
		if err != nil || v.OK != test.want || v.Rehash {
			t.Errorf("%s: %+v, %v; want %t", test.name, v, err, test.want)
		}
	}
}

func TestAHashOfOldIsMadeAnew(t *testing.T) {
	h := NewHasher(1, 0)
	old := params{memory / 2, passes, lanes}
	key, err := h.key(t.Context(), "secret", old, make([]byte, saltLen), keyLen)
	if err != nil {
		t.Fatal(err)
	}
	hash := encode(old, make([]byte, saltLen), key)
	if v, err := h.Verify(t.Context(), "secret", hash); err != nil || !v.OK || !v.Rehash {
		t.Errorf("%+v, %v", v, err)
	}
	if v, err := h.Verify(t.Context(), "wrong", hash); err != nil || v.OK || v.Rehash {
		t.Errorf("a wrong password: %+v, %v", v, err)
	}
}

func TestTheDummyCostsTheSameAndFitsNothing(t *testing.T) {
	h := NewHasher(1, 0)
	p, _, _, err := decode(Dummy)
	if err != nil || p != (params{memory, passes, lanes}) {
		t.Fatalf("%+v, %v", p, err)
	}
	if v, err := h.Verify(t.Context(), "", Dummy); err != nil || v.OK {
		t.Errorf("%+v, %v", v, err)
	}
	if h.Made() != 1 {
		t.Errorf("%d hashes", h.Made())
	}
}

func TestWhatIsNoHashIsAnError(t *testing.T) {
	good := Dummy
	for _, bad := range []string{
		"", "x", "$argon2i" + good[9:], strings.Replace(good, "v=19", "v=16", 1), strings.Replace(good, "m=19456", "m=99999999", 1),
		strings.Replace(good, "t=2", "t=0", 1), strings.Replace(good, "p=1", "p=01", 1), good + "$", good[:len(good)-30], strings.Replace(good, "A", "!", 1),
	} {
		if _, err := Verify(t.Context(), "x", bad); !errors.Is(err, errHash) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestOnlySoManyAtOnce(t *testing.T) {
	h := NewHasher(1, 1)
	h.running <- struct{}{} // one is being made
	h.waiting <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error)
	go func() {
		_, err := h.Hash(ctx, "waits")
		waited <- err
	}()
	for len(h.waiting) < 2 {
		select {
		case err := <-waited:
			t.Fatalf("did not wait: %v", err)
		default:
		}
	}
	if _, err := h.Hash(t.Context(), "too many"); !errors.Is(err, ErrBusy) {
		t.Errorf("with the queue full: %v", err)
	}
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("who waited and went away: %v", err)
	}
	if h.Made() != 0 {
		t.Errorf("%d hashes were made", h.Made())
	}
	<-h.running
	<-h.waiting
	if _, err := h.Hash(t.Context(), "free again"); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	personal := []string{"Ada", "Lovelace", "ada.lovelace@example.com"}
	for _, test := range []struct{ name, plain, code string }{
		{"words that do not belong together", "four turquoise trains", ""},
		{"a random one of ours", Random(), ""},
		{"digits alone, but random", "8374926150947382", ""},
		{"another script", "мой дядя самых честных", ""},
		{"common words with others", "monkey on seventeen lampposts", ""},
		{"emoji", "🦉🦉 zwölf Kieselsteine", ""},
		{"128 characters", strings.Repeat("four turquoise trains ", 6)[:128], ""},
		{"nothing", "", "missing"},
		{"14 characters", "k7#Vq2!xZp9$Lm", "too_short"},
		{"14 characters in 28 bytes", "жжжжёёёёййййцц", "too_short"},
		{"129 characters", strings.Repeat("four turquoise trains ", 6)[:129], "too_long"},
		{"a line's end", "four turquoise\ntrains", "not_text"},
		{"a NUL", "four turquoise\x00trains", "not_text"},
		{"no UTF-8", "four turquoise \xff trains", "not_text"},
		{"one character", "aaaaaaaaaaaaaaaaaaaa", "too_common"},
		{"two characters", "abababababababababab", "too_common"},
		{"a row of keys", "qwertyuiopasdfghjkl", "too_common"},
		{"rows of keys", "1qaz2wsx3edc4rfv5tgb", "too_common"},
		{"counting", "123456789012345", "too_common"},
		{"counting down", "0987654321098765", "too_common"},
		{"a common word twice", "passwordpassword", "too_common"},
		{"a common word, a year, a mark", "MyPassword2024!!", "too_common"},
		{"in disguise", "P@$$w0rdP@$$w0rd", "too_common"},
		{"seasons", "Summer2024Winter2025", "too_common"},
		{"the famous phrase", "correcthorsebatterystaple", "too_common"},
		{"our name", "AngelOwl-2024-xyz", "personal"},
		{"their name", "AdaLovelace12345", "personal"},
		{"their email", "ada.lovelace@example.com", "personal"},
		{"their name with words", "ada and nineteen quiet lampposts", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := Check(test.plain, personal...)
			var fields loyalty.FieldErrors
			switch {
			case test.code == "" && err != nil:
				t.Fatal(err)
			case test.code == "":
			case !errors.As(err, &fields) || fields[0].Field != "password" || fields[0].Code != test.code:
				t.Errorf("%v, want %s", err, test.code)
			}
		})
	}
}

func TestRandomPasswordsDifferAndPass(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		p := Random()
		if len(p) != 23 || seen[p] {
			t.Fatalf("%q", p)
		}
		seen[p] = true
		if err := Check(p); err != nil {
			t.Fatalf("%s: %v", p, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("four turquoise trains", "Ada")
	f.Add("\xff\x00", "")
	f.Fuzz(func(t *testing.T, plain, name string) {
		if Check(plain, name) == nil && (len([]rune(norm.NFKC.String(plain))) < MinLength || strings.ContainsRune(plain, 0)) {
			t.Errorf("%q passes", plain)
		}
	})
}
