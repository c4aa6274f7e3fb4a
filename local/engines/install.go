//go:build unix

package engines

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

// files are the nodes' configurations, and what is fetched: for the engines from Maven Central a
// pom and the hashes of all that it brings, for etcd the go.mod and go.sum of a module of its own.
//
//go:embed conf pins
var files embed.FS

var configurations = template.Must(template.ParseFS(files, "conf/*"))

// ErrMissing is an engine that is not on this machine. Its words say what to do.
var ErrMissing = errors.New("is not installed")

// missing is ErrMissing with what is missing and what to do.
type missing struct{ what, do string }

func (m missing) Error() string        { return fmt.Sprintf("%s %v: %s", m.what, ErrMissing, m.do) }
func (m missing) Is(target error) bool { return target == ErrMissing }

// plugin copies a pom's dependencies.
const plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

// Cache is the folder that installed engines are kept in, one folder for each version of what is
// embedded here; it may be removed at any time when nothing runs.
func Cache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the folder for installed engines: %w", err)
	}
	return filepath.Join(dir, "angelowl", "engines"), nil
}

// place is where an engine is or will be, by the hash of what it is made from.
func place(k Kind) (string, error) {
	cache, err := Cache()
	if err != nil {
		return "", err
	}
	all, err := fs.Glob(files, "pins/"+string(k)+".*")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, file := range all {
		b, err := files.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", file, len(b), b)
	}
	return filepath.Join(cache, string(k)+"-"+hex.EncodeToString(h.Sum(nil))[:12]), nil
}

// find returns an installed engine.
func find(ctx context.Context, k Kind) (engine, error) {
	or := ", or set " + k.Variable() + " to the address of one that runs"
	if k == Postgres {
		bin, err := postgresBin()
		if err != nil {
			return nil, missing{"PostgreSQL", "install it (Debian and Ubuntu: apt-get install postgresql)" + or}
		}
		return postgres{bin}, nil
	}
	dir, err := place(k)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, missing{string(k), "run `make engines`" + or}
	}
	if k == Etcd {
		return etcd{filepath.Join(dir, "etcd")}, nil
	}
	java, err := findJava(ctx)
	if err != nil {
		return nil, missing{"Java 17", "install it (Debian and Ubuntu: apt-get install openjdk-17-jre-headless) or set JAVA_HOME to it" + or}
	}
	if k == Kafka {
		return kafka{java, dir}, nil
	}
	return cassandra{java, dir}, nil
}

// postgresBin returns the folder of the newest PostgreSQL's programs. Debian keeps them off PATH.
func postgresBin() (string, error) {
	if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); err == nil && len(found) > 0 {
		slices.SortFunc(found, func(a, b string) int { return len(a) - len(b) + strings.Compare(a, b) })
		return filepath.Dir(found[len(found)-1]), nil
	}
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		return "", err
	}
	initdb, err = filepath.EvalSymlinks(initdb)
	return filepath.Dir(initdb), err
}

// findJava returns a Java 17. Cassandra 5 runs on 11 and 17 alone, Kafka 4 needs 17.
func findJava(ctx context.Context) (string, error) {
	var all []string
	if home := os.Getenv("JAVA_HOME"); home != "" {
		all = append(all, filepath.Join(home, "bin", "java"))
	}
	if java, err := exec.LookPath("java"); err == nil {
		all = append(all, java)
	}
	for _, pattern := range []string{"/usr/lib/jvm/*17*/bin/java", "/opt/homebrew/opt/openjdk@17/bin/java"} {
		if found, err := filepath.Glob(pattern); err == nil {
			all = append(all, found...)
		}
	}
	for _, java := range all {
		if is17(ctx, java) {
			return java, nil
		}
	}
	return "", errors.New("no Java 17")
}

func is17(ctx context.Context, java string) bool {
	if program, err := filepath.EvalSymlinks(java); err == nil {
		// Most say it in a file, which is read sooner than a Java has started.
		if b, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(program)), "release")); err == nil {
			return bytes.Contains(b, []byte(`JAVA_VERSION="17`))
		}
	}
	said, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
	return err == nil && bytes.Contains(said, []byte(`version "17`))
}

// Install fetches the engines that are not on this machine yet, and as root on Debian the packages
// that they need. It says what it does. Several processes may install at once; what is installed is
// whole or not there.
func Install(ctx context.Context, say func(string), kinds ...Kind) error {
	if err := installPackages(ctx, say, kinds); err != nil {
		return err
	}
	for _, k := range kinds {
		if _, err := find(ctx, k); err == nil {
			say(string(k) + ": installed")
			continue
		} else if k == Postgres {
			return err
		}
		begin := time.Now()
		if err := installKind(ctx, say, k); err != nil {
			return fmt.Errorf("installing %s: %w", k, err)
		}
		if _, err := find(ctx, k); err != nil {
			return err
		}
		say(fmt.Sprintf("%s: installed in %.0f s", k, time.Since(begin).Seconds()))
	}
	return nil
}

// installPackages installs Debian's packages where it may.
func installPackages(ctx context.Context, say func(string), kinds []Kind) error {
	var packages []string
	if _, err := postgresBin(); err != nil && slices.Contains(kinds, Postgres) {
		packages = append(packages, "postgresql")
	}
	if slices.Contains(kinds, Kafka) || slices.Contains(kinds, Cassandra) {
		if _, err := findJava(ctx); err != nil {
			packages = append(packages, "openjdk-17-jre-headless")
		}
		unfetched := func(k Kind) bool { return (k == Kafka || k == Cassandra) && !fetched(k) }
		if _, err := exec.LookPath("mvn"); err != nil && slices.ContainsFunc(kinds, unfetched) {
			packages = append(packages, "maven")
		}
	}
	if len(packages) == 0 {
		return nil
	}
	var variables []string
	for _, k := range kinds {
		variables = append(variables, k.Variable())
	}
	do := fmt.Sprintf("On Debian or Ubuntu run as root:\n  apt-get install %s\nelsewhere install the same, or set %s to the addresses of engines that run.",
		strings.Join(packages, " "), strings.Join(variables, ", "))
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("%s: missing. %s", strings.Join(packages, ", "), do)
	}
	say("apt-get install " + strings.Join(packages, " "))
	// What is there is not raised to another version: others may run on it.
	install := append([]string{"install", "-y", "-q", "--no-upgrade", "--no-install-recommends"}, packages...)
	said, err := aptGet(install...)
	if err != nil && ctx.Err() == nil {
		// Lists of packages may be old or not there.
		if said, err = aptGet("update", "-q"); err == nil {
			said, err = aptGet(install...)
		}
	}
	if err != nil {
		return fmt.Errorf("apt-get: %w\n%s\n%s", err, lastLines(said), do)
	}
	return ctx.Err()
}

// aptGet runs apt-get to its end, whatever this process and its terminal are told meanwhile: cut
// short, it would leave packages half installed. It waits for another that is at work.
func aptGet(args ...string) ([]byte, error) {
	cmd := exec.Command("apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.SysProcAttr = attributes(nil, false)
	return cmd.CombinedOutput()
}

func fetched(k Kind) bool {
	dir, err := place(k)
	if err != nil {
		return false
	}
	_, err = os.Stat(dir)
	return err == nil
}

// installKind puts an engine in its place.
func installKind(ctx context.Context, say func(string), k Kind) error {
	dir, err := place(k)
	if err != nil {
		return err
	}
	return once(ctx, dir, func(tmp, to string) error {
		if k == Etcd {
			return buildEtcd(ctx, say, tmp, to)
		}
		return fetchJars(ctx, say, k, tmp, to)
	})
}

// once fills a folder that is there whole or not at all, unless it is there or another process fills
// it meanwhile. fill has a folder to work in and one to fill.
func once(ctx context.Context, dir string, fill func(tmp, to string) error) error {
	parent, name := filepath.Split(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(parent, "."+name+".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	tmp, err := os.MkdirTemp(parent, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	to := filepath.Join(tmp, name)
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	if err := fill(tmp, to); err != nil {
		return err
	}
	return os.Rename(to, dir)
}

func fetchJars(ctx context.Context, say func(string), k Kind, tmp, to string) error {
	say(fmt.Sprintf("%s: fetching from Maven Central", k))
	pom, err := files.ReadFile("pins/" + string(k) + ".xml")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, "pom.xml"), pom, 0o644); err != nil {
		return err
	}
	said, err := output(ctx, tmp, nil, "mvn", "-B", "-q", "-C", "-Dstyle.color=never", "-f", filepath.Join(tmp, "pom.xml"), plugin,
		"-DincludeScope=runtime", "-DoutputDirectory="+to)
	if err != nil {
		return fmt.Errorf("maven could not fetch it: %w\n%s\nIt needs Maven Central once, or a mirror that ~/.m2/settings.xml names; or set %s to the address of one that runs",
			err, lastLines(said), k.Variable())
	}
	return checkJars(k, to)
}

// checkJars holds what was fetched to the hashes that are embedded here.
func checkJars(k Kind, dir string) error {
	sums, err := files.ReadFile("pins/" + string(k) + ".sha256")
	if err != nil {
		return err
	}
	want := map[string]string{}
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		want[name] = sum
	}
	got, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, jar := range got {
		b, err := os.ReadFile(filepath.Join(dir, jar.Name()))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		if want[jar.Name()] != hex.EncodeToString(sum[:]) {
			return fmt.Errorf("%s is not what pins/%s.sha256 says: the repository that it came from is not to be trusted", jar.Name(), k)
		}
		delete(want, jar.Name())
	}
	if len(want) > 0 {
		return fmt.Errorf("these did not come: %v", slices.Sorted(maps.Keys(want)))
	}
	return nil
}

func buildEtcd(ctx context.Context, say func(string), tmp, to string) error {
	say("etcd: building, which takes some minutes the first time")
	for name, as := range map[string]string{"etcd.mod": "go.mod", "etcd.sum": "go.sum"} {
		b, err := files.ReadFile("pins/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(tmp, as), b, 0o644); err != nil {
			return err
		}
	}
	said, err := output(ctx, tmp, []string{"GOWORK=off", "CGO_ENABLED=0", "GOFLAGS=-mod=readonly -buildvcs=false"},
		"go", "build", "-o", filepath.Join(to, "etcd"), "go.etcd.io/etcd/server/v3")
	if err != nil {
		return fmt.Errorf("go could not build it: %w\n%s\nIt needs Go and its module proxy once; or set %s to the address of one that runs",
			err, lastLines(said), Etcd.Variable())
	}
	return nil
}

// output runs a program and returns all that it said.
func output(ctx context.Context, dir string, env []string, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.WaitDelay = 5 * time.Second
	return cmd.CombinedOutput()
}

// lastLines are those of what a program said that tell why it failed.
func lastLines(said []byte) string {
	var lines []string
	for s := bufio.NewScanner(bytes.NewReader(said)); s.Scan(); {
		if text := strings.TrimSpace(s.Text()); text != "" {
			lines = append(lines, "  "+text)
		}
	}
	if len(lines) > 12 {
		lines = lines[len(lines)-12:]
	}
	return strings.Join(lines, "\n")
}
