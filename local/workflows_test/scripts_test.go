//go:build unix

package workflows_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// jq is a jq of Go, for machines that have none.
func jq(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		dir, err := filepath.Abs(filepath.Join(root, "bin"))
		if err != nil {
			t.Fatal(err)
		}
		built.path = filepath.Join(dir, "jq")
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", built.path, "github.com/itchyny/gojq/cmd/gojq")
		cmd.Dir, cmd.Env = filepath.Join(root, ".ci/actions"), append(os.Environ(), "GOWORK=off")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building jq: %v\n%s", err, said)
		}
	})
	return built.path
}

var built struct {
	sync.Once
	path string
}

// run runs one of the scripts of .ci where aws, helm, kubectl, docker and curl are these lines of shell, and
// returns whether it succeeded and each call of a tool.
func run(t *testing.T, script string, args []string, env map[string]string, tools map[string]string) (ok bool, calls []string, said string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(jq(t), filepath.Join(dir, "jq")); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "calls")
	for _, tool := range []string{"aws", "helm", "kubectl", "docker", "curl"} {
		body := "#!/bin/sh\necho \"" + tool + " $*\" >> '" + log + "'\n" + tools[tool]
		if err := os.WriteFile(filepath.Join(dir, tool), []byte(body+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path, err := filepath.Abs(filepath.Join(root, ".ci", script))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	b, readErr := os.ReadFile(log)
	if readErr != nil && !errors.Is(readErr, os.ErrNotExist) {
		t.Fatal(readErr)
	}
	return err == nil, strings.Split(strings.TrimSpace(string(b)), "\n"), string(out)
}

// called says whether a call that begins so, and holds these words, was made.
func called(calls []string, begins string, words ...string) bool {
	for _, c := range calls {
		all := strings.HasPrefix(c, begins)
		for _, w := range words {
			all = all && strings.Contains(c, w)
		}
		if all {
			return true
		}
	}
	return false
}

func TestDeploy(t *testing.T) {
	const history = `if [ "$1" = history ]; then echo '[{"revision": 6, "status": "superseded"}, {"revision": 7, "status": "deployed"}]'; fi`
	const pods = `case "$*" in *readinessProbe*) echo HTTPS; exit;; esac
case $1 in get) echo pod/informer-1;; port-forward) exec sleep 30;; esac`
	for _, tt := range []struct {
		name          string
		env           map[string]string
		helm, curl    string
		ok            bool
		calls, never  []string
		upgradedWith  []string
		upgradeMisses []string
	}{
		{
			name: "what answers stays", helm: history, ok: true, never: []string{"helm rollback", "helm uninstall"},
			upgradedWith: []string{"--install", "--atomic", "--wait", ".chart/values/informer.yaml", ".chart/environments/staging.yaml",
				"image.registry=registry.example", "image.repository=angelowl/informer", "image.digest=sha256:abc"},
			upgradeMisses: []string{"podLabels"},
		},
		{name: "what does not answer is taken back to what ran before", helm: history, curl: "exit 22", calls: []string{"helm rollback informer 7 --wait"}, never: []string{"helm uninstall"}},
		{name: "the first of all is taken away", helm: `if [ "$1" = history ]; then exit 1; fi`, curl: "exit 22", calls: []string{"helm uninstall informer"}, never: []string{"helm rollback"}},
		{name: "what does not come up is Helm's to take back", helm: history + "\nif [ \"$1\" = upgrade ]; then exit 1; fi", never: []string{"helm rollback", "helm uninstall", "curl"}},
		{
			name: "a preview has staging's values and its own origin", helm: history, ok: true,
			env:          map[string]string{"ENVIRONMENT": "preview", "PREVIEW": "pr-12", "PORTAL_ORIGIN": "https://preview.example"},
			upgradedWith: []string{".chart/environments/staging.yaml", "environment=preview", "portal.origin=https://preview.example", "podLabels.preview=pr-12"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := map[string]string{
				"SERVICE": "informer", "ENVIRONMENT": "staging", "DIGEST": "sha256:abc", "CLUSTER": "owl", "NAMESPACE": "angelowl",
				"REGISTRY": "registry.example", "REPOSITORY": "angelowl/informer",
			}
			for k, v := range tt.env {
				env[k] = v
			}
			ok, calls, said := run(t, "deploy", nil, env, map[string]string{"helm": tt.helm, "kubectl": pods, "curl": tt.curl})
			if ok != tt.ok {
				t.Errorf("it ended with %t: %s", ok, said)
			}
			if !called(calls, "helm upgrade informer .chart", tt.upgradedWith...) {
				t.Errorf("it was not upgraded with %q: %q", tt.upgradedWith, calls)
			}
			if ok && !called(calls, "curl", "https://127.0.0.1:18080/health") {
				t.Errorf("it was not asked by TLS, as its probes ask: %q", calls)
			}
			for _, c := range tt.calls {
				if !called(calls, c) {
					t.Errorf("there is no %q among %q", c, calls)
				}
			}
			for _, c := range tt.never {
				if called(calls, c) {
					t.Errorf("there is %q among %q", c, calls)
				}
			}
			for _, m := range tt.upgradeMisses {
				if called(calls, "helm upgrade", m) {
					t.Errorf("it was upgraded with %s: %q", m, calls)
				}
			}
		})
	}
}

func TestUpdateLambda(t *testing.T) {
	const was, is = "registry.example/owl/publish-single@sha256:0000", "registry.example/owl/publish-single@sha256:1111"
	for _, tt := range []struct {
		name, answer, before string
		ok, updated, back    bool
	}{
		{"what answers stays", `{"statusCode":401,"body":"{}"}`, was, true, true, false},
		{"what answers something else is taken back", `{"statusCode":502}`, was, false, true, true},
		{"what ends with an error is taken back", `{"errorMessage":"exit status 2","errorType":"Runtime.ExitError"}`, was, false, true, true},
		{"what answers nothing is taken back", ``, was, false, true, true},
		{"where there is no way back, nothing is done", `{"statusCode":401}`, "None", false, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			aws := `
case "$1 $2" in
"lambda get-function") echo '` + tt.before + `';;
"lambda invoke") for last; do :; done; printf '%s' '` + tt.answer + `' > "$last";;
esac`
			ok, calls, said := run(t, "update-lambda", []string{"publish-single", "owl-publish-single", is}, nil, map[string]string{"aws": aws})
			if ok != tt.ok {
				t.Errorf("it ended with %t: %s", ok, said)
			}
			const update = "aws lambda update-function-code --function-name owl-publish-single --image-uri "
			if got := called(calls, update+is); got != tt.updated {
				t.Errorf("it took the image: %t; %q", got, calls)
			}
			if got := called(calls, update+was); got != tt.back {
				t.Errorf("it went back: %t; %q", got, calls)
			}
			if tt.back && calls[len(calls)-1] != "aws lambda wait function-updated-v2 --function-name owl-publish-single" {
				t.Errorf("it did not wait until it was back: %q", calls)
			}
		})
	}
}

func TestPush(t *testing.T) {
	args := []string{"informer:abc", "registry.example/angelowl/informer", "abc"}
	for _, tt := range []struct {
		name, aws string
		ok, push  bool
		said      string
	}{
		{"a tag that is there is not moved", `case "$*" in *--query*) echo sha256:1234;; esac`, true, false, "digest=sha256:1234\n"},
		{"a new one is pushed", `case "$*" in *--query*) echo sha256:1234;; *) exit 254;; esac`, true, true, "digest=sha256:1234\n"},
		{"without a digest nothing is deployed", `case "$*" in *--query*) echo None;; esac`, false, false, "has no digest"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ok, calls, said := run(t, "push", args, nil, map[string]string{"aws": tt.aws})
			if ok != tt.ok || !strings.Contains(said, tt.said) {
				t.Errorf("it ended with %t: %s", ok, said)
			}
			if got := called(calls, "docker push --quiet registry.example/angelowl/informer:abc"); got != tt.push {
				t.Errorf("pushed: %t; %q", got, calls)
			}
			if !called(calls, "aws ecr describe-images --repository-name angelowl/informer") {
				t.Errorf("another repository was asked: %q", calls)
			}
		})
	}
}

func TestImage(t *testing.T) {
	services, lambdas := deployed(t)
	want := map[string][]string{"ui": {"--file Dockerfile.ui "}}
	for _, s := range services {
		want[s] = []string{"--file Dockerfile ", "--build-arg SERVICE=" + s + " "}
	}
	for _, l := range lambdas {
		for _, program := range programs(t, l) {
			want[program] = []string{"--file Dockerfile.lambda ", "--provenance=false", "--build-arg LAMBDA=" + l + " ", "--build-arg PROGRAM=" + program + " "}
		}
	}
	for name, words := range want {
		if ok, calls, said := run(t, "image", []string{name, "owl:1"}, nil, nil); !ok || !called(calls, "docker buildx build", append(words, "--tag owl:1")...) {
			t.Errorf("%s: %q %s", name, calls, said)
		}
	}
	for _, name := range []string{"owl", "dev", "../local"} {
		if ok, calls, _ := run(t, "image", []string{name, "owl:1"}, nil, nil); ok || called(calls, "docker") {
			t.Errorf("%s was built: %q", name, calls)
		}
	}
}
