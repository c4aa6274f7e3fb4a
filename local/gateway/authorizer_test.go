package gateway

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/authorizer"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/token/tokentest"
)

// The authorizer's own policies, by the file's routes: every operation is open to its roles and
// closed to all others, to those who have something to do first as well.
func TestTheRealAuthorizersPoliciesAreWhatTheFileSays(t *testing.T) {
	signer := tokentest.NewSigner(t)
	w := newWorld(t, func(w *world) {
		raw, err := RoutesJSON(w.file)
		if err != nil {
			t.Fatal(err)
		}
		var routes []authorizer.Route
		if err := json.Unmarshal(raw, &routes); err != nil {
			t.Fatal(err)
		}
		h, err := authorizer.New(authorizer.Config{}, routes, signer.Verifier())
		if err != nil {
			t.Fatal(err)
		}
		w.cfg.Authorizer = h.Handle
	})
	now := signer.Verifier().Clock()
	for _, role := range []token.Role{token.User, token.Bank, token.Merchant, token.Admin, token.Service} {
		for _, must := range []token.Must{token.MustNothing, token.MustChangePassword, token.MustEnrolTOTP} {
			sealed := "Bearer " + signer.Sealed(t, token.Claims{Subject: someID, Role: role, Must: must, Session: 1, ID: someID, Issued: now, Expires: now.Add(token.Lifetime)})
			for _, o := range w.file.Operations {
				if o.Method == http.MethodOptions || o.Roles == nil {
					continue
				}
				w.clock.add(time.Second) // beyond every throttle
				a := w.send(o.Method, somePath(o.Path), "", withHeader("Authorization", sealed))
				own := slices.Contains(o.Roles, role) && (must == token.MustNothing || slices.Contains(o.Must, must))
				reached := len(w.reached()) == 1
				if own != reached || own != (a.Status < 300) || !own && a.Status != http.StatusForbidden {
					t.Errorf("%s %s for %s %s: %d, reached %v", o.Method, o.Path, role, must, a.Status, reached)
				}
			}
		}
	}
	if a := w.send("GET", "/campaign", "", withHeader("Authorization", bearer("admin"))); a.Status != http.StatusUnauthorized {
		t.Errorf("a token of nobody is %d", a.Status)
	}
}
