package rules

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/cases"
)

func TestFoldIsUnicodes(t *testing.T) {
	f := cases.Fold()
	wrong := 0
	for r := rune(1); r <= utf8.MaxRune && wrong < 10; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		got, want := fold(string(r)), f.String(string(r))
		if got != want && (cases.UnicodeVersion == "15.0.0" || got != string(r)) { // a newer version may know more runes
			t.Errorf("%U folds to %q, want %q", r, got, want)
			wrong++
		}
		if len(got) > maxFolded {
			t.Errorf("%U folds to %d bytes", r, len(got))
		}
	}
}

func FuzzFold(f *testing.F) {
	for _, s := range []string{"", "Grab", "STRASSE ß ẞ", "ﬁ ΐ ς", "\xff\xc3", "K\u212a", "İ"} {
		f.Add(s)
	}
	c := cases.Fold()
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		got := fold(s)
		if want := c.String(s); got != want && cases.UnicodeVersion == "15.0.0" {
			t.Errorf("%q folds to %q, want %q", s, got, want)
		}
		if len(s) > 64 {
			return
		}
		_, ascii := look(make([]uint64, 1), s)
		if want := strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0; ascii != want {
			t.Errorf("%q is ASCII: %t", s, ascii)
		}
		if ascii {
			var buf shortName
			buf.fold(s)
			if string(buf[:]) != got+string(make([]byte, len(buf)-len(s))) {
				t.Errorf("%q folds to %q on the fast path, want %q", s, buf, got)
			}
		}
	})
}
