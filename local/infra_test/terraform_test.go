//go:build unix

// Package infra_test holds .infra to its promises: Terraform itself reads and tests the files, and what it would
// make is searched for what must not be there (a right to everything, a public bucket, a body in a log). It asks no
// AWS for anything.
package infra_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	root = "../../.infra"
	// What the files are written for. Another Terraform 1.x from oldest on does as well.
	oldest   = "1.11.4"
	provider = "registry.terraform.io/hashicorp/aws/5.100.0"
	patience = 10 * time.Minute
)

// binary is the program that reads Terraform's files. It is looked for once.
var binary = sync.OnceValues(func() (string, error) {
	if path, err := exec.LookPath("terraform"); err == nil {
		out, err := exec.Command(path, "version", "-json").Output()
		var said struct {
			Version string `json:"terraform_version"`
		}
		if err == nil && json.Unmarshal(out, &said) == nil && newEnough(said.Version) {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no Terraform %s or newer 1.x: install it from https://developer.hashicorp.com/terraform/install (OpenTofu does not read these tests' mocks)", oldest)
})

// newEnough says whether a version is 1.x and not below oldest.
func newEnough(version string) bool {
	var a, b, c, x, y, z int
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &a, &b, &c); err != nil {
		return false
	}
	if _, err := fmt.Sscanf(oldest, "%d.%d.%d", &x, &y, &z); err != nil {
		return false
	}
	return a == x && (b > y || b == y && c >= z)
}

// plugins is the folder of a machine that has the provider already, or "".
func plugins() string {
	home, _ := os.UserHomeDir()
	for _, dir := range []string{os.Getenv("TF_PLUGIN_DIR"), filepath.Join(home, ".terraform.d/plugins"), "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "/opt/*"} {
		if dir == "" {
			continue
		}
		if found, _ := filepath.Glob(filepath.Join(dir, provider)); len(found) > 0 {
			return strings.TrimSuffix(found[0], "/"+provider)
		}
	}
	return ""
}

// terraform runs it in a folder. data is where it keeps what it made of the folder.
func terraform(t testing.TB, dir, data string, args ...string) ([]byte, error) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE=/dev/null", "TF_DATA_DIR="+data, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("terraform %s: %w\n%s", args[0], err, said.Bytes())
	}
	return out.Bytes(), nil
}

// ready are the folders that are ready, each once for all tests of the process.
var ready = struct {
	sync.Mutex
	data map[string]string
}{data: map[string]string{}}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, data := range ready.data {
		_ = os.RemoveAll(data)
	}
	os.Exit(code)
}

// initialised makes a folder ready and returns where that is kept.
func initialised(t testing.TB, dir string) (data string) {
	t.Helper()
	ready.Lock()
	defer ready.Unlock()
	if data, ok := ready.data[dir]; ok {
		return data
	}
	data, err := os.MkdirTemp("", "angelowl-terraform-")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"init", "-backend=false", "-input=false", "-no-color"}
	have := plugins()
	if have != "" {
		args = append(args, "-plugin-dir="+have)
	}
	args = append(args, "-lockfile=readonly")
	if out, err := terraform(t, dir, data, args...); err != nil {
		_ = os.RemoveAll(data)
		if have == "" {
			err = errors.Join(err, fmt.Errorf(`the provider %s could not be had.
Where the internet is: try again. Where it is not: on a machine that has it run, in .infra,
  terraform providers mirror DIR
and copy DIR to ~/.terraform.d/plugins here, or say TF_PLUGIN_DIR=DIR`, provider))
		}
		t.Fatalf("%v\n%s", err, out)
	}
	ready.data[dir] = data
	return data
}

func needed(t testing.TB) {
	t.Helper()
	if testing.Short() || os.Getenv("ANGELOWL_ENGINES") == "none" {
		t.Skip("SKIPPED: Terraform is left to the tests on real engines")
	}
}

func TestNewEnough(t *testing.T) {
	for version, want := range map[string]bool{"1.11.4": true, "1.11.3": false, "1.12.0": true, "1.9.9": false, "2.0.0": false, "": false} {
		if got := newEnough(version); got != want {
			t.Errorf("%q: %t", version, got)
		}
	}
}

// TestFormat is terraform fmt -check.
func TestFormat(t *testing.T) {
	needed(t)
	if out, err := terraform(t, root, t.TempDir(), "fmt", "-check", "-recursive", "-diff", "-no-color"); err != nil {
		t.Errorf("terraform fmt -recursive .infra would change\n%s", out)
	}
}

// TestValidate is terraform validate of what is applied: the system, and the bucket of the states.
func TestValidate(t *testing.T) {
	needed(t)
	for _, dir := range []string{root, filepath.Join(root, "bootstrap")} {
		if out, err := terraform(t, dir, initialised(t, dir), "validate", "-no-color"); err != nil {
			t.Errorf("%s: %v\n%s", dir, err, out)
		}
	}
}

// message is a line of terraform test -json.
type message struct {
	Type       string `json:"type"`
	Message    string `json:"@message"`
	Run        string `json:"@testrun"`
	Diagnostic struct {
		Severity string `json:"severity"`
		Summary  string `json:"summary"`
		Detail   string `json:"detail"`
	} `json:"diagnostic"`
	Summary struct {
		Passed  int `json:"passed"`
		Failed  int `json:"failed"`
		Errored int `json:"errored"`
		Skipped int `json:"skipped"`
	} `json:"test_summary"`
	State json.RawMessage `json:"test_state"`
}

// tested runs a file of Terraform's tests and returns the states of its runs, by name.
func tested(t *testing.T, data, file string) map[string]json.RawMessage {
	t.Helper()
	out, err := terraform(t, root, data, "test", "-json", "-verbose", "-filter=tests/"+file, "-var-file=env/production.tfvars")
	states, passed := map[string]json.RawMessage{}, 0
	for line := range bytes.Lines(out) {
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			continue // a warning of the program's own
		}
		switch m.Type {
		case "diagnostic":
			if m.Diagnostic.Severity == "error" {
				t.Errorf("%s, run %s: %s %s", file, m.Run, m.Diagnostic.Summary, m.Diagnostic.Detail)
			}
		case "test_state":
			states[m.Run] = m.State
		case "test_summary":
			passed = m.Summary.Passed
			if m.Summary.Failed+m.Summary.Errored+m.Summary.Skipped > 0 {
				t.Errorf("%s: %s", file, m.Message)
			}
		}
	}
	if err != nil || passed == 0 {
		t.Fatalf("%s: %d passed: %v", file, passed, err)
	}
	t.Logf("%s: %d runs passed", file, passed)
	return states
}

// TestModules is terraform test of each module on a made-up AWS.
func TestModules(t *testing.T) {
	needed(t)
	t.Parallel()
	for _, m := range modules(t) {
		if !bytes.Contains(read(t, filepath.Join(root, "tests/modules.tftest.hcl")), []byte(`source = "./modules/`+m+`"`)) && m != "machines" {
			t.Errorf("modules/%s has no run in tests/modules.tftest.hcl", m)
		}
	}
	tested(t, initialised(t, root), "modules.tftest.hcl")
}

func modules(t testing.TB) (out []string) {
	t.Helper()
	dirs, err := os.ReadDir(filepath.Join(root, "modules"))
	if err != nil || len(dirs) < 10 {
		t.Fatalf("%d modules: %v", len(dirs), err)
	}
	for _, d := range dirs {
		out = append(out, d.Name())
	}
	return out
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
