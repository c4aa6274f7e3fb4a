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
