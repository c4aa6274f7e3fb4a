package profiler_test

import (
	"io"
	"log"
	"os"
	"path/filepath"
	"testing"

	"github.com/swaggo/swag"
	"github.com/swaggo/swag/gen"
)

// TestTheDocsAreCurrent makes the API's description anew, as go generate does.
func TestTheDocsAreCurrent(t *testing.T) {
	dir := t.TempDir()
	err := gen.New().Build(&gen.Config{
		SearchDir: ".", MainAPIFile: "routes.go", OutputDir: dir, OutputTypes: []string{"go"}, PackageName: "docs", InstanceName: "profiler",
		PropNamingStrategy: swag.CamelCase, LeftTemplateDelim: "{{", RightTemplateDelim: "}}", ParseDepth: 100,
		CollectionFormat: "csv", Debugger: log.New(io.Discard, "", 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := os.ReadFile(filepath.Join(dir, "profiler_docs.go"))
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("docs/profiler_docs.go")
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != string(fresh) {
		t.Errorf("docs/ is not what the annotations say; run go generate in profiler (first difference at byte %d)", firstDifference(committed, fresh))
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
