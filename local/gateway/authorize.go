package gateway

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/aws/aws-lambda-go/events"
)

// Authorizer is a TOKEN authorizer's handler, as lambda.Start takes it.
type Authorizer func(context.Context, events.APIGatewayCustomAuthorizerRequest) (events.APIGatewayCustomAuthorizerResponse, error)

// authorizerTimeout is how long the lambda may take.
const authorizerTimeout = 10 * time.Second

// maxCached is how many callers' policies are held.
const maxCached = 10_000

// grant is an authorizer's answer.
type grant struct {
	principal string
	context   map[string]any
	policy    []events.IAMPolicyStatement
	until     time.Time
}

// policies are the answers of the last minutes, by the hash of the token: API Gateway's cache.
type policies struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*grant
}

func (p *policies) get(key [sha256.Size]byte, now time.Time) *grant {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.all[key]
	if g != nil && !now.Before(g.until) {
		delete(p.all, key)
		return nil
	}
	return g
}

func (p *policies) put(key [sha256.Size]byte, g *grant, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[[sha256.Size]byte]*grant{}
	}
	if len(p.all) >= maxCached {
		for k, old := range p.all {
			if !now.Before(old.until) {
				delete(p.all, k)
			}
		}
	}
	for k := range p.all { // whichever comes first: it will be asked for anew
		if len(p.all) < maxCached {
			break
		}
		delete(p.all, k)
	}
	p.all[key] = g
}

// authorize asks who calls; where it answers nil it has answered the request.
func (g *Gateway) authorize(w http.ResponseWriter, r *request) *grant {
	values := r.Header.Values("Authorization")
	if len(values) != 1 || !g.file.authorizer.expression.MatchString(values[0]) {
		g.fail(w, r, unauthorized, "Unauthorized")
		return nil
	}
	key := sha256.Sum256([]byte(values[0]))
	if cached := g.policies.get(key, g.cfg.Clock()); cached != nil {
		return cached
	}
	ctx, cancel := context.WithTimeout(r.Context(), authorizerTimeout)
	defer cancel()
	answer, err := g.cfg.Authorizer(ctx, events.APIGatewayCustomAuthorizerRequest{
		Type: "TOKEN", AuthorizationToken: values[0], MethodArn: r.arn(),
	})
	switch {
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // the client has hung up
	case err != nil && err.Error() == "Unauthorized": // the one word that API Gateway knows
		g.fail(w, r, unauthorized, "Unauthorized")
		return nil
	case err != nil:
		r.log.WarnContext(r.Context(), "the authorizer failed", "error", loyalty.StarPANs(err.Error()))
		g.fail(w, r, authorizerFailure, "authorizer failure")
		return nil
	case answer.PrincipalID == "" || len(answer.PolicyDocument.Statement) == 0:
		r.log.ErrorContext(r.Context(), "the authorizer's answer has no principal or no policy")
		g.fail(w, r, authorizerConfig, "authorizer configuration")
		return nil
	}
	now := g.cfg.Clock()
	granted := &grant{answer.PrincipalID, answer.Context, answer.PolicyDocument.Statement,
		now.Add(time.Duration(g.file.authorizer.TTLSeconds) * time.Second)}
	if g.file.authorizer.TTLSeconds > 0 {
		g.policies.put(key, granted, now)
	}
	return granted
}

// allows evaluates a policy as IAM does: one Allow is needed, and a Deny wins over all.
func allows(policy []events.IAMPolicyStatement, arn string) bool {
	allowed := false
	for _, s := range policy {
		if !anyGlob(s.Action, "execute-api:invoke", strings.ToLower) || !anyGlob(s.Resource, arn, nil) {
			continue
		}
		switch s.Effect {
		case "Deny":
			return false
		case "Allow":
			allowed = true
		}
	}
	return allowed
}

func anyGlob(patterns []string, s string, fold func(string) string) bool {
	for _, p := range patterns {
		if fold != nil {
			p = fold(p)
		}
		if glob(p, s) {
			return true
		}
	}
	return false
}

// glob matches as IAM does: * is any run of characters, / among them, and ? is one of them.
func glob(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
