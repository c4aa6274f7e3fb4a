// Package config reads what a deployment sets: environment variables, and a file for those who
// like one. A program says what can be set by a struct whose fields are tagged,
//
//	type settings struct {
//		Port config.Port   `env:"PORT" default:"8080" help:"TCP port of the API"`
//		Pass config.Secret `env:"DB_PASS" help:"password of the database's user"`
//		Etcd etcdconn.Settings
//	}
//
// and Read fills it, or says everything that is wrong at once. The same struct makes --help and
// the tables of docs/configuration.md.
//
//   - A field without a default is needed, unless its tag says `env:"NAME,optional"`.
//   - min and max bound whole numbers and times.
//   - A Secret may come from a file too, which NAME_FILE names, as Kubernetes mounts them.
//   - A struct among the fields is a group; `prefix:"ETCD_"` stands before its names. A group that
//     is a Checker says what only several settings together can get wrong.
package config

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a container may have no time zones of its own

	"github.com/spf13/viper"
)

// FileVariable names the file of settings; --config does too.
const FileVariable = "CONFIG_FILE"

// Problem is one thing that is wrong, in words for the person who deploys. It never holds a secret.
type Problem struct {
	Name   string // the variable
	Reason string
}

func (p Problem) Error() string { return p.Name + " " + p.Reason }

// Problems are all that is wrong. It is the error of Read.
type Problems []Problem

func (p Problems) Error() string {
	words := make([]string, len(p))
	for i := range p {
		words[i] = p[i].Error()
	}
	return strings.Join(words, "; ")
}

// Checker is a group of settings that looks at itself when each of them is right. It may complete
// them. The names of its problems are written without the group's prefix.
type Checker interface{ Check() []Problem }

// Read fills settings, a pointer to a tagged struct, from the environment and, where file is not
// "", from that YAML, JSON or TOML file, whose keys are the variables' names in any case. The
// environment wins. An empty variable counts as none. Warnings are about variables that look as if
// they were meant for us. The error is a Problems.
func Read(settings any, file string) (warnings []string, err error) {
	fields := fieldsOf(settings)
	var problems Problems
	v := viper.New()
	known := []string{FileVariable}
	for _, f := range fields {
		for _, name := range f.names() {
			known = append(known, name)
			if err := v.BindEnv(name, name); err != nil {
				panic(err) // only a missing name is an error
			}
		}
	}
	if file != "" {
		in := viper.NewWithOptions(viper.KeyDelimiter("\x00")) // a key with a dot is one key
		if p := readFile(in, file); p != nil {
			return nil, Problems{*p} // what is missing may stand in it
		}
		problems = mergeFile(v, in.AllSettings(), file, known[1:])
	}
	for _, f := range fields {
		if p := f.read(v); p != nil {
			problems = append(problems, *p)
		}
	}
	problems = append(problems, check(reflect.ValueOf(settings), "", problems)...)
	if len(problems) > 0 {
		return misspelt(os.Environ(), known), problems
	}
	return misspelt(os.Environ(), known), nil
}

func readFile(in *viper.Viper, path string) *Problem {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml", ".json", ".toml":
	default:
		return &Problem{FileVariable, fmt.Sprintf("names %s, which must end with .yaml, .yml, .json or .toml", path)}
	}
	in.SetConfigFile(path)
	if err := in.ReadInConfig(); err != nil {
		return &Problem{FileVariable, fmt.Sprintf("names %s, which cannot be read: %s", path, sayless(err))}
	}
	return nil
}

// mergeFile takes over what a file says, every key of which has to be known.
func mergeFile(v *viper.Viper, settings map[string]any, path string, known []string) []Problem {
	var problems []Problem
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		name := strings.ToUpper(key)
		if slices.Contains(known, name) {
			continue
		}
		reason := fmt.Sprintf("stands in %s and is not a setting of this program", path)
		if meant := nearest(name, known, 2); meant != "" {
			reason += "; is it " + meant + " that is meant?"
		}
		problems = append(problems, Problem{name, reason})
	}
	if err := v.MergeConfigMap(settings); err != nil {
		problems = append(problems, Problem{FileVariable, fmt.Sprintf("names %s, which cannot be used: %s", path, sayless(err))})
	}
	return problems
}

// sayless keeps the lines of a file, which may hold secrets, out of a parser's error.
func sayless(err error) string {
	var parse viper.ConfigParseError
	if errors.As(err, &parse) {
		line := ""
		if _, rest, found := strings.Cut(err.Error(), "line "); found {
			digits := strings.IndexFunc(rest+" ", func(r rune) bool { return r < '0' || r > '9' })
			line = " near line " + rest[:digits]
		}
		return "it is not well-formed" + line
	}
	return err.Error()
}

// field is one setting.
type field struct {
	value    reflect.Value
	name     string
	help     string
	fallback string
	optional bool
	min, max string
}

func fieldsOf(settings any) []field {
	v := reflect.ValueOf(settings)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic("config: settings must be a pointer to a struct")
	}
	return collect(v.Elem(), "")
}

func collect(v reflect.Value, prefix string) []field {
	var out []field
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		env, ok := tag.Lookup("env")
		if !ok {
			if v.Field(i).Kind() == reflect.Struct && v.Type().Field(i).IsExported() {
				out = append(out, collect(v.Field(i), prefix+tag.Get("prefix"))...)
			}
			continue
		}
		name, flags, _ := strings.Cut(env, ",")
		f := field{value: v.Field(i), name: prefix + name, help: tag.Get("help"), min: tag.Get("min"), max: tag.Get("max"), optional: flags == "optional"}
		if fallback, ok := tag.Lookup("default"); ok {
			f.fallback, f.optional = fallback, true
		}
		out = append(out, f)
	}
	return out
}

func (f field) secret() bool { return f.value.Type() == reflect.TypeFor[Secret]() }

// names are the variables that the setting may come from.
func (f field) names() []string {
	if f.secret() {
		return []string{f.name, f.name + "_FILE"}
	}
	return []string{f.name}
}

func (f field) read(v *viper.Viper) *Problem {
	text, problem := f.text(v)
	switch {
	case problem != nil:
		return problem
	case text == "" && f.fallback == "" && f.optional:
		return nil
	case text == "" && f.fallback == "":
		reason := "is missing: " + f.help
		if f.secret() {
			reason += "; set it, or set " + f.name + "_FILE to a file that holds it"
		}
		return &Problem{f.name, reason}
	case text == "":
		text = f.fallback
	}
	if err := f.set(text); err != nil {
		if f.secret() {
			return &Problem{f.name, err.Error()}
		}
		return &Problem{f.name, fmt.Sprintf("is %s: %s", strconv.Quote(text), err)}
	}
	return nil
}

// text is what was set, or "".
func (f field) text(v *viper.Viper) (string, *Problem) {
	text, err := scalar(v.Get(f.name))
	if err != nil {
		return "", &Problem{f.name, err.Error()}
	}
	if !f.secret() {
		return strings.TrimSpace(text), nil
	}
	if _, ok := v.Get(f.name).(string); text != "" && !ok {
		return "", &Problem{f.name, "must stand in quotes: without them it is read as a number or a flag and changed"}
	}
	from := f.name + "_FILE"
	path := v.GetString(from)
	switch {
	case path == "":
		return text, nil
	case text != "":
		return "", &Problem{f.name, "and " + from + " are both set; set one"}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", &Problem{from, "names a file that cannot be read: " + err.Error()}
	}
	if text = strings.TrimRight(string(b), "\r\n"); text == "" {
		return "", &Problem{from, "names a file that is empty: " + path}
	}
	return text, nil
}

// scalar is a value of a file as the environment would hold it.
func scalar(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			part, err := scalar(v[i])
			if err != nil {
				return "", err
			}
			parts[i] = part
		}
		return strings.Join(parts, ","), nil
	case map[string]any:
		return "", fmt.Errorf("must be one value, not a group of them")
	}
	return fmt.Sprint(v), nil
}

func (f field) set(text string) error {
	switch p := f.value.Addr().Interface().(type) {
	case *string:
		*p = text
	case *[]string:
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*p = append(*p, part)
			}
		}
		if len(*p) == 0 {
			return fmt.Errorf("must be one or more, with commas between")
		}
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("must be true or false")
		}
		*p = b
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("must be a whole number%s", f.bounds())
		}
		if low, err := strconv.Atoi(f.min); err == nil && n < low {
			return fmt.Errorf("must be a whole number%s", f.bounds())
		}
		if high, err := strconv.Atoi(f.max); err == nil && n > high {
			return fmt.Errorf("must be a whole number%s", f.bounds())
		}
		*p = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("must be a time such as 250ms, 10s or 5m")
		}
		low, errLow := time.ParseDuration(f.min)
		high, errHigh := time.ParseDuration(f.max)
		if d < 0 || errLow == nil && d < low || errHigh == nil && d > high {
			return fmt.Errorf("must be a time%s", f.bounds())
		}
		*p = d
	case **time.Location:
		zone, err := time.LoadLocation(text)
		if err != nil || text == "Local" {
			return fmt.Errorf("must be a time zone of the IANA database, such as Asia/Singapore or UTC")
		}
		*p = zone
	case encoding.TextUnmarshaler:
		return p.UnmarshalText([]byte(text))
	default:
		panic(fmt.Sprintf("config: %s has type %s, which cannot be set", f.name, f.value.Type()))
	}
	return nil
}

// bounds are words such as " from 1 to 9".
func (f field) bounds() string {
	switch {
	case f.min != "" && f.max != "":
		return " from " + f.min + " to " + f.max
	case f.min != "":
		return " from " + f.min + " on"
	case f.max != "":
		return " up to " + f.max
	case f.value.Type() == reflect.TypeFor[time.Duration]():
		return " from 0 on"
	}
	return ""
}

// check asks groups, the innermost first, whose own settings are right.
func check(v reflect.Value, prefix string, known Problems) []Problem {
	var out []Problem
	s := v.Elem()
	for i := range s.NumField() {
		f := s.Type().Field(i)
		if _, setting := f.Tag.Lookup("env"); !setting && f.IsExported() && s.Field(i).Kind() == reflect.Struct {
			out = append(out, check(s.Field(i).Addr(), prefix+f.Tag.Get("prefix"), known)...)
		}
	}
	c, ok := v.Interface().(Checker)
	if !ok || len(out) > 0 || slices.ContainsFunc(collect(s, prefix), func(f field) bool {
		return slices.ContainsFunc(known, func(p Problem) bool { return slices.Contains(f.names(), p.Name) })
	}) {
		return out
	}
	for _, p := range c.Check() {
		out = append(out, Problem{prefix + p.Name, p.Reason})
	}
	return out
}
