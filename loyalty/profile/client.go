// Package profile is how services ask profiler, on its internal port, who an account is and what it
// may do. They sign in as accounts of role service.
package profile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
)

var (
	// ErrNotFound says that profiler knows nothing of that id.
	ErrNotFound = errors.New("profiler does not know that id")
	// ErrUnavailable says that profiler cannot be asked just now, or does not take us for who we are.
	// Trying again later may help. Its text is for logs.
	ErrUnavailable = errors.New("profiler cannot be asked")
)

// Refused is what profiler says where it refuses what was asked for. The message is for people, those
// outside as well.
type Refused struct {
	Status  int
	Code    string
	Message string
}

func (r *Refused) Error() string { return r.Message }

// Settings say where profiler is and how a service signs in there.
type Settings struct {
	Endpoint     string        `env:"PROFILER_ENDPOINT" help:"profiler's API, http://host:port; the program signs in there"`
	Internal     string        `env:"PROFILER_INTERNAL_ENDPOINT" help:"profiler's internal API, http://host:port"`
	CA           string        `env:"PROFILER_CA_FILE,optional" help:"PEM file of the authorities that profiler's certificate is checked against; default: the machine's"`
	ClientID     string        `env:"CLIENT_ID,optional" help:"the account that the program signs in with; default: the one that profiler makes for it"`
	ClientSecret config.Secret `env:"CLIENT_SECRET" help:"the account's secret, the same as in profiler's SERVICE_SECRETS"`

	authorities config.TLS // of CA, after Check
}

// Check is config.Checker's.
func (s *Settings) Check() []config.Problem {
	var out []config.Problem
	for _, e := range []struct{ name, value string }{{"PROFILER_ENDPOINT", s.Endpoint}, {"PROFILER_INTERNAL_ENDPOINT", s.Internal}} {
		if u, err := url.Parse(e.value); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			out = append(out, config.Problem{Name: e.name, Reason: "must be like http://profiler:8080, without a user"})
		}
	}
	s.authorities.CA = s.CA
	for _, problem := range s.authorities.Check() {
		out = append(out, config.Problem{Name: "PROFILER_CA_FILE", Reason: problem.Reason})
	}
	return out
}

// Credentials are those of a service, which is called as in profiler's SERVICE_SECRETS. Other services
// take their tokens, too.
func (s *Settings) Credentials(service string, client *http.Client, clock func() time.Time) *Credentials {
	id := s.ClientID
	if id == "" {
		id = ServiceID(service)
	}
	return NewCredentials(strings.TrimRight(s.Endpoint, "/")+"/auth/token", id, s.ClientSecret, client, clock)
}

// Client returns the client of a service.
func (s *Settings) Client(service string, client *http.Client, clock func() time.Time) *Client {
	return New(s.Internal, s.Credentials(service, client, clock), client)
}

// ServiceID is the id of the account that profiler makes for a service.
func ServiceID(service string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("angelowl:service:"+service)).String()
}

// Client asks profiler. It may be used by several goroutines at once.
type Client struct {
	endpoint string
	creds    *Credentials
	http     *http.Client
}

// New returns a client of the internal API at endpoint. How long an answer may take is up to client
// and to the context of each call.
func New(endpoint string, creds *Credentials, client *http.Client) *Client {
	return &Client{endpoint: strings.TrimRight(endpoint, "/"), creds: creds, http: direct(client)}
}

// direct is a client that follows no redirects: profiler sends none, and a secret must not follow one.
func direct(client *http.Client) *http.Client {
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

type contextKey int

const requestIDKey contextKey = 0

// WithRequestID passes the id of the request that is served on to profiler.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey, id)
}

// maxAnswer is the most that is read of an answer: one about MaxUserRows rows, each refused for each of
// its fields.
const maxAnswer = 4 << 20

// do sends in, unless it is nil, and reads the answer's data into out, unless that is nil. Path
// begins with a slash; what comes from outside is escaped in it. Errors are ErrNotFound (404), a
// *Refused (any other 4xx that says why) or ErrUnavailable.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encoding a question to profiler: %w", err)
		}
	}
	status, answer, err := c.try(ctx, method, path, body)
	if err == nil && status == http.StatusUnauthorized { // the keys have changed, or the secret
		c.creds.Forget()
		status, answer, err = c.try(ctx, method, path, body)
	}
	if err != nil {
		return err
	}
	switch {
	case status == http.StatusNotFound:
		return ErrNotFound
	case status == http.StatusNoContent && out == nil:
		return nil
	case status/100 == 2:
		var envelope struct {
			Data json.RawMessage `json:"data"`
		}
		if out == nil {
			return nil
		}
		if err := json.Unmarshal(answer, &envelope); err != nil {
			return fmt.Errorf("%w: reading its answer: %w", ErrUnavailable, err)
		}
		if err := json.Unmarshal(envelope.Data, out); err != nil {
			return fmt.Errorf("%w: reading its answer: %w", ErrUnavailable, err)
		}
		return nil
	case status/100 == 4 && status != http.StatusUnauthorized && status != http.StatusTooManyRequests:
		var why struct{ Error, Code string }
		if json.Unmarshal(answer, &why) == nil && why.Code != "" && why.Code != "forbidden" {
			return &Refused{Status: status, Code: why.Code, Message: loyalty.StarPANs(why.Error)}
		}
	}
	return fmt.Errorf("%w: it answers %d", ErrUnavailable, status)
}

func (c *Client) try(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	bearer, err := c.creds.Token(ctx)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.endpoint+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("asking profiler: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return send(c.http, req)
}

func send(client *http.Client, req *http.Request) (int, []byte, error) {
	if id, ok := req.Context().Value(requestIDKey).(string); ok {
		req.Header.Set("X-Request-Id", id)
	}
	tracing.Inject(req.Context(), req.Header)
	// All that is asked may be asked twice. This says so to net/http, and is not sent: a connection that
	// died while nobody used it is then replaced, not only for GET.
	req.Header["Idempotency-Key"] = nil
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: reading its answer: %w", ErrUnavailable, err)
	}
	return res.StatusCode, answer, nil
}
