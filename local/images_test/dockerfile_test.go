//go:build unix

// Package images_test tries what can be tried of the images and of docker-compose.yml without Docker: the
// linters, the build of each image step by step in what .dockerignore leaves, and all programs together, each
// a process of its own, as docker-compose.yml starts them. That the images' bases can be had, and what they
// hold, only Docker can tell.
package images_test

import (
	_ "embed"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/angelowl-loyalties/app/local/pyvenv"
)

const root = "../.."

//go:embed requirements.txt
var requirements []byte

// tool is the path of one of the programs that requirements.txt installs.
func tool(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(filepath.Dir(pyvenv.For(t, "images", 10, requirements)), name)
}

// TestInstalled is what make runs first, so that nothing is fetched in the middle of other tests.
func TestInstalled(t *testing.T) { tool(t, "hadolint") }

func dockerfiles(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(root, "Dockerfile*"))
	if err != nil || len(all) != 4 {
		t.Fatalf("there are %v: %v", all, err)
	}
	return all
}

func TestHadolint(t *testing.T) {
	args := append([]string{"--no-color", "--failure-threshold", "style"}, dockerfiles(t)...)
	if said, err := exec.Command(tool(t, "hadolint"), args...).CombinedOutput(); err != nil {
		t.Fatalf("hadolint: %v\n%s", err, said)
	}
}

func read(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestImages holds what no linter knows: bases by their digest, a user who is a number and not root, the
// labels, and the Go version that go.work asks for.
func TestImages(t *testing.T) {
	base := regexp.MustCompile(`(?m)^ARG (?:GO|NODE|BASE)=(\S+)$`)
	digest := regexp.MustCompile(`^[a-z0-9./-]+:[a-z0-9.-]+@sha256:[0-9a-f]{64}$`)
	for _, path := range dockerfiles(t) {
		name := filepath.Base(path)
		text := read(t, name)
		bases := base.FindAllStringSubmatch(text, -1)
		if len(bases) != 2 {
			t.Errorf("%s has %d bases, not one to build and one to run", name, len(bases))
		}
		for _, b := range bases {
			if !digest.MatchString(b[1]) {
				t.Errorf("%s: %s is no tag with its digest", name, b[1])
			}
		}
		if from := regexp.MustCompile(`(?m)^FROM (?:--platform=\$BUILDPLATFORM )?\$\{(?:GO|NODE|BASE)\}`).FindAllString(text, -1); len(from) != strings.Count(text, "\nFROM ") {
			t.Errorf("%s: a stage is of another base than an argument's", name)
		}
		if users := regexp.MustCompile(`(?m)^USER (.*)$`).FindAllStringSubmatch(text, -1); len(users) != 1 || users[0][1] != "65532:65532" {
			t.Errorf("%s runs as %v", name, users)
		}
		for _, label := range []string{"title", "description", "source", "licenses"} {
			if !strings.Contains(text, "org.opencontainers.image."+label+"=") {
				t.Errorf("%s has no label %s", name, label)
			}
		}
	}
	want := regexp.MustCompile(`(?m)^go (1\.\d+)\.\d+$`).FindStringSubmatch(read(t, "go.work"))
	for _, name := range []string{"Dockerfile", "Dockerfile.lambda", "Dockerfile.dev"} {
		got := regexp.MustCompile(`golang:(1\.\d+)\.\d+-`).FindStringSubmatch(read(t, name))
		if want == nil || got == nil || got[1] != want[1] {
			t.Errorf("%s builds with Go %v, and go.work asks for %v", name, got, want)
		}
	}
}

// sentContext copies what `docker build .` would send: the files of the repository that .dockerignore leaves. It is
// BuildKit's own reading of that file.
var sentContext = sync.OnceValues(func() (string, error) {
	f, err := os.Open(filepath.Join(root, ".dockerignore"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	patterns, err := ignorefile.ReadAll(f)
	if err != nil {
		return "", err
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "angelowl-context-")
	if err != nil {
		return "", err
	}
	temporary = append(temporary, dir)
	return dir, filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil || rel == "." {
			return err
		}
		if d.IsDir() {
			// What no line lets in again need not be looked into.
			if top, _, _ := strings.Cut(rel, "/"); !slices.ContainsFunc(patterns, func(p string) bool {
				return p == "!"+top || strings.HasPrefix(p, "!"+top+"/")
			}) || d.Name() == "node_modules" || d.Name() == ".next" {
				return filepath.SkipDir
			}
			return nil
		}
		out, err := ignored.MatchesOrParentMatches(rel)
		if err != nil || out || !d.Type().IsRegular() {
			return err
		}
		return copyFile(file, filepath.Join(dir, rel))
	})
})

// temporary are folders that TestMain removes.
var temporary []string

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

// instruction is one of a Dockerfile.
type instruction struct{ name, rest string }

// stage are the instructions of a Dockerfile's stage "build", and the arguments before it.
func stage(t testing.TB, file string) []instruction {
	t.Helper()
	text := regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(read(t, file), "")
	text = strings.ReplaceAll(text, "\\\n", " ")
	var out []instruction
	froms := 0
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "FROM" {
			if froms++; froms > 1 {
				break
			}
		} else if name != "" {
			out = append(out, instruction{name, strings.TrimSpace(rest)})
		}
	}
	return out
}

// builder takes the steps of a Dockerfile's build in a folder of its own, in place of a container.
type builder struct {
	dir  string // stands for /
	work string
	env  map[string]string
}

var variable = regexp.MustCompile(`\$\{(\w+)\}`)

func (b *builder) expand(s string) string {
	return variable.ReplaceAllStringFunc(s, func(v string) string { return b.env[v[2:len(v)-1]] })
}

// verbatim says whether the steps are taken to the letter. Else the programs are built as go test builds them,
// so that what the machine has compiled serves, which saves minutes: the steps and the files are the same.
var verbatim = os.Getenv("ANGELOWL_LONG") != ""

// build takes the steps of file's build with these arguments and returns where /out is.
func build(t testing.TB, file string, args map[string]string) (out string) {
	t.Helper()
	sent, err := sentContext()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	b := &builder{dir: dir, work: dir, env: map[string]string{"TARGETOS": "", "TARGETARCH": ""}}
	if err := os.MkdirAll(filepath.Join(b.dir, "out"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, i := range stage(t, file) {
		switch i.name {
		case "ARG":
			for arg := range strings.FieldsSeq(i.rest) {
				name, value, given := strings.Cut(arg, "=")
				if v, ok := args[name]; ok {
					b.env[name] = v
				} else if given {
					b.env[name] = b.expand(value)
				}
			}
		case "ENV":
			for arg := range strings.FieldsSeq(i.rest) {
				name, value, _ := strings.Cut(arg, "=")
				b.env[name] = b.expand(value)
			}
		case "WORKDIR":
			b.work = filepath.Join(b.dir, i.rest)
			if err := os.MkdirAll(b.work, 0o755); err != nil {
				t.Fatal(err)
			}
		case "COPY":
			words := strings.Fields(b.expand(i.rest))
			for _, from := range words[:len(words)-1] {
				b.copy(t, sent, from, words[len(words)-1])
			}
		case "RUN":
			b.run(t, i.rest)
		default:
			t.Fatalf("%s: this test does not know %s", file, i.name)
		}
	}
	return filepath.Join(b.dir, "out")
}

func (b *builder) copy(t testing.TB, sent, from, to string) {
	t.Helper()
	target := filepath.Join(b.work, to)
	if path.IsAbs(to) {
		target = filepath.Join(b.dir, to)
	}
	source := filepath.Join(sent, from)
	info, err := os.Stat(source)
	if err != nil {
		t.Fatalf("COPY %s: it is not in what .dockerignore leaves: %v", from, err)
	}
	switch {
	case info.IsDir():
		err = filepath.WalkDir(source, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(source, file)
			if err != nil {
				return err
			}
			return copyFile(file, filepath.Join(target, rel))
		})
	case strings.HasSuffix(to, "/"):
		err = copyFile(source, filepath.Join(target, filepath.Base(from)))
	default:
		err = copyFile(source, target)
	}
	if err != nil {
		t.Fatalf("COPY %s %s: %v", from, to, err)
	}
}

func (b *builder) run(t testing.TB, command string) {
	t.Helper()
	env := maps.Clone(b.env)
	if !verbatim {
		command = strings.NewReplacer("-trimpath ", "", "-ldflags='-s -w' ", "").Replace(command)
		delete(env, "CGO_ENABLED")
	}
	// The machine's own settings (-buildvcs=false where there is no git) beside the image's.
	env["GOFLAGS"] = strings.TrimSpace(env["GOFLAGS"] + " " + os.Getenv("GOFLAGS"))
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll(command, " /out/", " "+b.dir+"/out/"))
	cmd.Dir, cmd.Env = b.work, os.Environ()
	for name, value := range env {
		if value == "" && strings.HasPrefix(name, "TARGET") { // BuildKit's, of this machine
			value = map[string]string{"TARGETOS": goos, "TARGETARCH": goarch}[name]
		}
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("RUN %s: %v\n%s", command, err, said)
	}
}

// image is one of docker-compose.yml that is built here.
type image struct {
	name, file string
	args       map[string]string
}

func (i image) String() string { return fmt.Sprintf("%s of %s %v", i.name, i.file, i.args) }

// programs are the programs of the images, built once for all tests.
var programs = map[string]string{}

// program is where an image's program is.
func program(t testing.TB, i image) string {
	t.Helper()
	key := i.file + fmt.Sprint(i.args)
	if p := programs[key]; p != "" {
		return p
	}
	out := build(t, i.file, i.args)
	name := map[string]string{"Dockerfile": "service", "Dockerfile.lambda": "bootstrap", "Dockerfile.dev": "dev"}[i.file]
	dir, err := os.MkdirTemp("", "angelowl-programs-")
	if err != nil {
		t.Fatal(err)
	}
	temporary = append(temporary, dir)
	p := filepath.Join(dir, name)
	if err := os.Rename(filepath.Join(out, name), p); err != nil {
		t.Fatalf("%s: %v", i, err)
	}
	programs[key] = p
	return p
}
