package authorizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/token/tokentest"
)

var (
	roles = []token.Role{token.User, token.Bank, token.Merchant, token.Admin, token.Service}
	musts = []token.Must{token.MustNothing, token.MustChangePassword, token.MustEnrolTOTP}
)

// wild is IAM's: * is any number of characters, ? is one; both may be a slash.
func wild(pattern, s string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '*':
			for i := 0; i <= len(s); i++ {
				if wild(pattern[1:], s[i:]) {
					return true
				}
			}
			return false
		case '?':
			if s == "" {
				return false
			}
		default:
			if s == "" || s[0] != pattern[0] {
				return false
			}
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}

// allows is how API Gateway evaluates a policy: what is denied is denied, whatever is allowed.
func allows(doc events.APIGatewayCustomAuthorizerPolicy, arn string) bool {
	allowed := false
	for _, s := range doc.Statement {
		if !slices.ContainsFunc(s.Resource, func(r string) bool { return wild(r, arn) }) {
			continue
		}
		if s.Effect != "Allow" {
			return false
		}
		allowed = true
	}
	return allowed
}

func handler(t testing.TB) *Handler {
	t.Helper()
	h, err := New(Config{}, gatewayRoutes(t), tokentest.NewSigner(t).Verifier())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// takes says whether the gateway takes a request for the route, and how many literals that rests on:
// the gateway takes a literal before a parameter.
func takes(r Route, method, path string) (bool, string) {
	want, have := strings.Split(r.Path, "/"), strings.Split(path, "/")
	if r.Method != method || len(want) != len(have) {
		return false, ""
	}
	rank := ""
	for i, w := range want {
		_, isParam := param(w)
		switch {
		case isParam && have[i] != "":
			rank += "0"
		case w == have[i]:
			rank += "1"
		default:
			return false, ""
		}
	}
	return true, rank
}

// taken is the route that the gateway takes a request for.
func taken(routes []Route, method, path string) (Route, bool) {
	var best Route
	bestRank, found := "", false
	for _, r := range routes {
		if ok, rank := takes(r, method, path); ok && (!found || rank > bestRank) {
			best, bestRank, found = r, rank, true
		}
	}
	return best, found
}

// For every role, whatever it must do first, and whatever request the gateway lets through: the policy
// allows it if and only if the route is the role's. Identifiers have their form, which the gateway
// checks before it asks.
func TestAPolicyAllowsExactlyTheRolesRoutes(t *testing.T) {
	routes, h := gatewayRoutes(t), handler(t)
	literals := []string{"history", "type", "total", "summary", "today", "presigned", "try", "search", "limits", "secret", "totp", "first-password", "x", "a-b", "2026-11-24", "%2e%2e", "user", "*", "?"}
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.SampledFrom(routes).Draw(t, "route")
		segments := strings.Split(r.Path, "/")
		for i, s := range segments {
			name, ok := param(s)
			switch {
			case !ok:
			case isUUID(name):
				var id uuid.UUID
				copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name))
				segments[i] = id.String()
				if rapid.Bool().Draw(t, "upper") {
					segments[i] = strings.ToUpper(segments[i])
				}
			default:
				segments[i] = rapid.OneOf(rapid.SampledFrom(literals), rapid.StringMatching(`[A-Za-z0-9_.%:-]{1,40}`)).Draw(t, name)
			}
		}
		path := strings.Join(segments, "/")
		to, ok := taken(routes, r.Method, path)
		if !ok {
			t.Fatalf("%s %s is no route", r.Method, path)
		}
		for _, role := range roles {
			for _, must := range musts {
				doc := h.policies[caller{role, must}].document(stage)
				if got, want := allows(doc, stage+r.Method+path), to.mayCall(role, must); got != want {
					t.Fatalf("%s (%q): %s %s, which is %s, allowed %v, want %v", role, must, r.Method, path, to.Path, got, want)
				}
			}
		}
	})
}

// A gateway that does not look at identifiers, as AWS's, may let anything through in their place. The
// route's own role is refused by the service then; another role must not get there at all.
func TestMadeUpIdentifiersReachNoOtherRolesRoute(t *testing.T) {
	routes, h := gatewayRoutes(t), handler(t)
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.SampledFrom(routes).Draw(t, "route")
		segments := strings.Split(r.Path, "/")
		for i, s := range segments {
			if _, ok := param(s); ok {
				// What fits the 36 of a UUID together with what follows is what is dangerous.
				rest := 36 - len(strings.Join(segments[i+1:], "/")) - 1
				n := rapid.SampledFrom([]int{1, 8, 13, max(rest, 1), 36, 40}).Draw(t, "length")
				id := []byte(strings.Repeat("a", n))
				for _, at := range []int{8, 13, 18, 23} {
					if at < n && rapid.Bool().Draw(t, "hyphen") {
						id[at] = '-'
					}
				}
				segments[i] = string(id)
			}
		}
		path := strings.Join(segments, "/")
		to, ok := taken(routes, r.Method, path)
		if !ok {
			t.Fatalf("%s %s is no route", r.Method, path)
		}
		for _, role := range roles {
			for _, must := range musts {
				if !to.mayCall(role, must) && allows(h.policies[caller{role, must}].document(stage), stage+r.Method+path) {
					t.Fatalf("%s (%q) gets to %s by %s %s", role, must, to.Path, r.Method, path)
				}
			}
		}
	})
}

func TestWhatIAMsWildcardsWouldLetThroughIsDenied(t *testing.T) {
	h := handler(t)
	const id = "01eca9de-9ff3-4d16-be03-75f228fc207f"
	for _, tt := range []struct {
		role    token.Role
		request string
		want    bool
	}{
		{token.User, "GET/card/type/scis_shopping", true},
		{token.User, "GET/card/type/history", true}, // a card type may be called that
		{token.User, "GET/card/type/scis_shopping/history", false},
		{token.User, "GET/user/" + id, true},
		{token.User, "GET/user/" + id + "/history", false},
		{token.User, "GET/user/aaaaaaaa-bbbb-cccc-dddd-aaaa/history", false}, // 36 characters
		{token.User, "GET/card/aaaaaaaa-bbbb-cccc-dddd-aaaa/history", false},
		{token.Bank, "GET/card/aaaaaaaa-bbbb-cccc-dddd-aaaa/history", true},
		{token.Bank, "GET/user/aaaaaaaa-bbbb-cccc-dddd-aaaaa/limits", false},
		{token.Bank, "DELETE/user/aaaaaaaa-bbbb-cccc-dddd-aaaaaaa/totp", false},
		{token.User, "GET/user/presigned", false},
		{token.User, "GET/reward/today", false},
		{token.User, "GET/reward/" + id, true},
		{token.User, "POST/publish", false},
		{token.Merchant, "POST/publish", true},
		{token.Merchant, "GET/user/" + id, false},
		{token.Service, "GET/campaign", false},
		{token.Admin, "DELETE/user/" + id + "/totp", true},
	} {
		if got := allows(h.policies[caller{tt.role, ""}].document(stage), stage+tt.request); got != tt.want {
			t.Errorf("%s %s: %v", tt.role, tt.request, got)
		}
		other := strings.Replace(stage, "abcdef1234", "another123", 1)
		if allows(h.policies[caller{tt.role, ""}].document(stage), other+tt.request) {
			t.Errorf("%s %s of another API is allowed", tt.role, tt.request)
		}
	}
}

// API Gateway takes an answer of at most 8 KB.
func TestAnAnswerIsSmall(t *testing.T) {
	long := "arn:aws-us-gov:execute-api:ap-southeast-1:123456789012:abcdefghij/production/"
	h := handler(t)
	for who, p := range h.policies {
		b, err := json.Marshal(events.APIGatewayCustomAuthorizerResponse{
			PrincipalID: uuid.NewString(), PolicyDocument: p.document(long),
			Context: map[string]any{"id": uuid.NewString(), "role": string(who.role), "must": "password", "session": "1234567890"},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s %s: %d bytes, %d allowed, %d denied", who.role, who.must, len(b), len(p.allow), len(p.deny))
		if len(b) > 8<<10 {
			t.Errorf("the answer for %s has %d bytes", who.role, len(b))
		}
	}
}

// meet is compared with the evaluator on texts that are small enough to try all.
func TestPatternsThatMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringMatching(`[ab/*?]{0,5}`).Draw(t, "p")
		q := rapid.StringMatching(`[ab/*?]{0,5}`).Draw(t, "q")
		want := false
		var try func(s string)
		try = func(s string) {
			want = want || wild(p, s) && wild(q, s)
			if len(s) < 6 && !want {
				for _, c := range "ab/" {
					try(s + string(c))
				}
			}
		}
		try("")
		if got := meet(glob(p), glob(q)); got != want {
			// Two patterns of five places may only meet in longer texts.
			if got && len(p)+len(q) > 6 {
				return
			}
			t.Fatal(fmt.Sprintf("%q and %q: %v, want %v", p, q, got, want))
		}
	})
}
