package redact

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"

	"encoding/json"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/token/tokentest"
)

const (
	pan    = "4111 1111-1111 1111"
	secret = "correct horse battery staple"
)

type card struct {
	Number string `json:"number"`
	Note   []string
}

type settings struct {
	User string
	Pass config.Secret
	hid  config.Secret
}

type login struct{ user, pass string }

func (l login) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", l.user), slog.Any("pass", config.NewSecret(l.pass)))
}

type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

func TestWhatNobodyMayReadIsStarred(t *testing.T) {
	jwt := tokentest.NewSigner(t).Token(t, "someone", token.Admin)
	hush := config.NewSecret(secret)
	for _, tt := range []struct {
		name string
		log  func(*slog.Logger)
		want string // what is left
	}{
		{"a card number in the message", func(l *slog.Logger) { l.Info("card " + pan + " is odd") }, "card **** ****-**** 1111 is odd"},
		{"in a text", func(l *slog.Logger) { l.Info("x", "merchant", "Uber 4111111111111111") }, "Uber ************1111"},
		{"in an error", func(l *slog.Logger) { l.Info("x", "error", fmt.Errorf("no: %w", errors.New(pan))) }, "no: **** ****-**** 1111"},
		{"in bytes", func(l *slog.Logger) { l.Info("x", "body", []byte(pan)) }, "1111"},
		{"in a struct", func(l *slog.Logger) { l.Info("x", "card", card{Number: pan}) }, "1111"},
		{"in a list behind a pointer", func(l *slog.Logger) { l.Info("x", "card", &card{Note: []string{"a", pan}}) }, "1111"},
		{"as a number of JSON", func(l *slog.Logger) { l.Info("x", "card", map[string]int64{"n": 4111111111111111}) }, "************1111"},
		{"in what JSON cannot write", func(l *slog.Logger) { l.Info("x", "odd", []any{func() {}, pan}) }, "1111"},
		{"in a group", func(l *slog.Logger) { l.Info("x", slog.Group("a", slog.Group("b", "n", pan))) }, "1111"},
		{"in With", func(l *slog.Logger) { l.With("n", pan).Info("x") }, "1111"},
		{"in With of a group", func(l *slog.Logger) { l.WithGroup("g").With("n", pan).Info("x", "m", pan) }, "1111"},
		{"a token in the message", func(l *slog.Logger) { l.Info("refused " + jwt + ".") }, "refused ***"},
		{"a token in a text", func(l *slog.Logger) { l.Info("x", "url", "/?token="+jwt+"&a=b") }, "/?token=***"},
		{"a token of no signature", func(l *slog.Logger) { l.Info("x", "t", jwt[:strings.LastIndex(jwt, ".")+1]) }, "***"},
		{"a token in an error in a group of With", func(l *slog.Logger) { l.WithGroup("g").With("error", errors.New(jwt)).Info("x") }, "***"},
		{"a header of a token", func(l *slog.Logger) { l.Info("x", "h", "Authorization: bearer "+secretWord) }, "bearer ***"},
		{"a header in a map", func(l *slog.Logger) {
			l.Info("x", "h", map[string][]string{"Authorization": {"Bearer " + secretWord}})
		}, "Bearer ***"},
		{"a secret", func(l *slog.Logger) { l.Info("x", "pass", hush) }, "(secret)"},
		{"a secret behind a pointer", func(l *slog.Logger) { l.Info("x", "pass", &hush) }, "(secret)"},
		{"a secret in a struct", func(l *slog.Logger) { l.Info("x", "s", settings{"owl", hush, hush}) }, "(secret)"},
		{"a secret in what JSON cannot write", func(l *slog.Logger) { l.Info("x", "s", []any{func() {}, settings{"owl", hush, hush}}) }, "(secret)"},
		{"a secret in a value that says what of it is logged", func(l *slog.Logger) { l.Info("x", "s", login{"owl", secret}) }, "(secret)"},
		{"a secret in With of a group", func(l *slog.Logger) { l.WithGroup("g").With("s", hush).Info("x") }, "(secret)"},
		{"a nil error", func(l *slog.Logger) { l.Info("x", "error", (*nilError)(nil)) }, "nil"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for form, of := range map[string]func(*bytes.Buffer) slog.Handler{
				"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
				"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			} {
				var b bytes.Buffer
				tt.log(slog.New(Handler(of(&b))))
				out := b.String()
				if !strings.Contains(out, tt.want) {
					t.Errorf("%s lacks %q: %s", form, tt.want, out)
				}
				for _, leak := range []string{"4111", "1111 1111", secret, secretWord, jwt, jwt[strings.LastIndex(jwt, ".")+1:], strings.Split(jwt, ".")[1]} {
					if leak != "" && strings.Contains(out, leak) {
						t.Errorf("%s shows %q: %s", form, leak, out)
					}
				}
			}
		})
	}
}

const secretWord = "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="

func TestWhatIsNoSecretStays(t *testing.T) {
	for _, s := range []string{
		"", "www.example.com", "money-market.example.com", "profiler.default.svc.cluster.local", "github.com/x/eyes.go", "v1.2.3",
		"1.2.3.4", "bearer of bad news", "the Bearer is gone", "5411111111111", "a@b.example.org", "eyJust.a.name",
	} {
		if got := Text(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	var b bytes.Buffer
	slog.New(Handler(slog.NewJSONHandler(&b, nil))).Info("x", "n", 4111111111111111, "s", struct{ A int }{1}, "l", []string{"a"}, "z", nil)
	if want := `"n":4111111111111111,"s":{"A":1},"l":["a"],"z":null`; !strings.Contains(b.String(), want) {
		t.Errorf("%s lacks %s", &b, want)
	}
}

// The handler keeps to all that slog promises of handlers.
func TestHandler(t *testing.T) {
	var b bytes.Buffer
	err := slogtest.TestHandler(Handler(slog.NewJSONHandler(&b, nil)), func() []map[string]any {
		var out []map[string]any
		for line := range strings.Lines(b.String()) {
			var m map[string]any
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			out = append(out, m)
		}
		return out
	})
	if err != nil {
		t.Error(err)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", pan, "Bearer " + secretWord, "eyJhbGciOiJFUzI1NiJ9.e30.AA", "eyJ.eyJhbGciOiJFUzI1NiJ9.e30.AA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := Text(s)
		if jws.MatchString(once) {
			t.Errorf("%q still holds a token: %q", s, once)
		}
	})
}
