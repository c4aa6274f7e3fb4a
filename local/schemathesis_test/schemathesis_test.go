//go:build unix

package schemathesis_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/angelowl-loyalties/app/loyalty/token"
)

// TestEveryAnswerIsAsTheFileSays sends to each operation, as nobody and as each role, what is right and
// what is wrong. Rates of sign-in and of the gateway answer some with 429, which the file knows.
func TestEveryAnswerIsAsTheFileSays(t *testing.T) {
	python := python(t)
	long, examples := os.Getenv("ANGELOWL_LONG") != "", 3
	if long {
		examples = 300
	}
	doc := load(t)
	start(t, func(t *testing.T, ctx context.Context, w *world) {
		// The admin's comes last: a card or rule that it changes is seen by nobody after it.
		for _, role := range []token.Role{"", token.User, token.Merchant, token.Bank, token.Admin} {
			name := string(role)
			if role == "" {
				name = "nobody"
			}
			t.Run(name, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "openapi.json")
				write(t, doc, w.examples(t, ctx, role), file)
				var all []answer
				for _, r := range parts(doc, role, long) {
					r.url, r.token, r.file, r.examples = w.URL, w.tokens[role], file, examples
					f, err := r.do(ctx, t, python)
					if err != nil {
						t.Fatal(err)
					}
					if len(f.Failures) > 0 {
						t.Errorf("schemathesis says\n%s", f.said)
					}
					t.Logf("%d operations, %d requests", f.Operations.Tested, f.TestCases.Generated)
					all = append(all, f.answers...)
				}
				reached(t, doc, role, all)
			})
		}
		t.Run("planted faults", func(t *testing.T) { notices(t, ctx, w, doc, python) })
	})
}

// public says whether an operation needs no token.
func public(op *openapi3.Operation) bool { return op.Security != nil && len(*op.Security) == 0 }

// may says whether a role, or "" for nobody, may call an operation.
func may(role token.Role, op *openapi3.Operation) bool {
	roles := strings.Fields(strings.Trim(fmt.Sprint(op.Extensions["x-angelowl-roles"]), "[]"))
	return public(op) || role != "" && slices.Contains(roles, string(role))
}

// parts are the two runs as a role. The first has all phases and what the role may call; what is open to
// everybody looks at no token and is in nobody's alone. The second has what the role may not call, whose
// answer does not hang on parameters and bodies, with what is made up by chance. Signing out, which ends
// the session of the run, is in the second, too. The short form has that of nobody and of users alone: the
// gateway refuses other roles by the same lines.
func parts(doc *openapi3.T, role token.Role, long bool) []run {
	out := []run{{phases: "examples,coverage,fuzzing"}, {phases: "fuzzing"}}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			part := &out[0]
			switch {
			case public(op) && role != "":
				continue
			case !may(role, op) || op.OperationID == "logout":
				part = &out[1]
			}
			part.operations = append(part.operations, op.OperationID)
		}
	}
	if !long && role != "" && role != token.User {
		out = out[:1]
	}
	return out
}

// unreached are the operations that a run does not get to do what they are for, though its role may.
var unreached = map[string]string{
	"resetPassword":  "takes a token out of a mail: profiler/signin's tests",
	"unsubscribe":    "takes a token out of a mail: profiler/signin's tests",
	"changePassword": "would end the session of the run: profiler/signin's tests",
	"completeUpload": "takes the parts of a file that was sent to S3: the tests of uploads",
	"resetTOTP":      "takes an account that has confirmed one: profiler/signin's tests",
	"confirmTOTP":    "takes a code of the moment: profiler/signin's tests",
}

// reached fails where a role may call an operation and none of its answers was of 200 to 299: then the
// run has only held errors to the file. It fails, too, where a role got one that may not call it.
func reached(t *testing.T, doc *openapi3.T, role token.Role, all []answer) {
	t.Helper()
	type operation struct {
		id, method, path string
		pattern          *regexp.Regexp
		may, public      bool
		statuses         map[int]int
	}
	var ops []*operation
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			pattern := regexp.MustCompile("^" + regexp.MustCompile(`\\{[^}]*\\}`).ReplaceAllString(regexp.QuoteMeta(path), "[^/]*") + "$")
			ops = append(ops, &operation{op.OperationID, method, path, pattern, may(role, op), public(op), map[int]int{}})
		}
	}
	// A literal goes before a parameter.
	slices.SortFunc(ops, func(a, b *operation) int {
		return cmp.Or(strings.Count(a.path, "{")-strings.Count(b.path, "{"), strings.Compare(a.id, b.id))
	})
	for _, a := range all {
		i := slices.IndexFunc(ops, func(o *operation) bool { return o.method == a.method && o.pattern.MatchString(a.path) })
		if i >= 0 {
			ops[i].statuses[a.status]++
		}
	}
	for _, o := range ops {
		good := 0
		for status, n := range o.statuses {
			if status/100 == 2 {
				good += n
			}
		}
		switch {
		case len(o.statuses) == 0 && o.may && (role == "" || !o.public && o.id != "logout"):
			t.Errorf("%s was not called", o.id)
		case o.may && good == 0 && unreached[o.id] == "" && len(o.statuses) > 0:
			t.Errorf("%s has not once done what it is for: %v", o.id, o.statuses)
		case !o.may && good > 0:
			t.Errorf("%s did what it is for, which this role may not: %v", o.id, o.statuses)
		}
		if testing.Verbose() && len(o.statuses) > 0 {
			t.Logf("%-20s %v", o.id, counts(o.statuses))
		}
	}
}

func counts(m map[int]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%d × %d", m[k], k))
	}
	return strings.Join(out, ", ")
}

// notices breaks one answer of each kind in front of the system: the same run as above fails, and names
// what is wrong with which operation, and nothing else.
func notices(t *testing.T, ctx context.Context, w *world, doc *openapi3.T, python string) {
	broken := map[string]struct {
		answer func(http.ResponseWriter)
		kind   string
	}{
		"GET /health":       {fault(200, "application/json", `{}`), "JsonSchemaError"}, // a required field is missing
		"GET /card/type":    {fault(500, "application/json", `{"error": "oh", "code": "internal"}`), "ServerError"},
		"GET /campaign":     {fault(418, "application/json", `{"error": "oh", "code": "teapot"}`), "UndefinedStatusCode"},
		"GET /exclusion":    {fault(200, "text/html", `<p>hello`), "UndefinedContentType"},
		"OPTIONS /campaign": {fault(204, "", ""), "MissingHeaders"},
		"GET /fx":           {},
	}
	to, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: w.client.Transport}
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if b := broken[r.Method+" "+r.URL.Path]; b.answer != nil {
			b.answer(rw)
			return
		}
		proxy.ServeHTTP(rw, r)
	}))
	defer front.Close()
	r := run{url: front.URL, token: w.tokens[token.Admin], file: filepath.Join(t.TempDir(), "openapi.json"), examples: 1, phases: "examples,coverage,fuzzing"}
	write(t, doc, nil, r.file)
	for name := range broken {
		method, path, _ := strings.Cut(name, " ")
		r.operations = append(r.operations, doc.Paths.Value(path).Operations()[method].OperationID)
	}
	f, err := r.do(ctx, t, python)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, failure := range f.Failures {
		for _, op := range failure.Operations {
			got[op] = append(got[op], failure.Type)
		}
	}
	want := map[string][]string{}
	for name, b := range broken {
		if b.kind != "" {
			want[name] = []string{b.kind}
		}
	}
	if f.ExitCode != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("it exits with %d and names %v instead of %v\n%s", f.ExitCode, got, want, f.said)
	}
}

func fault(status int, kind, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		if kind != "" {
			w.Header().Set("Content-Type", kind)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}
