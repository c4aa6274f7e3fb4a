package canary_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty/token"
)

// operation is one of the gateway's file.
type operation struct {
	method, path string
	*openapi3.Operation
	item *openapi3.PathItem
}

// operations are all but OPTIONS, which nobody behind the gateway sees.
func operations() (all []operation) {
	for _, path := range doc.Paths.InMatchingOrder() {
		item := doc.Paths.Value(path)
		for _, method := range slices.Sorted(maps.Keys(item.Operations())) {
			if method != http.MethodOptions {
				all = append(all, operation{method, path, item.Operations()[method], item})
			}
		}
	}
	// What is there is deleted last.
	slices.SortStableFunc(all, func(a, b operation) int {
		return cmp.Compare(strings.Index(a.method, http.MethodDelete), strings.Index(b.method, http.MethodDelete))
	})
	return all
}

func operationOf(t *testing.T, method, path string) operation {
	t.Helper()
	for _, o := range operations() {
		if o.method == method && o.path == path {
			return o
		}
	}
	t.Fatalf("the gateway's file has no %s %s", method, path)
	return operation{}
}

func (o operation) String() string { return o.method + " " + o.path }

func (o operation) params(in string) (all []*openapi3.Parameter) {
	for _, p := range append(slices.Clone(o.item.Parameters), o.Parameters...) {
		if p.Value.In == in {
			all = append(all, p.Value)
		}
	}
	return all
}

// role is one who may call the operation: the one who may do most. Whoever signs out is none whom the
// other requests need.
func (o operation) role() token.Role {
	roles, _ := o.Extensions["x-angelowl-roles"].([]any)
	for _, r := range []token.Role{token.Admin, token.Bank, token.User} {
		if o.OperationID == "logout" {
			r = token.User
		}
		if slices.Contains(roles, any(string(r))) {
			return r
		}
	}
	return ""
}

// schema is that of the JSON body, or nil.
func (o operation) schema() *openapi3.Schema {
	if o.RequestBody == nil {
		return nil
	}
	media := o.RequestBody.Value.Content.Get("application/json")
	if media == nil || o.RequestBody.Value.Content["application/json"] == nil {
		return nil
	}
	return media.Schema.Value
}

// field is a place in a body.
type field struct {
	path     string // as people write it: campaigns[0].name
	at       []any  // the same as keys and indexes
	schema   *openapi3.Schema
	required bool
}

// fields are all the places of a schema.
func fields(s *openapi3.Schema, prefix field) (all []field) {
	add := func(f field) {
		all = append(append(all, f), fields(f.schema, f)...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		path := name
		if prefix.path != "" {
			path = prefix.path + "." + name
		}
		add(field{path, append(slices.Clone(prefix.at), name), s.Properties[name].Value, slices.Contains(s.Required, name)})
	}
	if s.Items != nil {
		add(field{prefix.path + "[0]", append(slices.Clone(prefix.at), 0), s.Items.Value, false})
	}
	if s.AdditionalProperties.Schema != nil {
		add(field{prefix.path + ".USD", append(slices.Clone(prefix.at), "USD"), s.AdditionalProperties.Schema.Value, false})
	}
	return all
}

// leaves says which places a test puts what it has: those that hold no others.
func (f field) leaf() bool {
	return f.schema.Items == nil && len(f.schema.Properties) == 0 && f.schema.AdditionalProperties.Schema == nil
}

// known are values that are right for a field of that name; for others its type is enough.
var known = map[string]any{
	"first_name": "Ann", "last_name": "Lee", "phone": "+6591234567", "Role": "user", "locked": false, "reward_emails": true,
	"password": "four turquoise trains", "confirm_password": "four turquoise trains", "old_password": "five turquoise trains",
	"card_pan": "4111 1111 1111 1111", "card_type": "scis_freedom", "grant_type": "client_credentials",
	"start_date": "2021-09-01T00:00:00Z", "end_date": "2021-12-31T00:00:00Z", "valid_from": "2021-09-01T00:00:00Z",
	"reward_program": "scis_freedom", "reward_amount": 1, "min_spend": 0, "base_reward": false, "foreign_currency": false,
	"currency": "USD", "amount": 10, "sgd_amount": 10, "transaction_date": "2021-09-02", "transaction_id": "T-1",
	"base": "EUR", "USD": 1.5, "decimals": 2, "currencies[0]": "CAD", "mccs[0]": "5411", "merchant": "Kaligo",
}

// left are fields that a right body does not have, although the schema allows them.
var left = map[string][]string{
	"putUser": {"id", "password", "confirm_password"}, // of POST alone, and the address's
}

// body is one that is right for an operation.
func (w *world) body(o operation) any {
	s := o.schema()
	if s == nil {
		return nil
	}
	body := w.value("", s).(map[string]any)
	for _, name := range left[o.OperationID] {
		delete(body, name)
	}
	if o.method == http.MethodPut {
		for _, p := range o.params("path") {
			if _, has := body[p.Name]; has {
				body[p.Name] = w.pathValue(o, p.Name)
			}
		}
	}
	if o.OperationID == "createCardType" {
		body["card_type"] = "t-" + uuid.NewString()[24:]
	}
	return body
}

func (w *world) value(name string, s *openapi3.Schema) any {
	switch name {
	case "mcc":
		if s.Type.Is("integer") {
			return 5411
		}
		return "5411"
	case "email":
		return "a" + uuid.NewString()[:13] + "@canary.example"
	case "user_id":
		return w.ids["/user/{id}"]
	}
	if v, ok := known[name]; ok {
		if s.Type.Is("string") {
			return fmt.Sprint(v)
		}
		return v
	}
	switch {
	case s.Format == "uuid", name == "id", name == "card_id":
		return uuid.NewString()
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type.Is("string"):
		return "some text"
	case s.Type.Is("integer"), s.Type.Is("number"):
		return 1
	case s.Type.Is("boolean"):
		return true
	case s.Type.Is("array"):
		return []any{w.value(name+"[0]", s.Items.Value)}
	}
	object := map[string]any{}
	for key, p := range s.Properties {
		object[key] = w.value(key, p.Value)
	}
	if s.AdditionalProperties.Schema != nil {
		object["USD"] = known["USD"]
	}
	return object
}

// put returns a copy of a body with another value at a place; gone takes the place off.
func put(body any, at []any, v any) any {
	if len(at) == 0 {
		return v
	}
	switch b := body.(type) {
	case []any:
		b = slices.Clone(b)
		i := at[0].(int)
		b[i] = put(b[i], at[1:], v)
		return b
	case map[string]any:
		b = maps.Clone(b)
		key := at[0].(string)
		if v == gone && len(at) == 1 {
			delete(b, key)
			return b
		}
		b[key] = put(b[key], at[1:], v)
		return b
	}
	panic(fmt.Sprintf("nothing is at %v of %v", at, body))
}

type nothing struct{}

var gone any = nothing{}

// kindOf is the JSON type of a schema.
func kindOf(s *openapi3.Schema) string { return strings.Join(s.Type.Slice(), "|") }
