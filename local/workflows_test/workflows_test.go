//go:build unix

// Package workflows_test lints .github by the linters that a person would run, and holds it to go.work: a new
// service or lambda cannot forget its workflow, image, chart values or updates.
package workflows_test

import (
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/angelowl-loyalties/app/local/pyvenv"
)

const root = "../.."

//go:embed requirements.txt
var requirements []byte

// TestInstalled is what make runs first, so that nothing is fetched in the middle of other tests.
func TestInstalled(t *testing.T) { pyvenv.For(t, "zizmor", 11, requirements) }

func TestActionlint(t *testing.T) {
	files := workflows(t)
	// Not those of this machine: shellcheck and pyflakes would make it depend on what is installed.
	args := append([]string{"tool", "actionlint", "-no-color", "-shellcheck=", "-pyflakes="}, files...)
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = filepath.Join(root, ".ci/actions"), append(os.Environ(), "GOWORK=off")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("actionlint: %v\n%s", err, said)
	}
}

func TestZizmor(t *testing.T) {
	python := pyvenv.For(t, "zizmor", 11, requirements)
	// Offline: it asks nobody, so that a run does not depend on GitHub's limits. Strict: a file that it cannot
	// read is an error.
	cmd := exec.Command(filepath.Join(filepath.Dir(python), "zizmor"), "--offline", "--strict-collection", "--quiet", "--color=never", ".github")
	cmd.Dir = root
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("zizmor: %v\n%s", err, said)
	}
}

// workflows are the paths of all of them, as .ci/actions sees them.
func workflows(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil || len(files) < 15 {
		t.Fatalf("there are %d workflows: %v", len(files), err)
	}
	return files
}

var pinned = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)

// TestActionsArePinned wants a commit and the version that it is, which Dependabot keeps up.
func TestActionsArePinned(t *testing.T) {
	versions := map[string]string{}
	for _, file := range workflows(t) {
		for n, line := range strings.Split(read(t, file), "\n") {
			_, uses, ok := strings.Cut(strings.TrimLeft(line, " -"), "uses: ")
			if !ok || strings.HasPrefix(strings.TrimSpace(line), "#") || strings.HasPrefix(uses, "./.github/workflows/") {
				continue
			}
			if !pinned.MatchString(uses) {
				t.Errorf("%s:%d: %q is no action by its commit with its version", file, n+1, uses)
				continue
			}
			action, commit, _ := strings.Cut(uses, "@")
			if had := versions[action]; had != "" && had != commit {
				t.Errorf("%s:%d: %s stands with another commit elsewhere: %s and %s", file, n+1, action, commit, had)
			}
			versions[action] = commit
		}
	}
}

// TestRightsAreLeast: nothing is granted for a whole workflow, no pull request's code meets a secret, and
// who may write is named here.
func TestRightsAreLeast(t *testing.T) {
	type job struct {
		Permissions map[string]string
	}
	for _, file := range workflows(t) {
		text := read(t, file)
		var w struct {
			Permissions *map[string]string
			Jobs        map[string]job
		}
		parse(t, file, &w)
		if w.Permissions == nil || len(*w.Permissions) > 0 {
			t.Errorf("%s: the workflow itself must have `permissions: {}`", file)
		}
		for name, j := range w.Jobs {
			for what, right := range j.Permissions {
				if right != "read" && what+": "+right != "id-token: write" {
					t.Errorf("%s: the job %s asks for %s: %s", file, name, what, right)
				}
			}
		}
		for _, never := range []string{"pull_request_target", "workflow_run", "secrets: inherit", "persist-credentials: true"} {
			if strings.Contains(text, never) {
				t.Errorf("%s has %s", file, never)
			}
		}
		if strings.Count(text, "uses: actions/checkout@") != strings.Count(text, "persist-credentials: false") {
			t.Errorf("%s: a checkout leaves its credentials behind", file)
		}
	}
}

// TestOnlyWhatIsGoodIsDeployed: a job that runs although one before it was skipped has to look for itself.
func TestOnlyWhatIsGoodIsDeployed(t *testing.T) {
	type job struct {
		If    string
		Needs any
		Uses  string
		With  map[string]any
	}
	deploys := 0
	for _, file := range workflows(t) {
		var w struct{ Jobs map[string]job }
		parse(t, file, &w)
		for name, j := range w.Jobs {
			if j.Uses != "./.github/workflows/workflow_deploy.yml" {
				continue
			}
			deploys++
			var must []string
			switch file, needs := filepath.Base(file), fmt.Sprint(j.Needs); {
			case file == "preview_ui.yml" && j.With["environment"] == "preview":
				if needs != "image" || j.If != "" || !strings.Contains(w.Jobs["image"].If, "github.event.pull_request.head.repo.full_name == github.repository && ") {
					t.Errorf("%s: a fork's portal is deployed: %+v", file, w.Jobs["image"])
				}
			case name == "staging" && j.With["environment"] == "staging":
				must = []string{"github.event_name != 'pull_request'", "github.ref == 'refs/heads/main'"}
				if strings.Contains(j.If, "failure()") {
					must = append(must, "!failure()", "!cancelled()", "needs.image.result == 'success'")
				}
				if !strings.Contains(needs, "go") || !strings.Contains(needs, "image") {
					t.Errorf("%s: %s needs only %s", file, name, needs)
				}
			case name == "production" && j.With["environment"] == "production":
				if needs != "staging" {
					t.Errorf("%s: production does not come after staging: %s", file, needs)
				}
				if strings.Contains(j.If, "cancelled()") {
					must = []string{"!cancelled()", "needs.staging.result == 'success'"}
				}
			default:
				t.Errorf("%s: %s deploys to %v", file, name, j.With["environment"])
			}
			for _, m := range must {
				if !strings.Contains(j.If, m) || strings.Contains(j.If, "||") || strings.Contains(j.If, "always()") {
					t.Errorf("%s: %s runs if %s; it must ask for %s", file, name, j.If, m)
				}
			}
		}
	}
	if deploys != 5 {
		t.Errorf("there are %d jobs that deploy", deploys)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func parse(t *testing.T, path string, v any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, path)), v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// shared are modules that are neither service nor lambda.
var shared = []string{"local", "loyalty"}

// deployed are the modules of go.work that are deployed, and the portal.
func deployed(t *testing.T) (services, lambdas []string) {
	t.Helper()
	modules := regexp.MustCompile(`(?m)^\t\./(\S+)$`).FindAllStringSubmatch(read(t, filepath.Join(root, "go.work")), -1)
	for _, m := range modules {
		if slices.Contains(shared, m[1]) {
			continue
		}
		// A lambda's program calls lambda.Start.
		if mains := programs(t, m[1]); slices.ContainsFunc(mains, func(main string) bool {
			return strings.Contains(read(t, filepath.Join(root, m[1], "cmd", main, "main.go")), "daemon.Main(")
		}) {
			services = append(services, m[1])
		} else {
			lambdas = append(lambdas, m[1])
		}
	}
	if len(services) < 4 || len(lambdas) < 6 {
		t.Fatalf("go.work has the services %v and the lambdas %v; that cannot be all", services, lambdas)
	}
	return services, lambdas
}

// programs are those of a module that run somewhere: they start a daemon or a lambda.
func programs(t *testing.T, module string) (names []string) {
	t.Helper()
	mains, err := filepath.Glob(filepath.Join(root, module, "cmd", "*", "main.go"))
	if err != nil || len(mains) == 0 {
		t.Fatalf("%s has no program: %v", module, err)
	}
	for _, main := range mains {
		if text := read(t, main); strings.Contains(text, "daemon.Main(") || strings.Contains(text, "ambda.Start(") {
			names = append(names, filepath.Base(filepath.Dir(main)))
		}
	}
	return names
}

type build struct {
	Dockerfile string
	Args       map[string]string
}

// TestEveryServiceAndLambdaIsComplete is for whoever adds one: what there has to be stands here.
func TestEveryServiceAndLambdaIsComplete(t *testing.T) {
	services, lambdas := deployed(t)
	var compose struct {
		Services map[string]struct {
			Build build
		}
	}
	parse(t, filepath.Join(root, "docker-compose.yml"), &compose)
	ignore := read(t, filepath.Join(root, ".dockerignore"))

	workflow := func(t *testing.T, module, calls string) map[string]string {
		path := filepath.Join(root, ".github/workflows/ci_"+module+".yml")
		var w struct {
			Jobs map[string]struct {
				Uses string
				With map[string]string
			}
		}
		parse(t, path, &w)
		text := read(t, path)
		for _, changed := range []string{"'" + module + "/**'", ".github/workflows/ci_" + module + ".yml", ".github/workflows/" + calls} {
			if !strings.Contains(text, "- "+changed+"\n") {
				t.Errorf("%s does not run when %s changes", path, changed)
			}
		}
		if module != "ui" && !strings.Contains(text, "- 'loyalty/**'\n") {
			t.Errorf("%s does not run when loyalty changes", path)
		}
		for _, job := range w.Jobs {
			if job.Uses == "./.github/workflows/"+calls {
				return job.With
			}
		}
		t.Errorf("%s does not call %s", path, calls)
		return nil
	}
	everyModule := func(t *testing.T, module string) {
		if !strings.Contains(ignore, "\n!"+module+"\n") {
			t.Errorf(".dockerignore leaves %s out of what images are built of", module)
		}
		if !strings.Contains(read(t, filepath.Join(root, ".github/CODEOWNERS")), "/"+module+"/ ") {
			t.Errorf(".github/CODEOWNERS has no owner for /%s/", module)
		}
	}

	for _, s := range append(slices.Clone(services), "ui") {
		t.Run(s, func(t *testing.T) {
			everyModule(t, s)
			if with := workflow(t, s, "workflow_container.yml"); with["service"] != s {
				t.Errorf("its workflow is about %q", with["service"])
			}
			values := filepath.Join(root, ".chart/values", s+".yaml")
			if _, err := os.Stat(values); err != nil {
				t.Errorf("the chart has no values for it: %v", err)
			}
			want := build{"Dockerfile", map[string]string{"SERVICE": s}}
			if s == "ui" {
				want = build{"Dockerfile.ui", nil}
			}
			hasBuild(t, compose.Services[s].Build, want)
			if s != "ui" && programs(t, s)[0] != s {
				t.Errorf("Dockerfile builds ./cmd/%s, and its program is %s", s, programs(t, s))
			}
		})
	}
	for _, l := range lambdas {
		t.Run(l, func(t *testing.T) {
			everyModule(t, l)
			with := workflow(t, l, "workflow_lambda.yml")
			if with["lambda"] != l {
				t.Errorf("its workflow is about %q", with["lambda"])
			}
			for _, program := range programs(t, l) {
				if !strings.Contains(with["programs"], `"`+program+`"`) {
					t.Errorf("its workflow leaves the program %s out: %s", program, with["programs"])
				}
				args := map[string]string{"LAMBDA": l}
				if program != l {
					args["PROGRAM"] = program
				}
				hasBuild(t, compose.Services[program].Build, build{"Dockerfile.lambda", args})
				if _, err := os.Stat(filepath.Join(root, ".github/smoke", program+".json")); err != nil {
					t.Errorf("nothing tries it after it is deployed: %v", err)
				}
			}
		})
	}
}

// TestDependenciesAreKeptUp: Dependabot knows of each list of dependencies that is in the repository.
func TestDependenciesAreKeptUp(t *testing.T) {
	var dependabot struct {
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directory   string
			Directories []string
		}
	}
	parse(t, filepath.Join(root, ".github/dependabot.yml"), &dependabot)
	known := map[string]bool{}
	for _, u := range dependabot.Updates {
		for _, d := range append(u.Directories, u.Directory) {
			known[u.Ecosystem+" "+d] = true
		}
	}
	ecosystems := map[string]string{
		"go.mod": "gomod", "package-lock.json": "npm", "requirements.txt": "pip", "docker-compose.yml": "docker-compose", "Dockerfile": "docker",
		".terraform.lock.hcl": "terraform",
	}
	lists := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "node_modules", ".next", ".angelowl", "testdata", ".terraform", "bin"}, d.Name()) {
			return filepath.SkipDir
		}
		ecosystem := ecosystems[d.Name()]
		if ecosystem == "" || d.IsDir() {
			return nil
		}
		lists++
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		if folder = "/" + folder; folder == "/." {
			folder = "/"
		}
		if !known[ecosystem+" "+folder] {
			t.Errorf(".github/dependabot.yml does not keep up %s of %s", ecosystem, folder)
		}
		return nil
	})
	if err != nil || lists < 15 {
		t.Errorf("found %d lists of dependencies: %v", lists, err)
	}
	if !known["github-actions /"] {
		t.Error(".github/dependabot.yml does not keep up the actions")
	}
}

func hasBuild(t *testing.T, is, want build) {
	t.Helper()
	if is.Dockerfile != want.Dockerfile {
		t.Errorf("docker-compose.yml builds it from %q, not from %s", is.Dockerfile, want.Dockerfile)
	}
	for name, value := range want.Args {
		if is.Args[name] != value {
			t.Errorf("docker-compose.yml builds it with %s=%q, not %q", name, is.Args[name], value)
		}
	}
}
