//go:build unix

// Package schemathesis_test sends what schemathesis makes up from the gateway's file to the running
// system, as each role, and holds every answer to what the file says.
package schemathesis_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"go.uber.org/goleak"

	"github.com/angelowl-loyalties/app/local/pyvenv"
)

// sarama's metrics have one for the whole process. The HTTP server under the S3 server has one for the
// date, and looks every 10 s whether it was stopped.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

//go:embed requirements.txt
var requirements []byte

func python(t *testing.T) string { return pyvenv.For(t, "schemathesis", 11, requirements) }

// TestInstalled is what make runs first, so that nothing is fetched in the middle of other tests.
func TestInstalled(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), python(t), "-I", "-m", "schemathesis.cli", "--version").CombinedOutput()
	if want := "version 4.32.5\n"; err != nil || !strings.HasSuffix(string(out), want) {
		t.Errorf("%q %v", out, err)
	}
}

const theFile = "../../.infra/api/openapi.yaml"

// load reads the gateway's file.
func load(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile(theFile)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// example is what makes an operation do what it is for: parameters of the path by name, and a body. The
// file has none, since the accounts, cards and rules of one system are not those of another.
type example struct {
	path map[string]string
	body any
}

// write writes the file with examples, by operationId, for schemathesis to begin with.
func write(t *testing.T, doc *openapi3.T, examples map[string]example, name string) {
	t.Helper()
	left := map[string]bool{}
	for id := range examples {
		left[id] = true
	}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			e := examples[op.OperationID]
			delete(left, op.OperationID)
			for _, p := range op.Parameters {
				p.Value.Example = nil
				if v, ok := e.path[p.Value.Name]; ok {
					p.Value.Example = v
				}
			}
			// Whatever header an answer may have by the file it always has; OpenAPI takes it for optional.
			for _, response := range op.Responses.Map() {
				for _, h := range response.Value.Headers {
					h.Value.Required = true
				}
			}
			if op.RequestBody == nil {
				continue
			}
			for kind, media := range op.RequestBody.Value.Content {
				if media.Example = nil; !strings.Contains(kind, "zip") { // it cannot write such bodies
					media.Example = e.body
				}
			}
		}
	}
	if len(left) > 0 {
		t.Fatalf("the file has none of the operations %v", left)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// settings are schemathesis's.
//
// Checks are those of answers. Not among them are:
//   - unsupported_method and allow_header_conformance, and so no methods that the file does not have:
//     API Gateway answers 404 and no Allow, and local/gateway's tests hold that
//   - negative_data_rejection and positive_data_acceptance: a schema says less than a service checks (a
//     card type that is there, a date that is one, a number that Luhn's rule fits), and services take
//     some of what a schema refuses (a number as a string, a parameter that nobody reads)
//   - missing_required_header: no operation requires one but Authorization
//   - ignored_auth and object_level_authorization: who may do what is walked, route by route and role by
//     role, from a table of its own
//   - use_after_free and ensure_resource_availability: they follow links between operations, which the
//     file does not have
//
// Only the ids of examples and made-up ones are used, none of earlier answers: those of other accounts
// would be changed, locked and deleted in an order that no seed can fix.
const settings = `
headers = { %s }
auth.auto-signup = false
[generation]
with-security-parameters = %t
database = "none"
[phases.examples]
extra-data-sources.responses = false
[phases.coverage]
unexpected-methods = []
extra-data-sources.responses = false
[phases.fuzzing]
extra-data-sources.responses = false
[phases.stateful]
enabled = false
[output.sanitization]
enabled = false
`

var checks = []string{
	"not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance", "response_schema_conformance",
}

// run is one run of schemathesis.
type run struct {
	url        string
	token      string // "" nobody's: then tokens are made up as other parameters are
	file       string
	phases     string
	operations []string // by operationId
	examples   int      // most of each operation that are made up by chance; those of its coverage come first
}

// found is what schemathesis found out.
type found struct {
	Failures []struct {
		Type       string   `json:"type"`
		Title      string   `json:"title"`
		Operations []string `json:"operations"`
	} `json:"failures"`
	Errors     []json.RawMessage `json:"errors"`
	Complete   bool              `json:"complete"`
	ExitCode   int               `json:"exit_code"`
	Operations struct {
		Selected int `json:"selected"`
		Tested   int `json:"tested"`
	} `json:"operations"`
	TestCases struct {
		Generated int `json:"generated"`
	} `json:"test_cases"`

	said    string
	answers []answer
}

type answer struct {
	method string
	path   string // as it was sent
	status int
}

func (r run) do(ctx context.Context, t *testing.T, python string) (found, error) {
	dir := t.TempDir()
	header := ""
	if r.token != "" {
		header = "Authorization = " + strconv.Quote("Bearer "+r.token)
	}
	if err := os.WriteFile(filepath.Join(dir, "schemathesis.toml"), fmt.Appendf(nil, settings, header, r.token == ""), 0o600); err != nil {
		return found{}, err
	}
	args := []string{"-I", "-m", "schemathesis.cli", "--no-color", "run", r.file, "--url", r.url, "--checks", strings.Join(checks, ","),
		"--phases", r.phases, "--continue-on-failure", "--max-examples", strconv.Itoa(r.examples), "--seed", "1", "--workers", "1",
		"--warnings", "off", "--report", "json,har", "--report-json-path", "report.json", "--report-har-path", "report.har"}
	slices.Sort(r.operations)
	for _, id := range r.operations {
		args = append(args, "--include-operation-id", id)
	}
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Dir = dir
	said, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return found{}, fmt.Errorf("running schemathesis: %w\n%s", err, said)
	}
	out := found{said: string(said)}
	report, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err == nil {
		err = json.Unmarshal(report, &out)
	}
	if err == nil {
		out.answers, err = answers(filepath.Join(dir, "report.har"))
	}
	if err != nil {
		return found{}, fmt.Errorf("reading what schemathesis found: %w\n%s", err, said)
	}
	if !out.Complete || len(out.Errors) > 0 || out.Operations.Tested != out.Operations.Selected || out.Operations.Tested == 0 {
		return found{}, fmt.Errorf("schemathesis did not come to its end:\n%s", said)
	}
	return out, nil
}

// answers reads an HTTP archive.
func answers(file string) ([]answer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var har struct {
		Log struct {
			Entries []struct {
				Request struct {
					Method string `json:"method"`
					URL    string `json:"url"`
				} `json:"request"`
				Response struct {
					Status int `json:"status"`
				} `json:"response"`
			} `json:"entries"`
		} `json:"log"`
	}
	if err := json.Unmarshal(text, &har); err != nil {
		return nil, err
	}
	var all []answer
	for _, e := range har.Log.Entries {
		u, err := url.Parse(e.Request.URL)
		if err != nil {
			return nil, err
		}
		all = append(all, answer{e.Request.Method, u.EscapedPath(), e.Response.Status})
	}
	return all, nil
}
