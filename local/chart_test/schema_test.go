//go:build unix

package chart_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestSchemaRefuses: a slip of the pen, and what cannot be, never comes to a cluster.
func TestSchemaRefuses(t *testing.T) {
	needsTools(t)
	for _, tt := range []struct{ name, set, says string }{
		{"an unknown key", `replica=3`, "replica"},
		{"an unknown key of a section", `image.tga="1"`, "tga"},
		{"one of a section's section", `networkPolicy.lambdas.cidr="10.0.0.0/8"`, "cidr"},
		{"one of a secret's", `secrets.DB_PASS.value="hush"`, "value"},
		{"one of a certificate's", `etcd.ca.file="/ca"`, "file"},
		{"a certificate from two places", `etcd.ca={"configMap":"a","secret":"b"}`, "etcd/ca"},
		{"a service that is none", `service="publisher"`, "service"},
		{"a secret among settings", `settings.DB_PASS="hush"`, "DB_PASS"},
		{"another", `settings.SERVICE_SECRETS="a=b"`, "SERVICE_SECRETS"},
		{"another", `settings.DATA_KEY="a"`, "DATA_KEY"},
		{"a setting that is no text", `settings.REQUIRE_MFA=true`, "REQUIRE_MFA"},
		{"a database that is not encrypted", `postgres.sslmode="disable"`, "sslmode"},
		{"a CIDR that is none", `networkPolicy.engines=["10.0.0.0"]`, "engines"},
		{"a digest that is none", `image.digest="sha256:1"`, "digest"},
		{"a memory that is none", `resources.limits.memory="much"`, "memory"},
		{"an endpoint with a path", `profiler.endpoint="http://profiler/x"`, "endpoint"},
		{"an origin without https", `portal.origin="http://portal.bank.example"`, "origin"},
		{"a use that is none", `uses=["redis"]`, "uses"},
		{"a part of the limits", `resources.limits={"memory":null}`, "memory"},
	} {
		t.Run(tt.name+" "+tt.set, func(t *testing.T) {
			t.Parallel()
			_, err := helmTemplate(t, "campaignex", "production", tt.set)
			if err == nil || !strings.Contains(err.Error(), "specifications of the schema") || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("want %q: %v", tt.says, err)
			}
		})
	}
}

// TestSchemaIsWhole: every object of the schema is closed, and values.yaml and the schema have the same keys.
func TestSchemaIsWhole(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, ".chart/values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema any
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	if b, err = os.ReadFile(filepath.Join(root, ".chart/values.yaml")); err != nil {
		t.Fatal(err)
	}
	var defaults any
	if err := yaml.Unmarshal(b, &defaults); err != nil {
		t.Fatal(err)
	}
	objects := 0
	var closed func(path string, schema any)
	closed = func(path string, schema any) {
		s, ok := schema.(map[string]any)
		if !ok {
			t.Errorf("%s: %v is no schema", path, schema)
			return
		}
		if s["type"] == "object" {
			objects++
			switch more := s["additionalProperties"].(type) {
			case bool:
				if more {
					t.Errorf("%s takes any key", path)
				}
			case map[string]any:
				if s["properties"] != nil {
					t.Errorf("%s has keys of its own and takes others", path)
				}
				closed(path+".*", more)
			default:
				t.Errorf("%s takes any key", path)
			}
		} else if s["type"] == nil && s["enum"] == nil {
			t.Errorf("%s takes anything", path)
		}
		if s["type"] == "array" {
			closed(path+"[]", s["items"])
		}
		properties, _ := s["properties"].(map[string]any)
		for name, p := range properties {
			closed(path+"."+name, p)
		}
	}
	closed("", schema)
	if objects < 40 {
		t.Errorf("the schema has %d objects: it was not read to its end", objects)
	}
	var same func(path string, schema, value any)
	same = func(path string, schema, value any) {
		properties, _ := at(schema, "properties").(map[string]any)
		values, _ := value.(map[string]any)
		if properties == nil {
			return
		}
		for name := range values {
			if properties[name] == nil {
				t.Errorf("values.yaml has %s.%s, and the schema has not", path, name)
			}
		}
		if len(values) == 0 && path != "" { // {} of certificates and such
			return
		}
		for name, p := range properties {
			if _, ok := values[name]; !ok {
				t.Errorf("the schema has %s.%s, and values.yaml does not say what it is", path, name)
			}
			same(path+"."+name, p, values[name])
		}
	}
	same("", schema, defaults)
}
