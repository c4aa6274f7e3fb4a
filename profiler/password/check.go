package password

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/angelowl-loyalties/app/loyalty"
	"golang.org/x/text/unicode/norm"
)

// How long a password is, in characters. NIST SP 800-63B-4 (3.1.1.2) asks for 15 where a password is
// the only factor. Cardholders have no other, and staff have none before they set one up, so it goes
// for all. The upper end is there because hashing takes what it is given.
const (
	MinLength = 15
	MaxLength = 128
)

// unexplained is how many letters and digits a password needs besides what people use again and again.
const unexplained = 6

// common are the words that passwords are made of most: one a line, in lower case.
//
//go:embed common.txt
var common string

var commonWords = sync.OnceValue(func() map[string]bool {
	words := map[string]bool{}
	for line := range strings.Lines(common) {
		if w := strings.TrimSpace(line); w != "" && !strings.HasPrefix(w, "#") {
			words[w] = true
		}
	}
	return words
})

// rows are the ways a finger walks over a keyboard, and the alphabet.
var rows = []string{
	"1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz",
	"1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "qazwsxedcrfvtgbyhnujmikolp", "azertyuiop", "qwertzuiop", "147258369", "741852963",
}

// Check says what is wrong with a new password, as a loyalty.FieldErrors of the field "password".
// personal are words that whoever knows the person would try: names, the email. There are no rules on
// which kinds of characters it has.
//
// A list of common passwords that are this long would miss most of what is guessed, which is common
// words put together and decorated. So a password is taken apart: common words (also with 0 for o and
// the like), walks over the keyboard, years and repetitions count for nothing, and what is left must
// be something.
func Check(plain string, personal ...string) error {
	refuse := func(code, format string, args ...any) error {
		return loyalty.FieldErrors{{Field: "password", Code: code, Reason: fmt.Sprintf(format, args...)}}
	}
	if plain == "" {
		return refuse("missing", "is missing")
	}
	if !utf8.ValidString(plain) {
		return refuse("not_text", "is not text")
	}
	normal := norm.NFKC.String(plain)
	for _, r := range normal {
		if unicode.IsControl(r) {
			return refuse("not_text", "has characters that cannot be typed, such as a line's end")
		}
	}
	switch n := utf8.RuneCountInString(normal); {
	case n < MinLength:
		return refuse("too_short", "is too short: take %d characters or more; a few words that do not belong together are good", MinLength)
	case n > MaxLength:
		return refuse("too_long", "is too long: take %d characters at most", MaxLength)
	}
	lower := strings.ToLower(normal)
	context := personalWords(personal)
	without, found := take(lower, context, nil)
	switch rest, _ := take(without, nil, commonWords()); {
	case distinct(lower) < 5:
		return refuse("too_common", "repeats a few characters; take words that do not belong together")
	case left(rest) >= unexplained:
		return nil
	case found:
		return refuse("personal", "is little more than your name, your email or ours, which others would try; add words that do not belong together")
	}
	return refuse("too_common", "is made of what many people use, such as common words, years or rows of keys; take words that do not belong together")
}

// personalWords are the parts of names and emails, and ours.
func personalWords(personal []string) map[string]bool {
	words := map[string]bool{"angelowl": true, "angel": true, "owl": true, "loyalty": true, "rewards": true}
	for _, p := range personal {
		p = strings.ToLower(norm.NFKC.String(p))
		for _, w := range append(strings.FieldsFunc(p, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), p) {
			if utf8.RuneCountInString(w) >= 3 {
				words[w] = true
			}
		}
	}
	return words
}

const longestWord = 64

// take blanks out what stands in the words, the longest first from each place, and with common ones also
// what is easy without being a word. A blank is a NUL, so that what stood around it does not become one.
func take(s string, personal, common map[string]bool) (rest string, found bool) {
	in := []rune(s)
	plain := unleet(in)
	out := make([]rune, 0, len(in))
	for i := 0; i < len(in); {
		n := 0
		for l := min(longestWord, len(in)-i); l >= 3 && n == 0; l-- {
			if w, p := string(in[i:i+l]), string(plain[i:i+l]); personal[w] || personal[p] || common[w] || common[p] {
				n = l
			}
		}
		if common != nil {
			n = max(n, walk(in[i:]), repeated(in[i:]), year(in[i:]))
		}
		if n == 0 {
			out = append(out, in[i])
			i++
			continue
		}
		found = true
		out = append(out, 0)
		i += n
	}
	return string(out), found
}

var leet = map[rune]rune{'0': 'o', '1': 'i', '!': 'i', '3': 'e', '4': 'a', '@': 'a', '5': 's', '$': 's', '7': 't', '8': 'b', '9': 'g'}

func unleet(in []rune) []rune {
	out := make([]rune, len(in))
	for i, r := range in {
		out[i] = r
		if l, ok := leet[r]; ok {
			out[i] = l
		}
	}
	return out
}

// walk is how many characters of the beginning, 3 or more, follow one another on a row, in either direction.
func walk(in []rune) int {
	best := 0
	for _, row := range rows {
		at := strings.IndexRune(row, in[0])
		if at < 0 {
			continue
		}
		for _, step := range []int{1, -1} {
			n := 0
			for j := at; n < len(in) && j >= 0 && j < len(row) && rune(row[j]) == in[n]; j += step {
				n++
			}
			best = max(best, n)
		}
	}
	if best < 3 {
		return 0
	}
	return best
}

// repeated is how many characters of the beginning are one that comes three times or more.
func repeated(in []rune) int {
	n := 0
	for n < len(in) && in[n] == in[0] && in[0] != 0 {
		n++
	}
	if n < 3 {
		return 0
	}
	return n
}

// year is 4 where a year of a living person begins.
func year(in []rune) int {
	if len(in) < 4 {
		return 0
	}
	if y := string(in[:4]); y >= "1900" && y <= "2099" && strings.Trim(y, "0123456789") == "" {
		return 4
	}
	return 0
}

func distinct(s string) int {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}
	return len(seen)
}

// left counts the letters and digits of what is left; a piece that comes again counts once.
func left(rest string) int {
	seen, n := map[string]bool{}, 0
	for _, piece := range strings.FieldsFunc(rest, func(r rune) bool { return r == 0 || unicode.IsSpace(r) || r == '-' || r == '_' || r == '.' }) {
		if seen[piece] {
			continue
		}
		seen[piece] = true
		for _, r := range piece {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				n++
			}
		}
	}
	return n
}
