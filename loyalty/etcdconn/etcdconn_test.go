package etcdconn

import (
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/config"
)

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name      string
		s         Settings
		want      string // the beginning of the only problem; "": none
		encrypted bool
	}{
		{"host and port", Settings{Endpoints: []string{"etcd:2379"}}, "", false},
		{"http", Settings{Endpoints: []string{"http://etcd:2379/"}}, "", false},
		{"https", Settings{Endpoints: []string{"https://a:2379", "b:2379"}}, "", true},
		{"files for TLS", Settings{Endpoints: []string{"a:2379"}, TLS: config.TLS{CA: "ca.pem"}}, "", true},
		{"no port", Settings{Endpoints: []string{"etcd"}}, `ETCD_ENDPOINTS has "etcd", which is not host:port`, false},
		{"one without encryption", Settings{Endpoints: []string{"https://a:2379", "http://b:2379"}}, `ETCD_ENDPOINTS has "http://b:2379" without`, true},
		{"a user without a password", Settings{Endpoints: []string{"a:2379"}, Username: "u"}, "ETCD_USERNAME and ETCD_PASSWORD", false},
		{"a password without a user", Settings{Endpoints: []string{"a:2379"}, Password: config.NewSecret("p")}, "ETCD_USERNAME and ETCD_PASSWORD", false},
	} {
		problems := config.Problems(test.s.Check())
		if (test.want == "") != (len(problems) == 0) || len(problems) > 1 || !strings.HasPrefix(problems.Error(), test.want) {
			t.Errorf("%s: %v", test.name, problems)
		}
		if test.s.encrypted() != test.encrypted {
			t.Errorf("%s: encrypted is %t", test.name, test.s.encrypted())
		}
	}
}
