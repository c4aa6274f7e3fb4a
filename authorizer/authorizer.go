// Package authorizer is the lambda that API Gateway asks who sends a request and what they may call
// (a TOKEN authorizer). It verifies the token offline and answers one IAM policy for all that the
// role may call: the gateway keeps the answer for 300 s, whatever is called next.
//
// It decides by role alone. Whose data a request is about is for the services, which verify the token
// again.
package authorizer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

// Settings are what a deployment sets.
type Settings struct {
	JWKSURL string `env:"JWKS_URL" help:"where profiler publishes the keys that tokens are verified with: http://profiler:8080/.well-known/jwks.json"`
	Party   token.Party
}

// Check is config.Checker's.
func (s *Settings) Check() []config.Problem {
	if u, err := url.Parse(s.JWKSURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return []config.Problem{{Name: "JWKS_URL", Reason: "must be like http://profiler:8080/.well-known/jwks.json"}}
	}
	return nil
}

// Verifier is the one of the settings. Keys are read by client.
func (s *Settings) Verifier(client *http.Client, clock func() time.Time) *token.Verifier {
	return &token.Verifier{Party: s.Party, Keys: token.NewRemote(s.JWKSURL, client, clock), Clock: clock}
}

var (
	// ErrUnauthorized is the word that API Gateway answers with 401.
	ErrUnauthorized = errors.New("Unauthorized") //nolint:staticcheck // the gateway compares it letter by letter
	// ErrUnavailable says that nobody can tell who calls. API Gateway answers any error but
	// ErrUnauthorized with 500.
	ErrUnavailable = errors.New("keys unavailable")
)

// Handler answers the gateway. It may be called by several goroutines at once.
type Handler struct {
	verifier *token.Verifier
	policies map[caller]policy
	log      *slog.Logger
}

// Config is what else there is to say.
type Config struct {
	Log *slog.Logger // nil: nothing is logged
}

// caller is what a policy hangs on.
type caller struct {
	role token.Role
	must token.Must
}

// New returns a handler for the routes of the gateway that need a token, or says which of them cannot
// be told apart by a policy.
func New(cfg Config, routes []Route, verifier *token.Verifier) (*Handler, error) {
	if verifier == nil {
		return nil, errors.New("configuring the authorizer: the verifier is missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{verifier: verifier, policies: map[caller]policy{}, log: cfg.Log}
	if err := check(routes); err != nil {
		return nil, fmt.Errorf("configuring the authorizer: %w", err)
	}
	for _, role := range []token.Role{token.User, token.Bank, token.Merchant, token.Admin, token.Service} {
		for _, must := range []token.Must{token.MustNothing, token.MustChangePassword, token.MustEnrolTOTP} {
			p, err := newPolicy(routes, role, must)
			if err != nil {
				return nil, fmt.Errorf("configuring the authorizer: %w", err)
			}
			h.policies[caller{role, must}] = p
		}
	}
	return h, nil
}

// margin is how long before the invocation's end it must be said that nobody can tell who calls: what the
// runtime ends leaves nothing in the log.
const margin = 500 * time.Millisecond

// Handle says who sends a request, and what they may call. Its errors are ErrUnauthorized, and what
// API Gateway answers with 500.
func (h *Handler) Handle(ctx context.Context, r events.APIGatewayCustomAuthorizerRequest) (events.APIGatewayCustomAuthorizerResponse, error) {
	var none events.APIGatewayCustomAuthorizerResponse
	stage, err := stageOf(r.MethodArn)
	if err != nil {
		h.log.Error("the gateway asks about something that is no method", "error", err)
		return none, err
	}
	scheme, raw, _ := strings.Cut(r.AuthorizationToken, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return none, ErrUnauthorized
	}
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-margin))
		defer cancel()
	}
	c, err := h.verifier.Verify(ctx, strings.TrimSpace(raw))
	switch {
	case errors.Is(err, token.ErrUnavailable):
		h.log.Error("tokens cannot be verified", "error", err)
		return none, ErrUnavailable
	case err != nil:
		h.log.Info("a token was refused", "error", err)
		return none, ErrUnauthorized
	}
	p, ok := h.policies[caller{c.Role, c.Must}]
	if !ok { // a newer profiler knows of more that has to be done
		h.log.Warn("a token says something that is not known here", "role", c.Role, "must", c.Must)
		return none, ErrUnauthorized
	}
	return events.APIGatewayCustomAuthorizerResponse{
		PrincipalID:    c.Subject,
		PolicyDocument: p.document(stage),
		Context: map[string]any{
			"id": c.Subject, "role": string(c.Role), "must": string(c.Must), "session": strconv.FormatInt(c.Session, 10),
		},
	}, nil
}

// stageOf is the part of a method's ARN that is alike for all methods of a deployed API:
// arn:aws:execute-api:region:account:api/stage/ (METHOD/path follows).
func stageOf(arn string) (string, error) {
	head, method, ok := strings.Cut(arn, "/")
	stage, _, more := strings.Cut(method, "/")
	parts := strings.Split(head, ":")
	if !ok || !more || stage == "" || len(parts) != 6 || parts[0] != "arn" || parts[2] != "execute-api" || parts[5] == "" || strings.ContainsAny(head+stage, "*?") {
		return "", errors.New("the ARN of the method is not arn:aws:execute-api:region:account:api/stage/METHOD/path")
	}
	return head + "/" + stage + "/", nil
}
