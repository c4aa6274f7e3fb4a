package authorizer

import "strings"

// pattern is a set of texts: one after another, places that are one byte of a class each, or any
// number of bytes of it.
type pattern []place

type place struct {
	class byte // anyByte, noSlash, hex, or the one byte itself
	many  bool
}

// Classes are bytes that stand in no path.
const (
	anyByte = 0x00
	noSlash = 0x01
	hex     = 0x02
)

// glob is what IAM takes a resource for.
func glob(s string) pattern {
	p := make(pattern, len(s))
	for i := range len(s) {
		switch s[i] {
		case '*':
			p[i] = place{class: anyByte, many: true}
		case '?':
			p[i] = place{class: anyByte}
		default:
			p[i] = place{class: s[i]}
		}
	}
	return p
}

// language is what requests of a route look like: METHOD/path. Parameters have no slash and are not
// empty; those that are UUIDs look like some where wellFormed says so.
func (r Route) language(wellFormed bool) pattern {
	p := glob(r.Method)
	for segment := range strings.SplitSeq(strings.TrimPrefix(r.Path, "/"), "/") {
		p = append(p, place{class: '/'})
		name, ok := param(segment)
		switch {
		case !ok:
			p = append(p, glob(segment)...)
		case wellFormed && isUUID(name):
			for _, c := range []byte("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") {
				if c == 'x' {
					c = hex
				}
				p = append(p, place{class: c})
			}
		default:
			p = append(p, place{class: noSlash}, place{class: noSlash, many: true})
		}
	}
	return p
}

// meet says whether some text is in both patterns.
func meet(a, b pattern) bool {
	// seen[i][j]: what is before a[i] and before b[j] can be the same text.
	seen := make([]bool, (len(a)+1)*(len(b)+1))
	var walk func(i, j int) bool
	walk = func(i, j int) bool {
		at := i*(len(b)+1) + j
		if seen[at] {
			return false
		}
		seen[at] = true
		if i == len(a) && j == len(b) {
			return true
		}
		if i < len(a) && a[i].many && walk(i+1, j) || j < len(b) && b[j].many && walk(i, j+1) {
			return true
		}
		if i == len(a) || j == len(b) || !share(a[i].class, b[j].class) {
			return false
		}
		next := func(p pattern, i int) int {
			if p[i].many {
				return i
			}
			return i + 1
		}
		return walk(next(a, i), next(b, j))
	}
	return walk(0, 0)
}

// share says whether some byte is in both classes.
func share(a, b byte) bool {
	if a > b {
		a, b = b, a
	}
	switch {
	case a == b, a == anyByte:
		return true
	case a == noSlash:
		return b != '/'
	case a == hex:
		return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
	}
	return false
}
