package access_test

import (
	"regexp"
	"strings"
	"testing"
)

// hostile is what stands in the place of a parameter; {x} is what should.
var hostile = []string{
	"today", "type", "presigned", "total", "summary", "search", "try", "history", "jwks.json",
	"..%2f", "..%2f{x}", "%2f", "%2f{x}", "%2F{x}", "{x}%2fhistory", "{x}%2f..%2f{x}", "..", ".", "../{x}", "./{x}", "%2e%2e/{x}",
	"/{x}", "{x}/", "{x}//", "{x};x", ";x", "{x};id={x}", "%00", "{x}%00", "{x}%20", "{x}%0d%0aX:%20y", "%ff", "%", "%zz", "*", "{x}*",
	"%7B{x}%7D", "urn:uuid:{x}", "{x},{x}", "\\{x}", "%5c{x}", "{x}?", "-1", "0", "null",
}

var param = regexp.MustCompile(`\{([a-z]+)\}`)

// For each parameter of each route: what is no such thing is refused, whoever sends it, and tells
// nobody's data.
func TestWhatIsNoParameter(t *testing.T) {
	known := map[string]bool{}
	for _, r := range door {
		known[r.route] = true
	}
	long := strings.Repeat("a", 10_000)
	for _, r := range door {
		if !strings.Contains(r.path, "{") {
			continue
		}
		t.Run(r.route, func(t *testing.T) {
			t.Parallel()
			method, _, _ := strings.Cut(r.route, " ")
			pattern := strings.ReplaceAll(r.path, "{new", "{")
			for _, at := range param.FindAllStringIndex(pattern, -1) {
				name := pattern[at[0]+1 : at[1]-1]
				for _, text := range append(hostile, long) {
					before, after := fillAll(pattern[:at[0]]), fillAll(pattern[at[1]:])
					path := before + strings.ReplaceAll(text, "{x}", w.ids[name]) + after
					if known[method+" "+path] {
						continue // it is another route, of which the table says who may call it
					}
					if strings.HasSuffix(text, "?") {
						if after != "" || method != "GET" {
							continue
						}
						path = strings.TrimSuffix(path, "?") + "/?" // with it alone it is the resource, and no query
					}
					for _, who := range []caller{own, other, bank, admin} {
						refused(t, who, method, path)
					}
				}
				// The case of an id does not matter, as RFC 9562 has it, and it is no way around anything.
				if upper := fillAll(pattern[:at[0]]) + strings.ToUpper(w.ids[name]) + fillAll(pattern[at[1]:]); r.want[other] >= 400 && upper != fillAll(pattern) {
					refused(t, other, method, upper)
				}
			}
			whole := fillAll(pattern)
			for _, path := range []string{
				"/" + whole, strings.ToUpper(whole), strings.Replace(whole, "/", "/./", 1), "/x/.." + whole, "/%2e" + whole,
				strings.Replace(whole[1:], "/", "//", 1), whole + "%2f", whole + "/", whole + "//", whole + ";x", whole + "%00", whole + "/..",
				strings.ToUpper(whole[:2]) + whole[2:], strings.Replace(whole, whole[1:2], "%"+hex(whole[1]), 1), whole + "/" + long,
			} {
				for _, who := range []caller{own, other, bank, admin} {
					refused(t, who, method, path)
				}
			}
		})
	}
}

func hex(c byte) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{digits[c>>4], digits[c&15]})
}

func fillAll(path string) string {
	return param.ReplaceAllStringFunc(path, func(s string) string { return w.ids[s[1:len(s)-1]] })
}

func refused(t *testing.T, who caller, method, path string) {
	t.Helper()
	a, err := w.raw(w.tokens[who], method, path)
	switch {
	case err != nil:
		t.Errorf("by %s: %s %.200s: %v", callers[who], method, path, err)
	case a.status < 400 || a.status >= 500:
		t.Errorf("by %s: %s", callers[who], a)
	default:
		for _, data := range []string{`"data"`, "sample.example", "************"} {
			if strings.Contains(a.body, data) {
				t.Errorf("by %s: %s, which tells something", callers[who], a)
			}
		}
	}
}
