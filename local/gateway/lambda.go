package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/textproto"
	"slices"
	"unicode/utf8"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Lambda is the handler of a proxy integration, as lambda.Start takes it.
type Lambda func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error)

// invoke calls a lambda with the event that API Gateway makes of a request.
func (g *Gateway) invoke(w http.ResponseWriter, r *request, handle Lambda) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has hung up
	}
	event := g.event(r, body)
	ctx, cancel := context.WithTimeout(r.Context(), r.timeout)
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: r.id})
	answer, err := within(ctx, func(ctx context.Context) (events.APIGatewayProxyResponse, error) { return handle(ctx, event) })
	switch {
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // the client has hung up
	case err != nil && ctx.Err() != nil:
		r.log.WarnContext(r.Context(), "a lambda took too long", "lambda", r.op.Lambda)
		g.fail(w, r, integrationTimeout, "Endpoint request timed out")
	case err != nil:
		r.log.WarnContext(r.Context(), "a lambda failed", "lambda", r.op.Lambda, "error", loyalty.StarPANs(err.Error()))
		g.fail(w, r, integrationFailure, "Internal server error")
	default:
		if err := write(w, r, answer); err != nil {
			r.log.ErrorContext(r.Context(), "a lambda's answer cannot be passed on", "lambda", r.op.Lambda, "error", err)
			g.fail(w, r, integrationFailure, "Internal server error")
		}
	}
}

func (g *Gateway) event(r *request, body []byte) events.APIGatewayProxyRequest {
	header := r.Header.Clone()
	header.Set("Host", r.Host)
	header.Del("X-Source-Ip") // what a client says of itself is not true
	query := r.URL.Query()
	e := events.APIGatewayProxyRequest{
		Resource: r.op.Path, Path: r.URL.Path, HTTPMethod: r.Method,
		Headers: last(header), MultiValueHeaders: header,
		QueryStringParameters: last(query), MultiValueQueryStringParameters: query,
		PathParameters: maps.Clone(r.params),
		RequestContext: events.APIGatewayProxyRequestContext{
			AccountID: account, APIID: api, Stage: stage, RequestID: r.id, Protocol: r.Proto,
			OperationName: r.op.ID, ResourcePath: r.op.Path, Path: r.URL.Path, HTTPMethod: r.Method,
			RequestTimeEpoch: g.cfg.Clock().UnixMilli(),
			Identity:         events.APIGatewayRequestIdentity{SourceIP: r.ip, UserAgent: r.UserAgent()},
		},
		Body: string(body),
	}
	if r.grant != nil {
		e.RequestContext.Authorizer = map[string]any{"principalId": r.grant.principal}
		maps.Copy(e.RequestContext.Authorizer, r.grant.context)
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if slices.Contains(g.file.binary, kind) {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	} else if !utf8.Valid(body) {
		// A lambda's event is JSON, which has no other bytes.
		e.Body = string([]rune(string(body)))
	}
	return e
}

// last are the last values, as API Gateway gives them.
func last(values map[string][]string) map[string]string {
	one := make(map[string]string, len(values))
	for name, all := range values {
		one[name] = all[len(all)-1]
	}
	return one
}

// ofConnection are headers that are no business of a lambda's.
var ofConnection = []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "X-Request-Id"}

func write(w http.ResponseWriter, r *request, answer events.APIGatewayProxyResponse) error {
	if answer.StatusCode < 200 || answer.StatusCode > 599 {
		return errors.New("its status is none")
	}
	body := []byte(answer.Body)
	if answer.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(answer.Body); err != nil {
			return errors.New("its body is not base64")
		}
	}
	h := w.Header()
	for name, value := range answer.Headers {
		h.Set(name, value)
	}
	for name, values := range answer.MultiValueHeaders {
		h[textproto.CanonicalMIMEHeaderKey(name)] = slices.Clone(values)
	}
	for _, name := range ofConnection {
		h.Del(name)
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json") // as API Gateway does
	}
	h.Set("X-Request-Id", r.id)
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(body) // a client that is gone is its own business
	return nil
}
