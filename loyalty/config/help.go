package config

import (
	"fmt"
	"io"
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
