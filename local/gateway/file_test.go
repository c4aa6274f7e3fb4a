package gateway

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	campaignex "github.com/angelowl-loyalties/app/campaignex/docs"
	informer "github.com/angelowl-loyalties/app/informer/docs"
	profiler "github.com/angelowl-loyalties/app/profiler/docs"
	rewarder "github.com/angelowl-loyalties/app/rewarder/ops/docs"
	"github.com/getkin/kin-openapi/openapi3"
)

const theFile = "../../.infra/api/openapi.yaml"

var update = flag.Bool("update", false, "write what is made of the gateway's file")

// TestCopiesAreWhatTheFileSays writes them with -update.
func TestCopiesAreWhatTheFileSays(t *testing.T) {
	text, err := os.ReadFile(theFile)
	if err != nil {
		t.Fatal(err)
	}
	file, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	routes, err := RoutesJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]byte{"openapi.yaml": text, "../../authorizer/routes.json": routes} {
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Error(err)
			}
			continue
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the gateway's file says (%v); run go generate ./local/gateway", path, err)
		}
	}
}

func TestTheAuthorizersRoutes(t *testing.T) {
	file, err := Load(theFile)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := RoutesJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	var routes []AuthorizerRoute
	if err := json.Unmarshal(raw, &routes); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`  {"method":"GET","path":"/campaign","roles":["user","bank","admin"],"must":[]},` + "\n",
		`  {"method":"POST","path":"/auth/password","roles":["user","bank","admin"],"must":["password","totp"]},` + "\n",
		`  {"method":"POST","path":"/publish","roles":["bank","merchant","admin"],"must":[]},` + "\n",
	} {
		if !strings.Contains(string(raw), line) {
			t.Errorf("routes.json lacks %s", line)
		}
	}
	for _, r := range routes {
		if r.Method == "OPTIONS" || r.Path == "/auth/login" || r.Path == "/health" || len(r.Roles) == 0 {
			t.Errorf("%+v needs no token", r)
		}
	}
	if !slices.IsSortedFunc(routes, func(a, b AuthorizerRoute) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) }) {
		t.Error("routes.json is not sorted")
	}
}

// onlyInternal are routes that services have on another port, or for themselves.
var onlyInternal = map[string][]string{
	"informer": {"GET /reward/today"},
}

// What the services' own documentation says is what the file says: parameters, and statuses.
func TestTheFileAgreesWithTheServicesDocumentation(t *testing.T) {
	file, err := Load(theFile)
	if err != nil {
		t.Fatal(err)
	}
	for service, text := range map[string]string{
		"campaignex": campaignex.SwaggerInfocampaignex.ReadDoc(),
		"informer":   informer.SwaggerInfoinformer.ReadDoc(),
		"profiler":   profiler.SwaggerInfoprofiler.ReadDoc(),
		"rewarder":   rewarder.SwaggerInforewarder.ReadDoc(),
	} {
		var doc struct {
			Paths map[string]map[string]struct {
				Parameters []struct{ Name, In string }
				Responses  map[string]any
			}
		}
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		if len(doc.Paths) == 0 {
			t.Fatalf("%s documents nothing", service)
		}
		for path, methods := range doc.Paths {
			for method, said := range methods {
				method = strings.ToUpper(method)
				if strings.HasPrefix(path, "/internal/") || slices.Contains(onlyInternal[service], method+" "+path) {
					continue
				}
				i := slices.IndexFunc(file.Operations, func(o *Operation) bool { return o.Method == method && shape(o.Path) == shape(path) })
				if i < 0 || file.Operations[i].Service != service {
					t.Errorf("%s documents %s %s, which is not its in the gateway's file", service, method, path)
					continue
				}
				o := file.Operations[i]
				var params []string
				for _, p := range said.Parameters {
					switch p.In {
					case "body", "formData":
						if o.bodyTypes == nil {
							t.Errorf("%s %s takes a body, which the gateway's file does not say", method, path)
						}
					case "path":
						if o.Path == path {
							params = append(params, p.In+" "+p.Name)
						}
					default:
						params = append(params, p.In+" "+p.Name)
					}
				}
				for _, p := range params {
					if !slices.Contains(o.Parameters, p) {
						t.Errorf("%s %s: the service documents the parameter %s, the gateway's file does not", method, path, p)
					}
				}
				for _, p := range o.Parameters {
					if strings.HasPrefix(p, "query ") && !slices.Contains(params, p) {
						t.Errorf("%s %s: the gateway's file has the parameter %s, the service does not document it", method, path, p)
					}
				}
				for status := range said.Responses {
					if !slices.Contains(o.Statuses, status) {
						t.Errorf("%s %s: the service documents the status %s, the gateway's file does not", method, path, status)
					}
				}
				for _, status := range o.Statuses {
					if status < "300" && said.Responses[status] == nil {
						t.Errorf("%s %s: the gateway's file has the status %s, the service does not document it", method, path, status)
					}
				}
			}
		}
	}
}

func TestCompareNamesWhatDiffers(t *testing.T) {
	file := &File{Operations: []*Operation{
		{Method: "GET", Path: "/a/{id}", Service: "one", integration: integration{path: "/a/{id}"}},
		{Method: "GET", Path: "/b", Service: "two", integration: integration{path: "/b"}},
		{Method: "POST", Path: "/c", Lambda: "three"},
	}}
	agreed := func() (map[string][]Route, map[string][]string, []string) {
		return map[string][]Route{"one": {{"GET", "/a/:key"}, {"GET", "/swagger/*any"}}, "two": {{"GET", "/b"}}},
			map[string][]string{"one": {"GET /swagger/*any"}}, []string{"three"}
	}
	for _, c := range []struct {
		name   string
		change func(services map[string][]Route, internal map[string][]string) []string
		want   string
	}{
		{"agreed", nil, ""},
		{"a route that is nowhere", func(s map[string][]Route, _ map[string][]string) []string {
			s["one"] = append(s["one"], Route{"DELETE", "/a/:key"})
			return []string{"three"}
		}, "one: DELETE /a/:key is neither in the gateway's file nor internal"},
		{"a route that is gone", func(s map[string][]Route, _ map[string][]string) []string {
			s["two"] = nil
			return []string{"three"}
		}, "two has no route GET /b, which is in the gateway's file"},
		{"a route of another service", func(s map[string][]Route, _ map[string][]string) []string {
			s["one"] = append(s["one"], Route{"GET", "/b"})
			return []string{"three"}
		}, "one: GET /b is neither in the gateway's file nor internal"},
		{"internal and in the file", func(_ map[string][]Route, i map[string][]string) []string {
			i["two"] = []string{"GET /b"}
			return []string{"three"}
		}, "two: GET /b is internal, and it is in the gateway's file"},
		{"internal and nowhere", func(_ map[string][]Route, i map[string][]string) []string {
			i["two"] = []string{"GET /d"}
			return []string{"three"}
		}, "two: no route is GET /d, which is said to be internal"},
		{"no lambda", func(map[string][]Route, map[string][]string) []string { return nil },
			"there is no lambda three, which the gateway's file names at POST /c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			services, internal, lambdas := agreed()
			if c.change != nil {
				lambdas = c.change(services, internal)
			}
			got := strings.Join(file.Compare(services, internal, lambdas), "\n")
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAFileThatWouldBeServedOtherwiseIsRefused(t *testing.T) {
	text, err := os.ReadFile(theFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"no YAML", "openapi: 3.0.3", "openapi: [", "reading the gateway's file"},
		{"no OpenAPI", "operationId: login\n", "operationId: logout\n", "same operation id"},
		{"an integration of a kind that nobody serves", "type: http_proxy", "type: http", `type "http" is not served`},
		{"a service by another uri", "uri: http://${profiler}/health", "uri: https://profiler/health", "is not http://${service}/path"},
		{"another method", "httpMethod: GET", "httpMethod: POST", "it calls the service by POST"},
		{"not through the VPC", "connectionType: VPC_LINK", "connectionType: INTERNET", "VPC link"},
		{"a time-out beyond API Gateway's", "timeoutInMillis: 29000", "timeoutInMillis: 29001", "29000 at most"},
		{"a parameter that is not passed on", "          integration.request.path.id: method.request.path.id\n", "", "id is not passed on"},
		{"no request id", "          integration.request.header.X-Request-Id: context.requestId\n", "", "X-Request-Id is not context.requestId"},
		{"an address of the client's own", "context.identity.sourceIp", "method.request.header.X-Source-Ip", "X-Source-Ip is not"},
		{"a mapping that nobody does", "          integration.request.header.X-Request-Id: context.requestId\n", "          integration.request.header.X-Request-Id: context.requestId\n          integration.request.header.X-Who: context.identity.caller\n", "is not served"},
		{"a parameter without a pattern", ", pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'", "", "date needs a pattern"},
		{"a pattern that is not anchored", "{1,512}$'", "{1,512}'", "token needs a pattern"},
		{"no roles", "      x-angelowl-roles: [user, bank, admin]\n", "", "it needs a token, and has no roles"},
		{"no security", "      security: [{bearer: []}]\n", "", "neither [] nor bearer alone"},
		{"public with roles", "      security: []\n", "      security: []\n      x-angelowl-roles: [user]\n", "it is public and has roles"},
		{"a role that stays inside", "[user, bank, admin]", "[service]", "no role that comes through the gateway"},
		{"a role that is none", "[user, bank, admin]", "[usr]", "no role that comes through the gateway"},
		{"a must that is none", "x-angelowl-must: totp", "x-angelowl-must: pay", "x-angelowl-must is"},
		{"a throttle of nothing", "{rate: 100, burst: 200}", "{rate: 100, burst: 0}", "a throttle needs"},
		{"OPTIONS that leave a method out", "'''GET,OPTIONS'''", "'''OPTIONS'''", "its OPTIONS say"},
		{"no gateway response", "  THROTTLED:", "  SLOW:", "no gateway response THROTTLED"},
		{"an authorizer of another type", "type: token", "type: request", "must be of type token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !bytes.Contains(text, []byte(c.old)) {
				t.Fatalf("the file has no %q", c.old)
			}
			_, err := Parse(bytes.Replace(text, []byte(c.old), []byte(c.new), 1))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := Load("nowhere.yaml"); err == nil {
		t.Error("a file that is not there was read")
	}
}

// What API Gateway's import does not take, or drops: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
func TestAPIGatewayTakesTheFile(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile(theFile)
	if err != nil {
		t.Fatal(err)
	}
	for name := range doc.Components.Schemas {
		if !regexp.MustCompile("^[A-Za-z0-9]+$").MatchString(name) {
			t.Errorf("the name %s of a schema is not of letters and digits alone", name)
		}
	}
	if len(doc.Components.Responses)+len(doc.Components.Parameters)+len(doc.Components.RequestBodies) > 0 {
		t.Error("only schemas may be referred to")
	}
	for path := range doc.Paths.Map() {
		if !regexp.MustCompile(`^(/([A-Za-z0-9_.,:-]+|\{[A-Za-z0-9_.-]+\}))+$`).MatchString(path) {
			t.Errorf("the path %s has a segment that is not taken", path)
		}
	}
	raw, err := json.Marshal(doc.Components.Schemas)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"discriminator", "example", "exclusiveMinimum", "exclusiveMaximum", "readOnly", "writeOnly", "deprecated", "oneOf", "anyOf", "not"} {
		if bytes.Contains(raw, []byte(`"`+word+`":`)) {
			t.Errorf("schemas have %s", word)
		}
	}
}

// What Terraform's templatefile fills in, and nothing that it would take for a directive.
func TestTheFileHasOnlyVariablesThatTerraformFills(t *testing.T) {
	text, err := os.ReadFile(theFile)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`\$\{([^}]*)\}`).FindAllSubmatch(text, -1) {
		if name := string(m[1]); !slices.Contains(got, name) { // in comments, too: Terraform does not know them
			got = append(got, name)
		}
	}
	slices.Sort(got)
	want := []string{"AWS_REGION", "authorizer_arn", "campaignex", "informer", "portal_origin", "profiler", "publish_single_arn", "rewarder", "uploads_arn", "vpc_link_id"}
	if !slices.Equal(got, want) {
		t.Errorf("its variables are %v, should be %v", got, want)
	}
	if bytes.Contains(text, []byte("%{")) {
		t.Error("it has a directive of templatefile")
	}
}
