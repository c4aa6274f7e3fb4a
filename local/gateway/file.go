// Package gateway is Amazon API Gateway's part in `angelowl up`: it serves the very file that is deployed on
// AWS, .infra/api/openapi.yaml, and answers as API Gateway does. What is not in the file cannot be
// reached; roles are what the authorizer's policy says; limits, time-outs, errors and CORS are the file's.
package gateway

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/getkin/kin-openapi/openapi3"
)

//go:generate go test . -run ^TestCopiesAreWhatTheFileSays$ -update

// built is a copy of .infra/api/openapi.yaml: what stands outside a module cannot be built into a
// program. A test holds the two equal.
//
//go:embed openapi.yaml
var built []byte

// File is the gateway's file.
type File struct {
	Operations []*Operation // by path and method
	Throttle   *Throttle    // of all together; nil: none

	authorizer authorizerSettings
	responses  map[string]gatewayResponse
	binary     []string // media types that lambdas get in base64
}

// Operation is a method of a path.
type Operation struct {
	ID     string
	Method string
	Path   string       // as in the file, /user/{id}
	Roles  []token.Role // who may call it; nil: anyone, without a token
	Must   []token.Must // open also to those who must do this first
	// Throttle is nil where only the limit of all applies.
	Throttle *Throttle
	Service  string // who answers: a service, by its variable in the file, such as campaignex …
	Lambda   string // … or a lambda, by its folder, such as publish-single; OPTIONS has neither

	Parameters []string // "in name", such as "query page_no"
	Statuses   []string

	pathParams  map[string]pathParameter
	required    []string // parameters, "in name"
	bodyTypes   []string // media types; nil: no body is described
	integration integration
}

// pathParameter is what a segment must look like.
type pathParameter struct {
	pattern *regexp.Regexp
	plain   string // the same in words
}

// Throttle is a token bucket.
type Throttle struct {
	Rate  float64 `json:"rate"` // requests a second
	Burst int     `json:"burst"`
}

type integration struct {
	Type                string            `json:"type"`
	HTTPMethod          string            `json:"httpMethod"`
	URI                 string            `json:"uri"`
	TimeoutMillis       int               `json:"timeoutInMillis"`
	PassthroughBehavior string            `json:"passthroughBehavior"`
	ConnectionType      string            `json:"connectionType"`
	ConnectionID        string            `json:"connectionId"`
	RequestParameters   map[string]string `json:"requestParameters"`
	RequestTemplates    map[string]string `json:"requestTemplates"`
	Responses           map[string]struct {
		StatusCode string            `json:"statusCode"`
		Parameters map[string]string `json:"responseParameters"`
		Templates  map[string]string `json:"responseTemplates"`
	} `json:"responses"`

	path string // of the service
}

type gatewayResponse struct {
	StatusCode string            `json:"statusCode"`
	Parameters map[string]string `json:"responseParameters"`
	Templates  map[string]string `json:"responseTemplates"`
}

type authorizerSettings struct {
	Type           string `json:"type"`
	IdentitySource string `json:"identitySource"`
	Expression     string `json:"identityValidationExpression"`
	TTLSeconds     int    `json:"authorizerResultTtlInSeconds"`

	expression *regexp.Regexp
}

// maxTimeout is API Gateway's own.
const maxTimeout = 29_000

// Built is the file as it was when this program was built.
func Built() (*File, error) { return Parse(built) }

// Load reads the file at path.
func Load(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the gateway's file: %w", err)
	}
	return Parse(text)
}

// Parse reads a file. It refuses one that is no OpenAPI, and one that this gateway would serve otherwise
// than API Gateway does.
func Parse(text []byte) (*File, error) {
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err == nil {
		err = doc.Validate(context.Background())
	}
	if err != nil {
		return nil, fmt.Errorf("reading the gateway's file: %w", err)
	}
	f := &File{responses: map[string]gatewayResponse{}}
	var errs []error
	bad := func(where, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...)))
	}
	read := func(where string, from map[string]any, name string, into any) bool {
		value, ok := from[name]
		if !ok {
			return false
		}
		raw, err := json.Marshal(value)
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			bad(where, "%s: %v", name, err)
		}
		return err == nil
	}

	read("root", doc.Extensions, "x-angelowl-throttle", &f.Throttle)
	checkThrottle("root", f.Throttle, bad)
	read("root", doc.Extensions, "x-amazon-apigateway-binary-media-types", &f.binary)
	if !read("root", doc.Extensions, "x-amazon-apigateway-gateway-responses", &f.responses) {
		bad("root", "there are no gateway responses")
	}
	for _, kind := range kinds {
		r, ok := f.responses[string(kind)]
		if !ok || r.Templates["application/json"] == "" {
			bad("root", "there is no gateway response %s in JSON", kind)
		}
	}
	scheme, ok := doc.Components.SecuritySchemes["bearer"]
	if !ok || !read("bearer", scheme.Value.Extensions, "x-amazon-apigateway-authorizer", &f.authorizer) {
		bad("root", "there is no security scheme bearer with an authorizer")
	}
	if a := &f.authorizer; a.Type != "token" || a.IdentitySource != "method.request.header.Authorization" {
		bad("bearer", "the authorizer must be of type token, and read the header Authorization")
	} else if a.expression, err = regexp.Compile(a.Expression); err != nil {
		bad("bearer", "%v", err)
	}

	for _, path := range doc.Paths.InMatchingOrder() {
		item := doc.Paths.Value(path)
		methods := map[string]*Operation{}
		for method, o := range item.Operations() {
			where := method + " " + path
			op := &Operation{ID: o.OperationID, Method: method, Path: path, pathParams: map[string]pathParameter{}}
			methods[method] = op
			f.Operations = append(f.Operations, op)

			for _, p := range append(slices.Clone(item.Parameters), o.Parameters...) {
				p := p.Value
				op.Parameters = append(op.Parameters, p.In+" "+p.Name)
				if p.In == openapi3.ParameterInPath {
					pattern, err := regexp.Compile(p.Schema.Value.Pattern)
					if err != nil || !anchored(p.Schema.Value.Pattern) {
						bad(where, "the parameter %s needs a pattern from ^ to $", p.Name)
						continue
					}
					op.pathParams[p.Name] = pathParameter{pattern, inWords(p.Schema.Value)}
				} else if p.Required {
					op.required = append(op.required, p.In+" "+p.Name)
				}
			}
			slices.Sort(op.Parameters)
			if o.RequestBody != nil {
				for kind := range o.RequestBody.Value.Content {
					op.bodyTypes = append(op.bodyTypes, kind)
				}
				slices.Sort(op.bodyTypes)
			}
			for status := range o.Responses.Map() {
				op.Statuses = append(op.Statuses, status)
			}
			slices.Sort(op.Statuses)

			read(where, o.Extensions, "x-angelowl-throttle", &op.Throttle)
			checkThrottle(where, op.Throttle, bad)
			read(where, o.Extensions, "x-angelowl-roles", &op.Roles)
			for _, role := range op.Roles {
				if !role.Valid() || role == token.Service {
					bad(where, "%q is no role that comes through the gateway", role)
				}
			}
			if must, ok := o.Extensions["x-angelowl-must"]; ok {
				op.Must = mustOf(must)
				if len(op.Must) == 0 {
					bad(where, "x-angelowl-must is password or totp, or a list of both")
				}
			}
			if o.Security == nil || len(*o.Security) > 1 || len(*o.Security) == 1 && (*o.Security)[0]["bearer"] == nil {
				bad(where, "its security is neither [] nor bearer alone; API Gateway takes an operation without for public")
				continue
			}
			public := len(*o.Security) == 0
			switch {
			case public && len(op.Roles)+len(op.Must) > 0:
				bad(where, "it is public and has roles")
			case !public && len(op.Roles) == 0:
				bad(where, "it needs a token, and has no roles")
			}

			if !read(where, o.Extensions, "x-amazon-apigateway-integration", &op.integration) {
				bad(where, "it has no integration")
				continue
			}
			op.integrate(func(format string, args ...any) { bad(where, format, args...) })
		}
		checkOptions(path, methods, bad)
	}
	slices.SortFunc(f.Operations, func(a, b *Operation) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return strings.Compare(a.Method, b.Method)
	})
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("the gateway's file: %w", err)
	}
	return f, nil
}

func inWords(s *openapi3.Schema) string {
	switch s.Format {
	case "uuid":
		return "must be a UUID"
	case "date":
		return "must be a date, YYYY-MM-DD"
	}
	return "must match " + s.Pattern
}

func anchored(pattern string) bool {
	return strings.HasPrefix(pattern, "^") && strings.HasSuffix(pattern, "$")
}

func checkThrottle(where string, t *Throttle, bad func(where, format string, args ...any)) {
	if t != nil && (t.Rate <= 0 || t.Burst < 1) {
		bad(where, "a throttle needs a rate above 0 and a burst of 1 at least")
	}
}

// mustOf reads one, or a list.
func mustOf(v any) (must []token.Must) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, one := range list {
		s, _ := one.(string)
		if m := token.Must(s); m != token.MustChangePassword && m != token.MustEnrolTOTP {
			return nil
		} else {
			must = append(must, m)
		}
	}
	return must
}

var (
	serviceURI = regexp.MustCompile(`^http://\$\{([a-z][a-z0-9_]*)\}(/.*)$`)
	lambdaURI  = regexp.MustCompile(`^arn:aws:apigateway:\$\{AWS_REGION\}:lambda:path/2015-03-31/functions/\$\{([a-z][a-z0-9_]*)_arn\}/invocations$`)
	pathParam  = regexp.MustCompile(`\{([^}]+)\}`)
)

// integrate reads who answers.
func (o *Operation) integrate(bad func(format string, args ...any)) {
	in := &o.integration
	if in.TimeoutMillis < 0 || in.TimeoutMillis > maxTimeout || in.TimeoutMillis == 0 && in.Type != "mock" {
		bad("timeoutInMillis is %d; API Gateway takes %d at most", in.TimeoutMillis, maxTimeout)
	}
	switch in.Type {
	case "http_proxy":
		m := serviceURI.FindStringSubmatch(in.URI)
		if m == nil {
			bad("the uri %s is not http://${service}/path", in.URI)
			return
		}
		o.Service, in.path = m[1], m[2]
		if in.HTTPMethod != o.Method {
			bad("it calls the service by %s", in.HTTPMethod)
		}
		if in.ConnectionType != "VPC_LINK" || in.ConnectionID != "${vpc_link_id}" {
			bad("it does not go through the VPC link")
		}
		for _, p := range pathParam.FindAllStringSubmatch(in.path, -1) {
			if in.RequestParameters["integration.request.path."+p[1]] != "method.request.path."+p[1] {
				bad("the parameter %s is not passed on", p[1])
			}
			if _, ok := o.pathParams[p[1]]; !ok {
				bad("its uri names %s, which its path has not", p[1])
			}
		}
		for header, value := range map[string]string{"X-Request-Id": "context.requestId", "X-Source-Ip": "context.identity.sourceIp"} {
			if in.RequestParameters["integration.request.header."+header] != value {
				bad("%s is not %s", header, value)
			}
		}
		for target, source := range in.RequestParameters {
			if !strings.HasPrefix(target, "integration.request.path.") && source != "context.requestId" && source != "context.identity.sourceIp" {
				bad("%s from %s is not served", target, source)
			}
		}
	case "aws_proxy":
		m := lambdaURI.FindStringSubmatch(in.URI)
		if m == nil || in.HTTPMethod != "POST" {
			bad("the uri %s by %s is not the invocation of a lambda by POST", in.URI, in.HTTPMethod)
			return
		}
		o.Lambda = strings.ReplaceAll(m[1], "_", "-")
	case "mock":
		if o.Method != "OPTIONS" {
			bad("nobody answers it")
		}
	default:
		bad("an integration of type %q is not served", in.Type)
	}
}

// checkOptions: a path without it, or whose OPTIONS leave a method out, fails in browsers only.
func checkOptions(path string, methods map[string]*Operation, bad func(where, format string, args ...any)) {
	var names []string
	for name := range methods {
		names = append(names, name)
	}
	slices.Sort(names)
	o := methods["OPTIONS"]
	if o == nil {
		bad(path, "it has no OPTIONS")
		return
	}
	said := o.integration.Responses["default"].Parameters["method.response.header.Access-Control-Allow-Methods"]
	list := strings.Split(strings.Trim(said, "'"), ",")
	slices.Sort(list)
	if !slices.Equal(names, list) {
		bad(path, "its methods are %v, and its OPTIONS say %v", names, list)
	}
}

// AuthorizerRoute is an operation that needs a token, as the authorizer reads it.
type AuthorizerRoute struct {
	Method string       `json:"method"`
	Path   string       `json:"path"`
	Roles  []token.Role `json:"roles"`
	Must   []token.Must `json:"must"`
}

// Routes are the operations that need a token, by path and method. Lists are never nil.
func (f *File) Routes() []AuthorizerRoute {
	routes := []AuthorizerRoute{}
	for _, o := range f.Operations {
		if o.Roles == nil {
			continue
		}
		routes = append(routes, AuthorizerRoute{o.Method, o.Path, slices.Clone(o.Roles), append([]token.Must{}, o.Must...)})
	}
	return routes
}

// RoutesJSON is the authorizer's routes.json: a JSON list of Routes, one a line.
func RoutesJSON(f *File) ([]byte, error) {
	b := []byte("[\n")
	routes := f.Routes()
	for i, r := range routes {
		line, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		b = append(append(b, "  "...), line...)
		if i < len(routes)-1 {
			b = append(b, ',')
		}
		b = append(b, '\n')
	}
	return append(b, "]\n"...), nil
}

// Route is a route of a service's own, as gin registers it: GET /user/:id.
type Route struct{ Method, Path string }

var ginParam = regexp.MustCompile(`/[:*][^/]*`)

// shape is a path without the names of its parameters.
func shape(path string) string {
	return ginParam.ReplaceAllString(pathParam.ReplaceAllString(path, ":"), "/:")
}

// Compare says, in words, where the file and the code differ: routes of services that are neither in
// the file nor internal, internal ones that are in the file or that nobody has, and operations that no route
// and no lambda answers. Routes that are internal go by service, "GET /reward/today" each.
func (f *File) Compare(services map[string][]Route, internal map[string][]string, lambdas []string) (differences []string) {
	differ := func(format string, args ...any) { differences = append(differences, fmt.Sprintf(format, args...)) }
	inFile := map[string]bool{}
	for _, o := range f.Operations {
		if o.Service != "" {
			inFile[o.Service+" "+o.Method+" "+shape(o.integration.path)] = true
		}
	}
	inCode := map[string]bool{}
	for service, routes := range services {
		for _, r := range routes {
			key := service + " " + r.Method + " " + shape(r.Path)
			inCode[key] = true
			isInternal := slices.ContainsFunc(internal[service], func(s string) bool { return shape(s) == r.Method+" "+shape(r.Path) })
			switch {
			case isInternal && inFile[key]:
				differ("%s: %s %s is internal, and it is in the gateway's file", service, r.Method, r.Path)
			case !isInternal && !inFile[key]:
				differ("%s: %s %s is neither in the gateway's file nor internal", service, r.Method, r.Path)
			}
		}
	}
	for service, routes := range internal {
		for _, r := range routes {
			if !inCode[service+" "+shape(r)] {
				differ("%s: no route is %s, which is said to be internal", service, r)
			}
		}
	}
	for _, o := range f.Operations {
		switch {
		case o.Service != "" && !inCode[o.Service+" "+o.Method+" "+shape(o.integration.path)]:
			differ("%s has no route %s %s, which is in the gateway's file", o.Service, o.Method, o.integration.path)
		case o.Lambda != "" && !slices.Contains(lambdas, o.Lambda):
			differ("there is no lambda %s, which the gateway's file names at %s %s", o.Lambda, o.Method, o.Path)
		}
	}
	slices.Sort(differences)
	return slices.Compact(differences)
}
