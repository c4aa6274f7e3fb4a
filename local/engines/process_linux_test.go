package engines

import (
	"os"
	"strings"
	"testing"
)

func TestALineOfStatIsRead(t *testing.T) {
	rest := " 1 10 10 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 777 4096 3 18446744073709551615"
	page := int64(os.Getpagesize())
	for _, c := range []struct {
		name, line string
		want       entry
	}{
		{"a plain command", "42 (java) S" + rest, entry{process{42, "777"}, 1, 3 * page}},
		{"a command that looks like the rest", "42 (a) Z 9 (b) S" + rest, entry{process{42, "777"}, 1, 3 * page}},
		{"one that has ended and waits for its parent", "42 (java) Z" + rest, entry{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseStat([]byte(c.line))
			if err != nil || got != c.want {
				t.Errorf("it is %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
	for _, bad := range []string{"", "42", "42 (java) S 1", "x (java) S" + rest, strings.Repeat("(", 60)} {
		if e, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is read as %+v", bad, e)
		}
	}
}
