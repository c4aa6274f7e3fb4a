package canary_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/token"
)

// Of wrong passwords on one account ten are looked at in a minute; the eleventh is told when to come again.
// That the owner gets in again then is held by sign-in's own tests, on a clock of theirs.
func TestTheEleventhWrongPasswordHasToWait(t *testing.T) {
	run(t, t.TempDir(), func(w *world) {
		body := func(email string) []byte {
			return encode(t, map[string]string{"email": email, "password": "not the right one"})
		}
		user := w.accounts[token.User]
		for i := range 11 {
			a := w.send(t, "", http.MethodPost, "/auth/login", body(user.Email))
			wait, _ := strconv.Atoi(a.header.Get("Retry-After"))
			switch {
			case i < 10 && (a.status != http.StatusUnauthorized || a.code != "wrong_credentials"):
				t.Errorf("try %d: %d %s", i+1, a.status, a.body)
			case i == 10 && (a.status != http.StatusTooManyRequests || a.code != "too_many_tries" || wait < 1 || wait > 60):
				t.Errorf("try %d: %d %s, Retry-After %d", i+1, a.status, a.body, wait)
			}
		}
		bank := w.accounts[token.Bank]
		right := encode(t, map[string]string{"email": bank.Email, "password": bank.Password})
		if a := w.send(t, "", http.MethodPost, "/auth/login", right); a.status != http.StatusOK {
			t.Errorf("another account: %d %s", a.status, a.body)
		}
	})
}
