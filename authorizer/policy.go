package authorizer

import (
	"fmt"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/angelowl-loyalties/app/loyalty/token"
)

// policy is what an account may call, and what it may not though the former would let it: resources
// without the part that names the deployment.
type policy struct{ allow, deny []string }

// newPolicy makes the policy of a role.
//
// IAM's wildcards know nothing of paths: * and ? stand for a slash, too. So GET/card/type/* reaches
// GET/card/type/x/history, and the 36 ? of GET/user/{id} reach GET/user/{28 characters}/history.
// Whatever route an allowed resource reaches that is not the role's own is denied again, by the widest
// pattern that keeps none of the role's own routes out.
func newPolicy(routes []Route, role token.Role, must token.Must) (policy, error) {
	var own, others []Route
	for _, r := range routes {
		if r.mayCall(role, must) {
			own = append(own, r)
		} else {
			others = append(others, r)
		}
	}
	if len(others) == 0 && len(own) > 0 {
		return policy{allow: []string{"*"}}, nil
	}
	var p policy
	for _, r := range own {
		p.allow = append(p.allow, r.resource(exactly))
	}
	for _, r := range others {
		if !reaches(p.allow, r) {
			continue
		}
		deny, ok := denial(own, r)
		if !ok {
			return p, fmt.Errorf("no policy lets %s call all that it may and keeps it from %s %s: name the paths otherwise", role, r.Method, r.Path)
		}
		p.deny = append(p.deny, deny)
	}
	return p, nil
}

// reaches says whether a request that the gateway would take for r is one of the resources.
func reaches(resources []string, r Route) bool {
	for _, a := range resources {
		// A resource without wildcards is one request, which the gateway takes for its own route.
		if strings.ContainsAny(a, "*?") && meet(glob(a), r.language(false)) {
			return true
		}
	}
	return false
}

// denial is a resource that r's requests are, and those of the role's own routes are not.
func denial(own []Route, r Route) (string, bool) {
	for _, width := range []width{anything, likeUUID, exactly} {
		d := r.resource(width)
		harms := false
		for _, o := range own {
			harms = harms || meet(glob(d), o.language(true))
		}
		if !harms {
			return d, true
		}
	}
	return "", false
}

// width is how wide a resource is where its route has UUIDs. Other parameters are always *.
type width int

const (
	anything width = iota
	likeUUID
	exactly
)

// resource is METHOD/path as a policy names it.
func (r Route) resource(w width) string {
	segments := strings.Split(r.Path, "/")
	for i, s := range segments {
		name, ok := param(s)
		switch {
		case !ok:
		case !isUUID(name) || w == anything:
			segments[i] = "*"
		case w == likeUUID:
			segments[i] = "????????-*"
		default:
			segments[i] = "????????-????-????-????-????????????"
		}
	}
	return r.Method + strings.Join(segments, "/")
}

func (p policy) document(stage string) events.APIGatewayCustomAuthorizerPolicy {
	statement := func(effect string, resources []string) events.IAMPolicyStatement {
		s := events.IAMPolicyStatement{Action: []string{"execute-api:Invoke"}, Effect: effect}
		for _, r := range resources {
			s.Resource = append(s.Resource, stage+r)
		}
		return s
	}
	doc := events.APIGatewayCustomAuthorizerPolicy{Version: "2012-10-17"}
	if len(p.allow) == 0 { // a policy without statements is none
		doc.Statement = append(doc.Statement, statement("Deny", []string{"*"}))
		return doc
	}
	doc.Statement = append(doc.Statement, statement("Allow", p.allow))
	if len(p.deny) > 0 {
		doc.Statement = append(doc.Statement, statement("Deny", p.deny))
	}
	return doc
}
