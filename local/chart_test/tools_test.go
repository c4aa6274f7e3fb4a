//go:build unix

// Package chart_test holds the Helm chart to what a cluster asks of it. Helm and kubectl-validate are built from
// modules of their own, .ci/chart, and the schemas of others' objects come from their makers' modules.
package chart_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// root is the repository's.
const root = "../.."

// kubernetes is the oldest version that the chart is for, and the newest whose schemas kubectl-validate has.
const kubernetes = "1.30"

// TestInstalled is what make runs first, so that nothing is fetched in the middle of other tests.
func TestInstalled(t *testing.T) {
	helm(t)
	validator(t)
	schemas(t)
	if os.Getenv("ANGELOWL_LONG") != "" {
		tool(t, buildCluster)
	}
}

// needsTools skips where there is to be no more than what a plain go test has.
func needsTools(t testing.TB) {
	t.Helper()
	if os.Getenv("ANGELOWL_ENGINES") == "none" {
		t.Skip("SKIPPED: it builds Helm and kubectl-validate, and ANGELOWL_ENGINES=none")
	}
}

// build builds a program of a module below .ci/chart; what is built already costs a second.
func build(module, program string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		bin, err := filepath.Abs(filepath.Join(root, "bin"))
		if err != nil {
			return "", err
		}
		if _, err := goIn(module, "build", "-o", bin+"/", program); err != nil {
			return "", err
		}
		return filepath.Join(bin, filepath.Base(program)), nil
	})
}

func goIn(module string, args ...string) (said string, err error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join(root, ".ci/chart", module)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	b, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go %s in %s: %w\n%s", strings.Join(args, " "), module, err, b)
	}
	return strings.TrimSpace(string(b)), nil
}

var (
	buildHelm      = build("helm", "helm.sh/helm/v3/cmd/helm")
	buildValidator = build("validate", "sigs.k8s.io/kubectl-validate")
	buildKwok      = build("kwok", "sigs.k8s.io/kwok/cmd/kwok")
)

// buildCluster builds Kubernetes' programs and kwok, and returns their folder. The first time takes ten minutes and
// more. A Kubernetes says its version only where it is built with it.
var buildCluster = sync.OnceValues(func() (bin string, err error) {
	kwok, err := buildKwok()
	if err != nil {
		return "", err
	}
	version, err := goIn("cluster", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	if err != nil {
		return "", err
	}
	version = version[strings.LastIndexByte(version, '\n')+1:] // what was fetched is said before it
	part, at := strings.Split(strings.TrimPrefix(version, "v"), "."), "-X k8s.io/component-base/version.git"
	stamp := fmt.Sprintf("-s -w %sVersion=%s %sMajor=%s %sMinor=%s", at, version, at, part[0], at, part[1])
	bin = filepath.Dir(kwok)
	_, err = goIn("cluster", "build", "-ldflags", stamp, "-o", bin+"/", "tool")
	return bin, err
})

func helm(t testing.TB) string { return tool(t, buildHelm) }

func validator(t testing.TB) string { return tool(t, buildValidator) }

func tool(t testing.TB, build func() (string, error)) string {
	t.Helper()
	needsTools(t)
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// definitions are the files with the schemas of objects that are not Kubernetes' own, by module; sum is that of go.sum.
var definitions = []struct {
	module, sum string
	files       []string
}{
	{"github.com/kedacore/keda/v2@v2.18.1", "h1:h6bRt/IOxxtZpJlHSqhdH/lcInH7Z9obxg/JvWOmGAw=", []string{
		"config/crd/bases/keda.sh_scaledobjects.yaml",
		"config/crd/bases/keda.sh_triggerauthentications.yaml",
	}},
	{"github.com/external-secrets/external-secrets@v0.20.4", "h1:HhNAjWfFEshhItphr28SGsHzf2bUP7uDAOVLg76uNAg=", []string{
		"config/crds/bases/external-secrets.io_externalsecrets.yaml",
	}},
	{"sigs.k8s.io/gateway-api@v1.4.0", "h1:ZwlNM6zOHq0h3WUX2gfByPs2yAEsy/EenYJB78jpQfQ=", []string{
		"config/crd/standard/gateway.networking.k8s.io_backendtlspolicies.yaml",
		"config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
	}},
	{"github.com/cert-manager/cert-manager@v1.19.1", "h1:Txh8L/nLWTDcb7ZnXuXbTe15BxQnLbLirXmbNk0fGgY=", []string{
		"deploy/crds/cert-manager.io_certificates.yaml",
		"deploy/crds/cert-manager.io_issuers.yaml",
	}},
	{"github.com/prometheus-operator/prometheus-operator@v0.85.0", "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=", []string{
		"example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
		"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
	}},
}

// schemas returns a folder with the definitions.
func schemas(t testing.TB) string {
	t.Helper()
	needsTools(t)
	dir := t.TempDir()
	for _, d := range definitions {
		cmd := exec.Command("go", "mod", "download", "-json", d.module)
		cmd.Dir = dir // outside of every module
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
		said, err := cmd.Output()
		var m struct{ Dir, Sum, Error string }
		if bad := json.Unmarshal(said, &m); bad != nil || m.Error != "" || err != nil {
			t.Fatalf("fetching %s: %v %v %s", d.module, err, bad, m.Error)
		}
		if m.Sum != d.sum {
			t.Fatalf("%s has the sum %s, want %s", d.module, m.Sum, d.sum)
		}
		for _, f := range d.files {
			b, err := os.ReadFile(filepath.Join(m.Dir, f))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// run runs a program and returns all that it says.
func run(t testing.TB, bin string, args ...string) (said string, err error) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Dir = root
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return strings.TrimSpace(out.String()), err
}
