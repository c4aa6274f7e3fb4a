package config

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Help writes what can be set, for --help.
func Help(w io.Writer, settings any) error {
	fields := fieldsOf(settings)
	width := 0
	for _, f := range fields {
		width = max(width, len(f.name))
	}
	var b strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&b, "  %-*s  %s (%s)\n", width, f.name, f.what(), f.otherwise())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (f field) what() string {
	if f.secret() {
		return f.help + "; a secret, " + f.name + "_FILE may name a file that holds it"
	}
	return f.help
}

// otherwise says what holds where nothing is set.
func (f field) otherwise() string {
	switch {
	case f.fallback != "":
		return "default " + f.fallback
	case f.optional:
		return "optional"
	}
	return "needed"
}

// Table is what can be set as a table in Markdown.
func Table(settings any) string {
	var b strings.Builder
	b.WriteString("| variable | default | what |\n|---|---|---|\n")
	for _, f := range fieldsOf(settings) {
		fallback := "none"
		switch {
		case f.fallback != "":
			fallback = "`" + f.fallback + "`"
		case !f.optional:
			fallback = "**needed**"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, fallback, strings.ReplaceAll(f.what(), "|", `\|`))
	}
	return b.String()
}

// Env is a file of environment variables, for docker compose and for people, with all that can be set: what
// values says, and as comments what is left at its default. The error names what is wrong with values: a name
// that is no setting, one that is needed and missing, or a secret, which a file that is kept must not hold.
func Env(settings any, values map[string]string) (string, error) {
	var b strings.Builder
	var wrong []string
	known := map[string]bool{}
	for _, f := range fieldsOf(settings) {
		set := false
		fmt.Fprintf(&b, "\n# %s (%s)\n", f.what(), f.otherwise())
		for _, name := range f.names() {
			known[name] = true
			value, ok := values[name]
			if !ok {
				continue
			}
			set = true
			if f.secret() && name == f.name && (!strings.Contains(value, "://") || strings.Contains(value, "@")) {
				wrong = append(wrong, name+" is a secret; say "+name+"_FILE")
			}
			fmt.Fprintf(&b, "%s=%s\n", name, value)
		}
		if !set {
			fmt.Fprintf(&b, "#%s=%s\n", f.name, f.fallback)
			if f.fallback == "" && !f.optional {
				wrong = append(wrong, f.name+" is needed")
			}
		}
	}
	for name := range values {
		if !known[name] {
			wrong = append(wrong, name+" is no setting")
		}
	}
	if wrong != nil {
		slices.Sort(wrong)
		return "", errors.New(strings.Join(wrong, "; "))
	}
	return b.String(), nil
}
