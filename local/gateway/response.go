package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// kind is a gateway response of the file, by API Gateway's name.
type kind string

const (
	unauthorized      kind = "UNAUTHORIZED"
	accessDenied      kind = "ACCESS_DENIED"
	authorizerFailure kind = "AUTHORIZER_FAILURE"
	authorizerConfig  kind = "AUTHORIZER_CONFIGURATION_ERROR"
	// What API Gateway calls a missing token is a missing route: its token is a signature of AWS.
	missingRoute       kind = "MISSING_AUTHENTICATION_TOKEN"
	badParameters      kind = "BAD_REQUEST_PARAMETERS"
	badBody            kind = "BAD_REQUEST_BODY"
	tooLarge           kind = "REQUEST_TOO_LARGE"
	unsupportedMedia   kind = "UNSUPPORTED_MEDIA_TYPE"
	throttled          kind = "THROTTLED"
	integrationFailure kind = "INTEGRATION_FAILURE"
	integrationTimeout kind = "INTEGRATION_TIMEOUT"
	internalFailure    kind = "DEFAULT_5XX"
)

var kinds = []kind{
	unauthorized, accessDenied, authorizerFailure, authorizerConfig, missingRoute, badParameters, badBody, tooLarge,
	unsupportedMedia, throttled, integrationFailure, integrationTimeout, internalFailure,
}

// fail answers a gateway response. message stands in for $context.error.messageString.
func (g *Gateway) fail(w http.ResponseWriter, r *request, k kind, message string) {
	res := g.file.responses[string(k)]
	status, err := strconv.Atoi(res.StatusCode)
	if err != nil {
		status = http.StatusInternalServerError // DEFAULT_5XX has none of its own
	}
	body := strings.ReplaceAll(res.Templates["application/json"], "$context.error.messageString", quote(message))
	body = strings.ReplaceAll(body, "$context.requestId", r.id)
	g.headers(w, r, "gatewayresponse.header.", res.Parameters)
	writeJSON(w, status, []byte(body))
}

// failOwn answers what API Gateway has no response for.
func (g *Gateway) failOwn(w http.ResponseWriter, r *request, status int, code, message string, fields map[string]string) {
	body, err := json.Marshal(struct {
		Error  string            `json:"error"`
		Code   string            `json:"code"`
		Fields map[string]string `json:"fields,omitempty"`
	}{message, code, fields})
	if err != nil {
		panic(err) // texts always encode
	}
	g.headers(w, r, "gatewayresponse.header.", g.file.responses[string(badParameters)].Parameters)
	writeJSON(w, status, body)
}

// headers sets those of a mapping: a text in quotes, or what the context has.
func (g *Gateway) headers(w http.ResponseWriter, r *request, prefix string, mapping map[string]string) {
	for target, source := range mapping {
		name, ok := strings.CutPrefix(target, prefix)
		if !ok {
			continue
		}
		value := ""
		switch {
		case len(source) >= 2 && source[0] == '\'' && source[len(source)-1] == '\'':
			value = strings.ReplaceAll(source[1:len(source)-1], "${portal_origin}", g.cfg.PortalOrigin)
		case source == "context.requestId":
			value = r.id
		}
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	w.Header().Set("X-Request-Id", r.id)
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that is gone is its own business
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // texts always encode
	}
	return string(b)
}
