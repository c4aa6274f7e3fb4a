package profiler

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/google/uuid"
)

func key(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) }

func TestDataKey(t *testing.T) {
	for _, bad := range []string{"", "x", base64.StdEncoding.EncodeToString(make([]byte, 31)), base64.StdEncoding.EncodeToString(make([]byte, 33)), strings.Repeat("k", 44)} {
		if k, err := ParseDataKey(bad); err == nil || !k.IsZero() || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	k, err := ParseDataKey(key(1))
	if err != nil || k.IsZero() {
		t.Fatal(err)
	}
	// As another program derives it: HKDF-SHA256 of RFC 5869, then HMAC-SHA256. It must never change.
	const want = "19931bee214b7b6c2981a33f1b9eb733d649d03adcd61c9f8a169366c7a62f0e"
	if got := k.CardHMAC("4111 1111-1111 1111"); got != want || k.CardHMAC("4111111111111111") != want {
		t.Errorf("the HMAC is %s, want %s", got, want)
	}
	other, err := ParseDataKey(key(2))
	if err != nil || other.CardHMAC("4111111111111111") == k.CardHMAC("4111111111111111") {
		t.Error("another key gives the same")
	}
	if bytes.Equal(k.Subkey("totp"), k.Subkey("card hmac")) || !bytes.Equal(k.Subkey("totp"), k.Subkey("totp")) || len(k.Subkey("x")) != 32 {
		t.Error("subkeys")
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", k)
	text, err := json.Marshal(struct{ Key DataKey }{k})
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{log.String(), string(text), fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s", k, k, k, k)} {
		if strings.Contains(shown, "1 1 1") || strings.Contains(shown, "AQEB") || strings.Contains(shown, "0x1") || !strings.Contains(shown, "(secret)") {
			t.Errorf("shown: %s", shown)
		}
	}
}

func FuzzUserFields(f *testing.F) {
	for _, s := range []string{"ann@example.com", "Ann <a@b.co>", "a@b.co\r\nBcc: x@y.z", "+6591234567", "\u202e", "4111 1111 1111 1111", "a@xn--bcher-kva.example", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var errs loyalty.FieldErrors
		if got := line(&errs, "first_name", s); len(errs) == 0 && (strings.ContainsFunc(got, unicode.IsControl) || len([]rune(got)) > loyalty.MaxFieldRunes || loyalty.StarPANs(got) != got) {
			t.Errorf("%q is a name: %q", s, got)
		}
		errs = nil
		if got := parseEmail(&errs, s); len(errs) == 0 {
			if strings.Count(got, "@") != 1 || len(got) > maxEmail || strings.ContainsAny(got, "\r\n\t <>,;\"") || got != strings.TrimSpace(s) {
				t.Errorf("%q is an address: %q", s, got)
			}
			u := User{FirstName: "Ann", Email: got}
			if a := u.address(); !strings.Contains(a.String(), "<"+got+">") {
				t.Errorf("%q is written %q", got, a.String())
			}
		}
		errs = nil
		if got := parsePhone(&errs, s); len(errs) == 0 && got != "" && (got[0] != '+' || digitsOf(got) != got[1:] || len(got) > 16) {
			t.Errorf("%q is a phone number: %q", s, got)
		}
		for _, err := range errs {
			if err.Field == "" || err.Reason == "" {
				t.Errorf("%q: %+v", s, err)
			}
		}
	})
}

func FuzzRow(f *testing.F) {
	for _, s := range []string{
		`{"id":"89fee31b-1e88-51d5-b81f-f47a7af65b88","first_name":"a","email":"a@b.co","card_id":"89fee31b-1e88-51d5-b81f-f47a7af65b88","card_pan":"4111111111111111","card_type":"gold"}`,
		`{"id":7}`, `[]`, `null`, `{"card_pan":"xxxx"}`, `{"created_at":"2021-09-01"}`,
	} {
		f.Add([]byte(s))
	}
	k, err := ParseDataKey(key(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		row, body, err := k.parseRow(text)
		for _, id := range []string{body.ID, body.CardID} {
			if _, bad := loyalty.ParseUUID(id); id != "" && bad != nil {
				t.Errorf("%q answers the id %q", text, id)
			}
		}
		if err != nil {
			var o RowOutcome
			if o.refused(err); o.Error == "" || o.Outcome != "refused" || o.Code == "" {
				t.Errorf("%q: %+v", text, o)
			}
			return
		}
		if row.User.ID == uuid.Nil || row.User.Email == "" || row.Card != nil && (row.Card.ID == uuid.Nil || row.Masked == "" || row.Card.CardType == "") {
			t.Errorf("%q is %+v", text, row)
		}
	})
}

// shelf is the part of a store that makes the first admin.
type shelf struct {
	Accounts
	has  bool
	err  error
	made []User
}

func (s *shelf) HasAdmin(context.Context, string) (bool, error) { return s.has, nil }

func (s *shelf) FirstAdmin(_ context.Context, _ string, u User, first FirstPassword) (bool, error) {
	if s.err != nil || first.Hash == "" {
		return false, s.err
	}
	s.made = append(s.made, u)
	return true, nil
}

func TestFirstAdmin(t *testing.T) {
	p := Passwords{
		Hash:   func(_ context.Context, plain string) (string, error) { return "hash of " + plain, nil },
		Random: func() string { return "made up" },
		CheckPassword: func(plain string, _ ...string) error {
			if len(plain) < 5 {
				return loyalty.FieldErrors{{Field: "password", Code: "too_short", Reason: "is too short"}}
			}
			return nil
		},
	}
	for _, test := range []struct {
		name      string
		store     shelf
		settings  AdminSettings
		generated string
		made      bool
		problem   string
	}{
		{"no address", shelf{}, AdminSettings{}, "", false, ""},
		{"a password made up", shelf{}, AdminSettings{Email: "a@b.co"}, "made up", true, ""},
		{"a password given", shelf{}, AdminSettings{Email: "a@b.co", Password: config.NewSecret("given")}, "", true, ""},
		{"a bad password", shelf{}, AdminSettings{Email: "a@b.co", Password: config.NewSecret("x")}, "", false, "ADMIN_PASSWORD is too short"},
		{"there is one", shelf{has: true}, AdminSettings{Email: "a@b.co", Password: config.NewSecret("x")}, "", false, ""},
		{"a user's address", shelf{err: ErrEmailTaken}, AdminSettings{Email: "a@b.co"}, "", false, "ADMIN_EMAIL is the address"},
		{"no database", shelf{err: errors.New("away")}, AdminSettings{Email: "a@b.co"}, "", false, "away"},
	} {
		t.Run(test.name, func(t *testing.T) {
			generated, made, err := FirstAdmin(t.Context(), &test.store, test.settings, p, time.Now())
			if generated != test.generated || made != test.made || (err == nil) != (test.problem == "") || err != nil && !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%q, %t, %v", generated, made, err)
			}
			if made && (len(test.store.made) != 1 || test.store.made[0].Role != token.Admin || test.store.made[0].Email != "a@b.co") {
				t.Errorf("%+v", test.store.made)
			}
		})
	}
}

func TestAdminSettings(t *testing.T) {
	for _, test := range []struct {
		email, password string
		wrong           string
	}{{"", "", ""}, {"a@b.co", "", ""}, {"a@b.co", "x", ""}, {"a", "", "ADMIN_EMAIL"}, {"", "x", "ADMIN_PASSWORD"}} {
		s := AdminSettings{Email: test.email, Password: config.NewSecret(test.password)}
		var names []string
		for _, p := range s.Check() {
			names = append(names, p.Name)
		}
		if got := strings.Join(names, ","); got != test.wrong {
			t.Errorf("%+v: %s", test, got)
		}
	}
}
