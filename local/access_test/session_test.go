package access_test

import (
	"encoding/json"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/token"
)

// refresh uses a refresh token.
func refresh(t *testing.T, status int, old string) session {
	t.Helper()
	a := want(t, status, "", "POST", "/auth/refresh", object{"refresh_token": old}.String())
	var out struct{ Data session }
	if status == 200 {
		if err := json.Unmarshal([]byte(a.body), &out); err != nil {
			t.Fatal(err)
		}
	} else if a.code() != "invalid_refresh_token" {
		t.Errorf("%s", a)
	}
	return out.Data
}

func TestARefreshTokenIsGoodOnce(t *testing.T) {
	who := must[account](t)(w.newPerson(token.User))
	elsewhere := must[session](t)(w.signIn(who.email, who.password))
	first := who.session
	second := refresh(t, 200, first.Refresh)
	third := refresh(t, 200, second.Refresh)
	want(t, 200, third.Token, "GET", "/user/"+who.id, "")
	refresh(t, 401, first.Refresh) // somebody else has it
	refresh(t, 401, third.Refresh) // so the newest is not good, either …
	refresh(t, 401, second.Refresh)
	refresh(t, 200, elsewhere.Refresh) // … but that of another sign-in is
}

// What ends sessions ends refresh tokens at once, and lets nothing be written by a token that is
// still good.
func TestWhatEndsSessions(t *testing.T) {
	for _, c := range []struct {
		name   string
		role   token.Role
		change string
		again  int // what signing in again is answered
	}{
		{"a lock of the bank", token.Bank, `{"locked":true}`, 401},
		{"a lock of an admin", token.Admin, `{"locked":true}`, 401},
		{"a lock of a user", token.User, `{"locked":true}`, 401},
		{"another role of an admin", token.Admin, `{"Role":"bank"}`, 200},
		{"another role of the bank", token.Bank, `{"Role":"user"}`, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			who := must[account](t)(w.newPerson(c.role))
			path, body := "/campaign", campaignBody
			method, status := "POST", 201
			if c.role == token.User {
				method, path, body, status = "PUT", "/user/"+who.id, `{"last_name":"x"}`, 200
			}
			want(t, status, who.session.Token, method, path, body)
			want(t, 200, w.tokens[admin], "PUT", "/user/"+who.id, c.change)
			refresh(t, 401, who.session.Refresh)
			if a := want(t, 401, who.session.Token, method, path, body); a.code() != "session_ended" {
				t.Errorf("%s", a)
			}
			want(t, c.again, "", "POST", "/auth/login", object{"email": who.email, "password": who.password}.String())
		})
	}
}

func TestAFirstPasswordIsGoodForAnotherOne(t *testing.T) {
	for _, role := range []token.Role{token.User, token.Bank, token.Admin} {
		who := must[account](t)(w.newAccount(role))
		if s := who.session; !s.IsNew || s.Must != "password" || s.UserID != who.id {
			t.Errorf("%s: %+v", role, s)
		}
		for _, path := range []string{"/user/" + who.id, "/card/type", "/campaign", "/user"} {
			want(t, 403, who.session.Token, "GET", path, "")
		}
		// A new token of the same session is no way around it.
		again := refresh(t, 200, who.session.Refresh)
		want(t, 403, again.Token, "GET", "/user/"+who.id, "")
		now := "own password of " + who.id
		change := object{"email": who.email, "old_password": who.password, "password": now, "confirm_password": now}.String()
		want(t, 200, again.Token, "POST", "/auth/password", change)
		refresh(t, 401, again.Refresh)
		want(t, 401, "", "POST", "/auth/login", object{"email": who.email, "password": who.password}.String())
		s := must[session](t)(w.signIn(who.email, now))
		if s.IsNew || s.Must != "" {
			t.Errorf("%s: %+v", role, s)
		}
		want(t, 200, s.Token, "GET", "/campaign", "")
		want(t, 200, s.Token, "POST", "/auth/logout", object{"refresh_token": s.Refresh}.String())
		refresh(t, 401, s.Refresh)
	}
	// Signing out is the other thing.
	who := must[account](t)(w.newAccount(token.User))
	want(t, 200, who.session.Token, "POST", "/auth/logout", "")
	refresh(t, 401, who.session.Refresh)
}
