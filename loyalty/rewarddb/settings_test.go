package rewarddb

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/config"
)

func TestSettings(t *testing.T) {
	right := Settings{Hosts: []string{"a", "b:9042"}, Port: 9042, Keyspace: "angelowl", Table: "rewards"}
	for _, test := range []struct {
		name   string
		change func(*Settings)
		want   string // the beginning of the only problem; "": none
	}{
		{"right", func(*Settings) {}, ""},
		{"a host that is none", func(s *Settings) { s.Hosts = []string{"cassandra://a"} }, "DB_CONN_STRING cannot be used"},
		{"a keyspace that is none", func(s *Settings) { s.Keyspace = "AngelOwl" }, "DB_KEYSPACE cannot be used"},
		{"a table that is none", func(s *Settings) { s.Table = "re-wards" }, "DB_TABLE cannot be used"},
		{"a user without a password", func(s *Settings) { s.User = "u" }, "DB_USER cannot be used"},
		{"a password without a user", func(s *Settings) { s.Password = config.NewSecret("p") }, "DB_USER cannot be used"},
		{"a file that is not there", func(s *Settings) { s.TLS, s.CAFile = true, "/nowhere" }, "DB_CA_FILE cannot be read"},
	} {
		s := right
		test.change(&s)
		problems := config.Problems(s.Check())
		if (test.want == "") != (len(problems) == 0) || len(problems) > 1 || !strings.HasPrefix(problems.Error(), test.want) {
			t.Errorf("%s: %v", test.name, problems)
		}
	}
}

func TestMayPass(t *testing.T) {
	err := errors.New("gocql: something")
	if !MayPass(err) || !MayPass(ErrSchema) || MayPass(fmt.Errorf("opening: %w", Refused(err))) || !errors.Is(Refused(err), err) {
		t.Error("what stays is taken for what passes")
	}
}
