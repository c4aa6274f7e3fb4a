package canary_test

import (
	"bytes"
	"github.com/getkin/kin-openapi/openapi3"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// exception is a case that is answered otherwise than the rest.
type exception struct {
	op, place, kind string // regular expressions of the whole; "" is any
	class           class
	why             string
}

// class is what an answer has to be.
type class string

const (
	named   class = "4xx that names the field"
	refused class = "4xx"
	taken   class = "no error of ours" // 2xx, or 4xx for what is there
)

// exceptions are all there are.
var exceptions = []exception{
	{kind: "query: beyond", place: "page_no", class: taken, why: "a page past the end is empty"},
	{kind: "header: another version", class: refused, why: "the header is right, and the answer is 412, or 404 of what is not there"},
	{place: "card_type", kind: "path: (text|number|below|UUID of zeros)", class: refused, why: "these are names that a card type could have"},
	{kind: "path: UUID of zeros", class: refused, why: "it is a UUID, and nothing has it"},
	{op: "putCardType", place: "card_type", kind: "null|missing", class: taken, why: "the address has it"},
	{op: "createUser|putUser", place: "password|confirm_password", kind: "too long|NUL", class: refused, why: "the other of the two is named, which it differs from, or the route that changes them"},
	{op: "(create|put)Campaign|tryCampaigns", place: `(campaigns\[0\]\.)?mcc`, kind: "number", class: taken, why: "a single code may be a number"},
	{op: "publish|tryCampaigns", place: `(transaction\.)?mcc`, kind: "text", class: named, why: "a text is read, where a code stands in it"},
	{op: "clientToken", place: "client_id|client_secret", kind: "no UUID|UUID .*|NUL|too long", class: refused, why: "whoever guesses is not told what of it is wrong"},
	{op: "clientToken", place: "scope", kind: "NUL|too long", class: refused, why: "it is not read"},
	{op: "createUpload", place: `control\.rows|size`, kind: "beyond", class: taken, why: "a file may have a billion bytes, and rows"},
	{op: "logout", place: "body", kind: "empty", class: taken, why: "without a body all sessions end"},
	{op: "logout", place: "body", kind: "space", class: refused, why: "a body that is there has to be one"},
}

// Every field of every body, every parameter and every header of the gateway's file, with whatever is
// wrong with it: answered in our shape, by name, and never a fault of ours, a hang or a panic. The cases
// come from the file, so that what is new in it is covered.
func TestBadInput(t *testing.T) {
	log := run(t, t.TempDir(), func(w *world) {
		b := &badInput{world: w, used: make([]bool, len(exceptions))}
		for _, o := range operations() {
			t.Run(o.method+strings.ReplaceAll(o.path, "/", "_"), func(t *testing.T) {
				b.params(t, o)
				b.headers(t, o)
				if o.RequestBody != nil {
					b.whole(t, o)
				}
				if o.schema() != nil {
					b.fields(t, o)
				}
			})
		}
		for i, used := range b.used {
			if !used {
				t.Errorf("no case is the exception %+v any more", exceptions[i])
			}
		}
		t.Logf("%d cases", b.cases)
	})
	for line := range bytes.Lines(log.text()) {
		if bytes.Contains(line, []byte(`"level":"ERROR"`)) || bytes.Contains(line, []byte("panic")) {
			t.Errorf("the log has %s", line)
		}
	}
}

type badInput struct {
	*world
	used  []bool
	cases int
}

// check sends one case, and holds its answer to its class.
func (b *badInput) check(t *testing.T, o operation, place, kind string, want class, target string, body []byte, headers ...string) {
	t.Helper()
	b.cases++
	for i, e := range exceptions {
		if matches(e.op, o.OperationID) && matches(e.place, place) && matches(e.kind, kind) {
			want, b.used[i] = e.class, true
			break
		}
	}
	a := b.send(t, o.role(), o.method, target, body, headers...)
	ok := a.status >= 400 && a.status < 500 && a.text != " " && a.code != ""
	switch want {
	case named:
		ok = ok && a.names(place)
	case taken:
		ok = ok || a.status >= 200 && a.status < 300
	}
	if !ok {
		t.Errorf("%s, %s: %s: %d %.300s, want %s", o.OperationID, place, kind, a.status, a.body, want)
	}
}

func matches(pattern, s string) bool {
	return pattern == "" || regexp.MustCompile("^(?:"+pattern+")$").MatchString(s)
}

// index is that of a list in a field's path. Some errors name the list, and say in words what of it.
var index = regexp.MustCompile(`\[0\].*$`)

// names says whether an error says which field is wrong.
func (a answer) names(place string) bool {
	if place == "body" {
		return strings.Contains(a.text, "body") || strings.Contains(a.text, "transaction")
	}
	leaf := place[strings.LastIndexByte(place, '.')+1:]
	for name := range a.fields {
		if name == place || name == strings.ReplaceAll(place, "[0]", "") || name == index.ReplaceAllString(place, "") || strings.HasPrefix(name, place+"[") || name == leaf && strings.Contains(place, "surprise") {
			return true
		}
	}
	return a.fields == nil && strings.Contains(a.text, place)
}

const long = 10_000

// fields sends each field of a body what is wrong with it.
func (b *badInput) fields(t *testing.T, o operation) {
	s := o.schema()
	for _, at := range append([]field{{schema: s}}, fields(s, field{})...) {
		if len(at.schema.Properties) == 0 {
			continue
		}
		extra := field{at: append(slices.Clone(at.at), "surprise"), path: strings.TrimPrefix(at.path+".surprise", ".")}
		b.field(t, o, extra, "unknown field", `1`, named)
		b.field(t, o, extra, "unknown object", `{"a": [{}]}`, named)
	}
	for _, f := range fields(s, field{}) {
		for kind, value := range wrongValues(f.schema) {
			b.field(t, o, f, kind, value, named)
		}
		absent := taken
		if f.required {
			absent = named
		}
		b.field(t, o, f, "null", `null`, absent)
		if _, last := f.at[len(f.at)-1].(string); last && f.schema != nil {
			b.cases++
			b.check(t, o, f.path, "missing", absent, b.target(o), encode(t, put(b.body(o), f.at, gone)))
		}
		b.field(t, o, f, "deep", strings.Repeat("[", long)+strings.Repeat("]", long), refused)
	}
}

// wrongValues are JSON values that a schema does not allow, by what is wrong.
func wrongValues(s *openapi3.Schema) map[string]string {
	all := map[string]string{"text": `"x y"`, "number": `7`, "flag": `true`, "object": `{"a": 1}`, "list": `[1]`}
	own := map[string]string{"string": "text", "integer": "number", "number": "number", "boolean": "flag", "object": "object", "array": "list"}[kindOf(s)]
	delete(all, own)
	switch kindOf(s) {
	case "string":
		all["too long"] = `"` + strings.Repeat("x", long) + `"`
		all["NUL"] = `"a\u0000b"`
		all["no UTF-8"] = "\"a\xff\xfeb\""
		if s.Format == "uuid" {
			all["no UUID"], all["UUID of zeros"], all["UUID in braces"] = `"not-a-uuid"`, `"00000000-0000-0000-0000-000000000000"`, `"{1b4db7eb-4057-5ddf-91e0-36dec72071f5}"`
		}
		if len(s.Enum) > 0 {
			all["none of those"] = `"surprise"`
		}
	case "integer":
		all["a fraction"], all["below"], all["beyond"] = `1.5`, `-1`, `1000000000`
		fallthrough
	case "number":
		all["too long"], all["huge"] = strings.Repeat("9", long), `1e999`
	case "array":
		all["too long"] = "[" + strings.TrimSuffix(strings.Repeat("1,", long), ",") + "]"
	}
	return all
}

// place stands in a body for what is not to be encoded.
const place = "\uE000here\uE000"

func (b *badInput) field(t *testing.T, o operation, f field, kind, value string, want class) {
	t.Helper()
	body := encode(t, put(b.body(o), f.at, place))
	body = bytes.Replace(body, []byte(`"`+place+`"`), []byte(value), 1)
	path := f.path
	if kind == "no UTF-8" {
		path = "body" // what is no text has no fields
	}
	b.check(t, o, path, kind, want, b.target(o), body)
}

// whole sends what is no body.
func (b *badInput) whole(t *testing.T, o operation) {
	target := b.target(o)
	b.check(t, o, "body", "10 MB and a byte", refused, target, bytes.Repeat([]byte("x"), 10<<20+1))
	if o.schema() == nil {
		return
	}
	right := string(encode(t, b.body(o)))
	for kind, body := range map[string]string{
		"empty": "", "space": " \n ", "null": "null", "list": "[]", "text": `"x"`, "number": "7", "malformed": `{"a":`, "two": right + " {}",
		"no UTF-8": "\xff\xfe" + right, "NUL": "\x00" + right, "deep lists": strings.Repeat("[", long), "deep objects": strings.Repeat(`{"a":`, long),
		"deep and whole": `{"a":` + strings.Repeat("[", long) + strings.Repeat("]", long) + "}",
	} {
		b.check(t, o, "body", kind, refused, target, []byte(body), "Content-Type", "application/json")
	}
}

// params sends each parameter of the address what is wrong with it.
func (b *badInput) params(t *testing.T, o operation) {
	for _, p := range o.params("path") {
		for kind, value := range map[string]string{
			"text": "x.y", "number": "7", "UUID of zeros": "00000000-0000-0000-0000-000000000000", "too long": strings.Repeat("x", 1000),
			"much too long": strings.Repeat("x", long), "no UTF-8": "%ff", "NUL": "%00", "below": "-1", "empty": "",
		} {
			want := named
			if kind == "much too long" || strings.HasPrefix(value, "%") || kind == "empty" {
				want = refused // no path of ours at all
			}
			target := strings.Replace(o.path, "{"+p.Name+"}", value, 1)
			for _, other := range o.params("path") {
				target = strings.Replace(target, "{"+other.Name+"}", b.pathValue(o, other.Name), 1)
			}
			b.check(t, o, p.Name, "path: "+kind, want, target, b.right(t, o))
		}
	}
	for _, p := range o.params("query") {
		values := map[string]string{"NUL": "%00", "no UTF-8": "%ff", "too long": strings.Repeat("x", long)}
		s := p.Schema.Value
		switch {
		case s.Type.Is("integer"):
			values["0"], values["below"], values["beyond"], values["huge"] = "0", "-1", "1000000000", strings.Repeat("9", 30)
			values["a fraction"], values["text"] = "1.5", "x"
		case s.Type.Is("boolean"), len(s.Enum) > 0:
			values["text"] = "surprise"
		case s.Format == "uuid":
			values["text"], values["UUID of zeros"] = "x", "00000000-0000-0000-0000-000000000000"
		case s.Format == "date":
			values["text"], values["no such day"] = "x", "2021-02-30"
		}
		for kind, value := range values {
			b.check(t, o, p.Name, "query: "+kind, named, b.target(o)+"?"+url.QueryEscape(p.Name)+"="+value, b.right(t, o))
		}
	}
}

func (b *badInput) right(t *testing.T, o operation) []byte {
	if o.schema() == nil {
		return nil
	}
	return encode(t, b.body(o))
}

// headers sends each header what is wrong with it.
func (b *badInput) headers(t *testing.T, o operation) {
	for _, p := range o.params("header") {
		values, known := map[string]map[string]string{
			"If-Match":        {"no quotes": "3", "one quote": `"3`, "text": "x", "another version": `"999999"`, "too long": strings.Repeat("x", long)},
			"If-None-Match":   {},
			"Dry-Run":         {"text": "maybe", "number": "1", "too long": strings.Repeat("x", long)},
			"Idempotency-Key": {"a space": "a b", "too long": strings.Repeat("x", long), "no ASCII": "é"},
		}[p.Name]
		if !known {
			t.Errorf("nothing is known of the header %s", p.Name)
		}
		for kind, value := range values {
			b.check(t, o, p.Name, "header: "+kind, named, b.target(o), b.right(t, o), p.Name, value)
		}
	}
}
