package rules

import (
	"sort"
	"unicode/utf8"
)

// foldRune is the full case folding of a rune above ASCII: one rune, or a text of several.
func foldRune(r rune) (rune, string) {
	i := sort.Search(len(foldRanges), func(i int) bool { return foldRanges[i].hi >= r })
	if i < len(foldRanges) {
		if f := &foldRanges[i]; f.lo <= r && (r-f.lo)%f.stride == 0 {
			return r + f.delta, ""
		}
	}
	i = sort.Search(len(foldFull), func(i int) bool { return foldFull[i].from >= r })
	if i < len(foldFull) && foldFull[i].from == r {
		return 0, foldFull[i].to
	}
	return r, ""
}

// maxFolded is the most bytes that a rune folds to.
const maxFolded = 6

// fold is the full case folding of a text. Bytes that are not UTF-8 stay as they are.
func fold(s string) string { return string(appendFold(make([]byte, 0, len(s)+8), s)) }

// EqualFold says whether two texts are the same by full case folding, as a merchant's name is found.
func EqualFold(a, b string) bool { return fold(a) == fold(b) }

func appendFold(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			b = append(b, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(b, c)
			i++
			continue
		}
		i += size
		if one, several := foldRune(r); several != "" {
			b = append(b, several...)
		} else {
			b = utf8.AppendRune(b, one)
		}
	}
	return b
}
