package images_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/angelowl-loyalties/app/local/rie"
)

// TestImagesAreBuiltAndRun builds each image of docker-compose.yml by its Dockerfile, and runs it as locked up as
// docker-compose.yml has it. The bases of the Dockerfiles are in registries of images, which it does not ask: small
// ones of Debian's own packages, with this machine's Go and Node.js, stand in for them.
func TestImagesAreBuiltAndRun(t *testing.T) {
	if os.Getenv("ANGELOWL_LONG") == "" {
		t.Skip("SKIPPED without ANGELOWL_LONG=1: it makes a small Debian and builds all images")
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root makes a Debian and runs containers in a place of its own")
	}
	for _, name := range []string{"buildah", "podman", "runc", "debootstrap", "node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%v; install it (Debian and Ubuntu: apt-get install buildah podman runc debootstrap, and Node.js)", err)
		}
	}
	e := newContainers(t)
	e.bases()
	p := project(t)
	for _, name := range slices.Sorted(maps.Keys(p.Services)) {
		s := p.Services[name]
		if s.Build == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			image := e.build(t, s)
			config := e.config(t, image)
			if config.User != "65532:65532" {
				t.Errorf("its user is %q", config.User)
			}
			if title := config.Labels["org.opencontainers.image.title"]; title != strings.Replace(s.Image, "/", "-", 1) {
				t.Errorf("it is called %q", title)
			}
			switch dockerfile(s) {
			case "Dockerfile": // a service
				said, err := e.run(t, s, image, nil, "--help")
				if err != nil || !strings.Contains(said, "usage: "+name) {
					t.Errorf("%v\n%s", err, said)
				}
			case "Dockerfile.lambda":
				said, err := e.run(t, s, image, []string{"--entrypoint", "/var/runtime/bootstrap"})
				if err == nil || !strings.Contains(said, "the settings are wrong; nothing was started") {
					t.Errorf("without settings: %v\n%s", err, said)
				}
			case "Dockerfile.ui":
				said, err := e.run(t, s, image, nil)
				if err == nil || !strings.Contains(said, "PORTAL_ORIGIN is missing") {
					t.Errorf("without settings: %v\n%s", err, said)
				}
			case "Dockerfile.dev":
				if name != "secrets" {
					return // all of them are one image
				}
				e.secrets(t, s, image)
			default:
				t.Errorf("what is %s?", dockerfile(s))
			}
		})
	}
}

// containers are the images and containers of a test.
type containers struct {
	t    *testing.T
	dir  string // theirs
	root string // a Debian
	made map[string]bool
}

func newContainers(t *testing.T) *containers {
	dir, err := os.MkdirTemp("", "angelowl-images-")
	if err != nil {
		t.Fatal(err)
	}
	e := &containers{t: t, dir: dir, root: filepath.Join(dir, "debian"), made: map[string]bool{}}
	t.Cleanup(func() {
		for _, mounted := range []string{"storage/overlay", "storage"} {
			_ = syscall.Unmount(filepath.Join(dir, mounted), syscall.MNT_DETACH)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return e
}

// store is where buildah and podman keep what they make: nowhere else.
func (e *containers) store() []string {
	return []string{"--root", filepath.Join(e.dir, "storage"), "--runroot", filepath.Join(e.dir, "run"), "--storage-driver", "overlay"}
}

func (e *containers) command(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = root
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), "BUILDAH_ISOLATION=chroot")
	said, err := cmd.CombinedOutput()
	return string(said), err
}

func (e *containers) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	said, err := e.command(t, name, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, said)
	}
	return said
}

// bud builds an image of a Dockerfile and a folder.
func (e *containers) bud(t *testing.T, tag, file, context string, more ...string) {
	t.Helper()
	args := append(append([]string{}, e.store()...), "bud", "--quiet", "--layers=false", "--network", "host", "--tag", tag, "--file", file)
	e.must(t, "buildah", append(append(args, more...), context)...)
}

// base makes an image of a Dockerfile's lines and a folder that is nothing but what it copies.
func (e *containers) base(name, context string, lines ...string) {
	e.t.Helper()
	file := filepath.Join(e.dir, name+".Dockerfile")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		e.t.Fatal(err)
	}
	e.bud(e.t, base(name), file, context)
}

func base(name string) string { return "localhost/base/" + name }

// bases make what stands in for the bases of the Dockerfiles.
func (e *containers) bases() {
	t := e.t
	const authorities = "/etc/ssl/certs/ca-certificates.crt"
	e.must(t, "debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", e.root)
	// Authorities that this machine trusts, and the proxy of modules that it asks.
	copied := func(from, to string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		e.must(t, "cp", "--archive", "--dereference", from, to)
	}
	if err := os.Remove(e.root + authorities); err != nil {
		t.Fatal(err)
	}
	copied(authorities, e.root+authorities)
	goroot, proxy := strings.TrimSpace(e.must(t, "go", "env", "GOROOT")), strings.TrimSpace(e.must(t, "go", "env", "GOPROXY"))
	path := "ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

	copied(goroot, e.root+"/usr/local/go")
	e.base("go", e.root, "FROM scratch", "COPY . /", path, "ENV GOPATH=/go GOPROXY="+proxy)
	if err := os.RemoveAll(e.root + "/usr/local/go"); err != nil {
		t.Fatal(err)
	}

	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	npm, err := exec.LookPath("npm")
	if err == nil {
		npm, err = filepath.EvalSymlinks(npm)
	}
	if err != nil {
		t.Fatal(err)
	}
	copied(rie.Emulator(t), e.root+"/usr/local/bin/aws-lambda-rie")
	copied(node, e.root+"/usr/bin/node")
	copied(filepath.Dir(filepath.Dir(npm)), e.root+"/usr/lib/node_modules/npm")
	for file, to := range map[string]string{"/usr/bin/npm": "../lib/node_modules/npm/bin/npm-cli.js", "/nodejs/bin/node": "/usr/bin/node"} {
		if err := os.MkdirAll(filepath.Dir(e.root+file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, e.root+file); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(e.root+"/var/runtime", 0o755); err != nil {
		t.Fatal(err)
	}
	e.base("debian", e.root, "FROM scratch", "COPY . /", path, "ENV NODE_EXTRA_CA_CERTS="+authorities)
	static := filepath.Join(e.dir, "static")
	copied(authorities, static+authorities)
	if err := os.WriteFile(static+"/etc/passwd", []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	e.base("nodejs", static, "FROM "+base("debian"), "WORKDIR /home/nonroot", "USER 65532", `ENTRYPOINT ["/nodejs/bin/node"]`)

	e.base("static", static, "FROM scratch", "COPY . /", "USER 65532")
}

// build builds the image of a service, once.
func (e *containers) build(t *testing.T, s types.ServiceConfig) string {
	t.Helper()
	image := "localhost/" + s.Image
	if e.made[image] {
		return image
	}
	// What fills Go's caches outside fills them within: nothing is fetched or compiled twice.
	args := []string{"--build-arg", "GO=" + base("go"), "--build-arg", "NODE=" + base("debian")}
	for from, to := range map[string]string{"GOMODCACHE": "/go/pkg/mod", "GOCACHE": "/root/.cache/go-build"} {
		args = append(args, "--volume", strings.TrimSpace(e.must(t, "go", "env", from))+":"+to)
	}
	last := map[string]string{"Dockerfile": "static", "Dockerfile.dev": "static", "Dockerfile.lambda": "debian", "Dockerfile.ui": "nodejs"}[dockerfile(s)]
	args = append(args, "--build-arg", "BASE="+base(last))
	for name, value := range s.Build.Args {
		args = append(args, "--build-arg", name+"="+*value)
	}
	e.bud(t, image, dockerfile(s), ".", args...)
	e.made[image] = true
	return image
}

type imageConfig struct {
	User   string
	Labels map[string]string
}

func (e *containers) config(t *testing.T, image string) imageConfig {
	t.Helper()
	var out struct{ OCIv1 struct{ Config imageConfig } }
	if err := json.Unmarshal([]byte(e.must(t, "buildah", append(e.store(), "inspect", "--type", "image", image)...)), &out); err != nil {
		t.Fatal(err)
	}
	return out.OCIv1.Config
}

// run runs an image as locked up as its service, without a network.
func (e *containers) run(t *testing.T, s types.ServiceConfig, image string, options []string, args ...string) (string, error) {
	t.Helper()
	command := append(e.store(), "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc",
		"run", "--rm", "--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", fmt.Sprintf("--read-only=%t", s.ReadOnly))
	for _, c := range s.CapDrop {
		command = append(command, "--cap-drop", c)
	}
	for _, o := range s.SecurityOpt {
		command = append(command, "--security-opt", strings.TrimSuffix(o, ":true"))
	}
	for _, dir := range s.Tmpfs {
		command = append(command, "--tmpfs", dir)
	}
	return e.command(t, "podman", slices.Concat(command, options, []string{image}, args)...)
}

// secrets makes them in a volume, as the first of all services does, and looks at whose they are.
func (e *containers) secrets(t *testing.T, s types.ServiceConfig, image string) {
	volume := []string{"--volume", "secrets:/run/angelowl"}
	for range 2 {
		if said, err := e.run(t, s, image, volume, s.Command...); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	at := strings.TrimSpace(e.must(t, "podman", append(e.store(), "volume", "inspect", "secrets", "--format", "{{.Mountpoint}}")...))
	files, err := os.ReadDir(at)
	if err != nil || len(files) < 10 {
		t.Fatalf("%d secrets: %v", len(files), err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if stat := info.Sys().(*syscall.Stat_t); info.Mode().Perm() != 0o600 || stat.Uid != 65532 {
			t.Errorf("%s is %s of %d", f.Name(), info.Mode(), stat.Uid)
		}
		if b, err := os.ReadFile(filepath.Join(at, f.Name())); err != nil || len(bytes.TrimSpace(b)) == 0 {
			t.Errorf("%s: %v", f.Name(), err)
		}
	}
}
