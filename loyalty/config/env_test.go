package config

import (
	"strings"
	"testing"
)

func TestEnv(t *testing.T) {
	type settings struct {
		Port Port     `env:"PORT" default:"8080" help:"TCP port"`
		Host string   `env:"HOST" help:"a host"`
		Note string   `env:"NOTE,optional" help:"a note"`
		Pass Secret   `env:"PASS" help:"a password"`
		List []string `env:"LIST,optional" help:"a list"`
	}
	for _, tt := range []struct {
		name   string
		values map[string]string
		want   string // is in the file
		wrong  string
	}{
		{"what is set stands as it is", map[string]string{"HOST": "owl", "PASS_FILE": "/run/pass"}, "\n# a host (needed)\nHOST=owl\n", ""},
		{"what is not set is a comment with its default", map[string]string{"HOST": "owl", "PASS_FILE": "/run/pass"}, "\n# TCP port (default 8080)\n#PORT=8080\n", ""},
		{"a secret is a file", map[string]string{"HOST": "owl", "PASS_FILE": "/run/pass"}, "\nPASS_FILE=/run/pass\n", ""},
		{"a secret that is an address without a password may stand", map[string]string{"HOST": "owl", "PASS": "db://owl/x"}, "\nPASS=db://owl/x\n", ""},
		{"no secret may stand", map[string]string{"HOST": "owl", "PASS": "hoo"}, "", "PASS is a secret; say PASS_FILE"},
		{"nor one in an address", map[string]string{"HOST": "owl", "PASS": "db://me:hoo@owl/x"}, "", "PASS is a secret; say PASS_FILE"},
		{"what is needed may not be missing", map[string]string{"PASS_FILE": "/run/pass"}, "", "HOST is needed"},
		{"what is no setting may not stand", map[string]string{"HOST": "owl", "PASS_FILE": "/run/pass", "HOTS": "owl"}, "", "HOTS is no setting"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Env(new(settings), tt.values)
			switch {
			case tt.wrong == "" && (err != nil || !strings.Contains(got, tt.want)):
				t.Errorf("%v\n%s", err, got)
			case tt.wrong != "" && (err == nil || err.Error() != tt.wrong):
				t.Errorf("%v, not %s", err, tt.wrong)
			}
		})
	}
}
