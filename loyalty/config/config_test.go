package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

type engine struct {
	Hosts []string `env:"HOSTS" default:"one:1" help:"where it is"`
	User  string   `env:"USER,optional" help:"who signs in"`
	Pass  Secret   `env:"PASS,optional" help:"the password"`
}

func (e *engine) Check() []Problem {
	if (e.User == "") != (e.Pass.Reveal() == "") {
		return []Problem{{"USER", "and its PASS belong together"}}
	}
	return nil
}

type settings struct {
	Port   Port           `env:"T_PORT" default:"8080" help:"the port"`
	Zone   *time.Location `env:"T_ZONE" default:"Asia/Singapore" help:"the zone"`
	Rows   int            `env:"T_ROWS" default:"5" min:"1" max:"9" help:"rows at once"`
	Wait   time.Duration  `env:"T_WAIT" default:"10s" min:"1s" max:"1m" help:"how long to wait"`
	Strict bool           `env:"T_STRICT" default:"false" help:"whether it is strict"`
	Key    Secret         `env:"T_KEY" help:"the key"`
	Name   string         `env:"T_NAME" help:"the name"`
	Engine engine         `prefix:"T_DB_"`
}

// environment sets what a test says and nothing else that the settings know.
func environment(t *testing.T, kvs ...string) {
	t.Helper()
	for _, f := range fieldsOf(new(settings)) {
		for _, name := range f.names() {
			t.Setenv(name, "")
		}
	}
	for _, kv := range kvs {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatIsSetIsRead(t *testing.T) {
	environment(t, "T_PORT=9000", "T_ZONE=America/Toronto", "T_ROWS=9", "T_WAIT=1m", "T_STRICT=true", "T_KEY= k ", "T_NAME= Ulla ",
		"T_DB_HOSTS=a:1, b:2,", "T_DB_USER=u", "T_DB_PASS=p")
	var s settings
	warnings, err := Read(&s, "")
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	if s.Key.Reveal() != " k " {
		t.Errorf("a secret was changed: %q", s.Key.Reveal())
	}
	if s.Port.Address() != ":9000" || s.Zone.String() != "America/Toronto" || s.Rows != 9 || s.Wait != time.Minute || !s.Strict || s.Name != "Ulla" ||
		!slices.Equal(s.Engine.Hosts, []string{"a:1", "b:2"}) || s.Engine.User != "u" || s.Engine.Pass.Reveal() != "p" {
		t.Errorf("%+v", s)
	}
}

func TestDefaults(t *testing.T) {
	environment(t, "T_KEY=k", "T_NAME=n")
	var s settings
	if _, err := Read(&s, ""); err != nil {
		t.Fatal(err)
	}
	if s.Port != 8080 || s.Zone.String() != "Asia/Singapore" || s.Rows != 5 || s.Wait != 10*time.Second || s.Strict || s.Engine.User != "" || !slices.Equal(s.Engine.Hosts, []string{"one:1"}) {
		t.Errorf("%+v", s)
	}
}

func TestWhatIsWrongNamesItsVariable(t *testing.T) {
	empty, gone := file(t, "empty", "\n"), filepath.Join(t.TempDir(), "gone")
	tests := []struct {
		name string
		set  []string
		want []string // the beginning of each problem
	}{
		{"nothing is set", nil, []string{"T_KEY is missing: the key; set it, or set T_KEY_FILE", "T_NAME is missing: the name"}},
		{"all at once", []string{"T_PORT=x", "T_ROWS=x"}, []string{`T_PORT is "x": must be a port`, `T_ROWS is "x": must be a whole number from 1 to 9`, "T_KEY is missing", "T_NAME is missing"}},
		{"blank is missing", []string{"T_KEY=k", "T_NAME=  "}, []string{"T_NAME is missing"}},
		{"port 0", []string{"T_PORT=0"}, []string{`T_PORT is "0"`}},
		{"port 65536", []string{"T_PORT=65536"}, []string{`T_PORT is "65536"`}},
		{"a port from Kubernetes", []string{"T_PORT=tcp://10.0.0.1:80"}, []string{`T_PORT is "tcp://10.0.0.1:80": must be a port from 1 to 65535; Kubernetes sets`}},
		{"a zone that is none", []string{"T_ZONE=Asia/Singapur"}, []string{`T_ZONE is "Asia/Singapur": must be a time zone`}},
		{"the machine's zone", []string{"T_ZONE=Local"}, []string{`T_ZONE is "Local"`}},
		{"below the least", []string{"T_ROWS=0"}, []string{`T_ROWS is "0"`}},
		{"above the most", []string{"T_ROWS=10"}, []string{`T_ROWS is "10"`}},
		{"a time without a unit", []string{"T_WAIT=10"}, []string{`T_WAIT is "10": must be a time such as`}},
		{"a time too short", []string{"T_WAIT=1ms"}, []string{`T_WAIT is "1ms": must be a time from 1s to 1m`}},
		{"a time below 0", []string{"T_WAIT=-5s"}, []string{`T_WAIT is "-5s"`}},
		{"neither true nor false", []string{"T_STRICT=yes please"}, []string{`T_STRICT is "yes please": must be true or false`}},
		{"an empty list", []string{"T_DB_HOSTS=,"}, []string{`T_DB_HOSTS is ","`}},
		{"a group's own check", []string{"T_DB_USER=u"}, []string{"T_DB_USER and its PASS belong together"}},
		{"a group is not asked about what is wrong already", []string{"T_DB_USER=u", "T_DB_HOSTS=,"}, []string{`T_DB_HOSTS is ","`}},
		{"a secret twice", []string{"T_KEY_FILE=" + empty}, []string{"T_KEY and T_KEY_FILE are both set"}},
		{"a secret's file is not there", []string{"T_KEY=", "T_KEY_FILE=" + gone}, []string{"T_KEY_FILE names a file that cannot be read"}},
		{"a secret's file is empty", []string{"T_KEY=", "T_KEY_FILE=" + empty}, []string{"T_KEY_FILE names a file that is empty"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			set := test.set
			if !strings.Contains(strings.Join(test.want, ""), "T_KEY is missing") && !strings.Contains(strings.Join(test.want, ""), "T_NAME is missing") {
				set = append([]string{"T_KEY=k", "T_NAME=n"}, set...)
			}
			environment(t, set...)
			_, err := Read(new(settings), "")
			var problems Problems
			if !errors.As(err, &problems) || len(problems) != len(test.want) {
				t.Fatalf("%v", err)
			}
			for i, p := range problems {
				if !strings.HasPrefix(p.Error(), test.want[i]) {
					t.Errorf("%s\nwant %s…", p.Error(), test.want[i])
				}
			}
		})
	}
}

func TestFile(t *testing.T) {
	const whole = "T_PORT: 9000\nt_name: Ulla\nT_KEY: \"0123\"\nT_DB_HOSTS: [a:1, b:2]\nT_STRICT: true\nT_ROWS:\n"
	tests := []struct {
		name, file, text string
		want             string // of the error; "": none
	}{
		{"YAML", "s.yaml", whole, ""},
		{"JSON", "s.json", `{"T_PORT": 9000, "T_NAME": "Ulla", "T_KEY": "0123", "T_DB_HOSTS": "a:1,b:2", "T_STRICT": true}`, ""},
		{"TOML", "s.toml", "T_PORT = 9000\nT_NAME = \"Ulla\"\nT_KEY = \"0123\"\nT_DB_HOSTS = [\"a:1\", \"b:2\"]\nT_STRICT = true\n", ""},
		{"an unknown key", "s.yaml", whole + "T_PROT: 1\n", "T_PROT stands in"},
		{"an unknown key, with what may be meant", "s.yaml", whole + "T_STRIKT: 1\n", "is it T_STRICT that is meant?"},
		{"an unknown key with a dot", "s.yaml", whole + "t.strict: 1\n", "T.STRICT stands in"},
		{"a group is no value", "s.yaml", strings.Replace(whole, "T_PORT: 9000", "T_PORT: {a: 1}", 1), "T_PORT must be one value"},
		{"a number is no secret", "s.yaml", strings.Replace(whole, `"0123"`, "0123", 1), "T_KEY must stand in quotes"},
		{"a key twice", "s.yaml", whole + "T_PORT: 1\n", "not well-formed near line"},
		{"not well-formed", "s.yaml", "T_KEY: 'hush\nT_NAME: x\n", "not well-formed"},
		{"another kind of file", "s.ini", whole, "must end with .yaml"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			environment(t)
			var s settings
			_, err := Read(&s, file(t, test.file, test.text))
			switch {
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hush")):
				t.Errorf("error: %v", err)
			case test.want == "" && (err != nil || s.Port != 9000 || s.Name != "Ulla" || s.Key.Reveal() != "0123" || !s.Strict || s.Rows != 5 || !slices.Equal(s.Engine.Hosts, []string{"a:1", "b:2"})):
				t.Errorf("%+v %v", s, err)
			}
		})
	}
	t.Run("the environment wins", func(t *testing.T) {
		environment(t, "T_PORT=9001")
		var s settings
		if _, err := Read(&s, file(t, "s.yaml", whole)); err != nil || s.Port != 9001 {
			t.Errorf("%d %v", s.Port, err)
		}
	})
	t.Run("a file that is not there", func(t *testing.T) {
		environment(t, "T_KEY=k", "T_NAME=n")
		if _, err := Read(new(settings), "/nowhere.yaml"); err == nil || !strings.HasPrefix(err.Error(), "CONFIG_FILE names /nowhere.yaml, which cannot be read") {
			t.Error(err)
		}
	})
}

func TestASecretMayComeFromAFile(t *testing.T) {
	environment(t, "T_NAME=n", "T_KEY_FILE="+file(t, "key", "hush \r\n"))
	var s settings
	if _, err := Read(&s, ""); err != nil || s.Key.Reveal() != "hush " {
		t.Errorf("%q %v", s.Key.Reveal(), err)
	}
}

func TestASecretIsNeverShown(t *testing.T) {
	s := struct {
		Key    Secret
		hidden Secret
	}{NewSecret("hush"), NewSecret("hush")}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("", "key", s.Key, "all", s)
	slog.New(slog.NewTextHandler(&log, nil)).Info("", "key", s.Key, "all", s)
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		log.WriteString(fmt.Sprintf(verb, s) + fmt.Sprintf(verb, s.Key) + fmt.Sprintf(verb, &s))
	}
	log.Write(b)
	for _, shown := range []string{"hush", fmt.Sprintf("%x", "hush")} {
		if strings.Contains(log.String(), shown) {
			t.Errorf("shown as %s: %s", shown, &log)
		}
	}
	environment(t, "T_NAME=n", "T_KEY=hush", "T_PORT=x", "T_DB_PASS=hush")
	if _, err := Read(new(settings), ""); err == nil || strings.Contains(err.Error(), "hush") {
		t.Error(err)
	}
}

func TestSlipsAreWarnedOf(t *testing.T) {
	known := []string{"DB_PASS", "DB_PASS_FILE", "BROKER_HOST", "TOPIC", "PORT", "ETCD_ENDPOINTS", "CONFIG_FILE"}
	for _, name := range []string{"DB_PASSS", "DB_PAS", "DB_PSAS", "BD_PASS", "DBPASS", "DB-PASS", "BROKER_HOSTS", "TOPICS", "ETCD_ENDPOINT", "db_pass", "CONFG_FILE"} {
		if w := misspelt([]string{name + "=1"}, known); len(w) != 1 || !strings.Contains(w[0], name) {
			t.Errorf("%s: %q", name, w)
		}
	}
	for _, name := range []string{"DB_PASS", "PORTS", "SORT", "POST", "PATH", "HOME", "HOSTNAME", "PWD", "SHLVL", "TERM", "LANG", "LC_ALL", "TZ", "USER", "GOPATH",
		"KUBERNETES_SERVICE_HOST", "KUBERNETES_PORT_443_TCP_ADDR", "PROFILER_SERVICE_PORT", "DB_PORT", "DB_HOST", "DB_NAME", "BROKER_PORT", "AWS_REGION", "EDITOR", "TOMIK", "ETCD_DATA_DIR"} {
		if w := misspelt([]string{name + "=1"}, known); len(w) > 0 {
			t.Errorf("noise: %q", w)
		}
	}
}

func TestTLS(t *testing.T) {
	broken := file(t, "broken.pem", "no certificate")
	for _, test := range []struct {
		name string
		tls  TLS
		want string
	}{
		{"nothing", TLS{}, ""},
		{"a certificate without its key", TLS{Cert: broken}, "CERT_FILE and KEY_FILE belong together"},
		{"files that hold no certificate", TLS{Cert: broken, Key: broken}, "CERT_FILE and KEY_FILE cannot be used"},
		{"no authorities in the file", TLS{CA: broken}, "CA_FILE names"},
		{"a file that is not there", TLS{CA: "/nowhere"}, "CA_FILE cannot be read"},
	} {
		problems := Problems(test.tls.Check())
		if (len(problems) == 0) != (test.want == "") || !strings.HasPrefix(problems.Error(), test.want) {
			t.Errorf("%s: %v", test.name, problems)
		}
		if test.tls.Given() == reflect.DeepEqual(test.tls, TLS{}) {
			t.Errorf("%s: given is %t", test.name, test.tls.Given())
		}
	}
}

func TestHelp(t *testing.T) {
	var b bytes.Buffer
	if err := Help(&b, new(settings)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"  T_ROWS      rows at once (default 5)\n", "T_KEY_FILE", "(needed)", "  T_DB_USER   who signs in (optional)\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	for _, want := range []string{"| `T_NAME` | **needed** | the name |\n", "| `T_DB_USER` | none |", "| `T_WAIT` | `10s` |"} {
		if table := Table(new(settings)); !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
}
