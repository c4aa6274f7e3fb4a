package local_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const app = "github.com/angelowl-loyalties/app/"

// embedded are the engines of the all-in-one. They may be in no program that a bank deploys.
var embedded = []string{
	"go.etcd.io/etcd/server/",
	"github.com/twmb/franz-go/pkg/kfake",
	"github.com/cockroachdb/pebble/",
	"github.com/versity/versitygw",
	"github.com/glebarez/",
	"modernc.org/sqlite",
}

// allowed says what of outside the standard library a pure package may import, tests aside. The
// domain at the root of loyalty and the rules do no I/O, so they may not import net, os and the
// like either.
var allowed = map[string][]string{
	"loyalty":       {"github.com/google/uuid"},
	"loyalty/rules": {"github.com/google/uuid", app + "loyalty", "golang.org/x/text"},
}

var io = []string{"net", "net/http", "os/exec", "database/sql", "log/slog", "log"}

// lambdas start on demand, so they carry no web framework, no ORM and no etcd client.
var lambdas = []string{"authorizer", "emailer", "ingestor", "passworder", "pet-rock", "publish-single"}

type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
}

func TestImportsGoFromLocalToServicesToLoyalty(t *testing.T) {
	modules := workspace(t)
	services := slices.DeleteFunc(slices.Clone(modules), func(m string) bool { return m == "local" || m == "loyalty" })
	if len(services) < 5 {
		t.Fatalf("go.work has only the services %v", services)
	}
	for _, module := range modules {
		if module == "local" {
			continue
		}
		for _, p := range list(t, module) {
			if p.Standard {
				continue
			}
			folder := strings.TrimPrefix(p.ImportPath, app)
			for _, dep := range p.Deps {
				for _, other := range append([]string{"local"}, services...) {
					if other != module && within(dep, app+other) {
						t.Errorf("%s depends on %s: services do not import one another, and nothing imports local", folder, dep)
					}
				}
				if dep == app+"profiler/password/passwordtest" {
					t.Errorf("%s depends on %s, whose hashes protect nothing", folder, dep)
				}
				for _, engine := range embedded {
					if strings.HasPrefix(dep, engine) {
						t.Errorf("%s depends on %s, an engine of the all-in-one", folder, dep)
					}
				}
				if slices.Contains(lambdas, module) {
					for _, heavy := range []string{"github.com/gin-gonic/gin", "gorm.io/gorm", "go.etcd.io/etcd/client"} {
						if strings.HasPrefix(dep, heavy) {
							t.Errorf("%s depends on %s, which is too heavy for a lambda", folder, dep)
						}
					}
				}
			}
		}
	}
}

func TestTheDomainAndTheRulesArePure(t *testing.T) {
	found := 0
	for _, p := range list(t, "loyalty") {
		allow, pure := allowed[strings.TrimPrefix(p.ImportPath, app)]
		if !pure {
			continue
		}
		found++
		for _, imp := range p.Imports {
			if slices.Contains(io, imp) {
				t.Errorf("%s imports %s, which does I/O", p.ImportPath, imp)
			}
			if !strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
				continue
			}
			if !slices.ContainsFunc(allow, func(a string) bool { return within(imp, a) }) {
				t.Errorf("%s imports %s, which is not on its list", p.ImportPath, imp)
			}
		}
	}
	if found != len(allowed) {
		t.Errorf("found %d of the %d pure packages", found, len(allowed))
	}
}

func TestEachModuleReplacesItsSiblings(t *testing.T) {
	for _, module := range workspace(t) {
		mod, err := os.ReadFile(filepath.Join("..", module, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(mod)) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "require ")
			sibling, version, ok := strings.Cut(line, " ")
			name := strings.TrimPrefix(sibling, app)
			if !ok || name == sibling || strings.HasPrefix(line, "module ") || !strings.HasPrefix(version, "v") {
				continue
			}
			want := "replace " + sibling + " => ../" + name
			if !bytes.Contains(mod, []byte(want)) {
				t.Errorf("%s/go.mod requires %s without %q", module, name, want)
			}
		}
	}
}

// within says whether an import path is a package or below it.
func within(path, of string) bool { return path == of || strings.HasPrefix(path, of+"/") }

// workspace returns the folders of go.work.
func workspace(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "work", "edit", "-json", "../go.work").Output()
	if err != nil {
		t.Fatal(err)
	}
	var work struct{ Use []struct{ DiskPath string } }
	if err := json.Unmarshal(out, &work); err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, u := range work.Use {
		folders = append(folders, strings.TrimPrefix(u.DiskPath, "./"))
	}
	return folders
}

// list returns the packages of a module with all that they depend on, tests aside.
func list(t *testing.T, module string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Standard,Imports,Deps", "./...")
	cmd.Dir = filepath.Join("..", module)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list in %s: %v", module, err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	return pkgs
}
