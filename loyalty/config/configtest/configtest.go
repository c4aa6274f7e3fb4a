// Package configtest holds docs/configuration.md to what programs read.
package configtest

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/config"
)

var update = flag.Bool("update", false, "write the tables of docs/configuration.md anew")

// Documented fails where the section of a program in the file at path is not what settings says.
// With -update it writes the section. Text outside of sections is written by people.
func Documented(t *testing.T, path, program, about string, settings any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- begin "+program+" -->\n", "<!-- end "+program+" -->\n"
	before, rest, ok := strings.Cut(string(b), begin)
	is, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no section from %q to %q", path, begin, end)
	}
	want := "## " + program + "\n\n`" + program + "` " + about + "\n\n" + config.Table(settings)
	if is == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what %s reads; run go generate in its folder\n%s", path, program, want)
	}
	if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Environment fails where the file at path does not have each variable of a program once, with the words that
// --help says of it. With -update it writes the file anew, with the values that it has.
func Environment(t *testing.T, path, program string, settings any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok && !strings.HasPrefix(name, "#") {
			values[name] = value
		}
	}
	want, err := config.Env(settings, values)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	want = "# What " + program + " reads, with the values of docker-compose.yml; made by go generate ./cmd/" + program +
		",\n# which keeps the values. It holds no secret: those are made at the first start, in files that *_FILE name.\n" + want
	if string(b) == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what %s reads; run go generate in its folder\n%s", path, program, want)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
