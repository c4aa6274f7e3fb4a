package kafkaconn

import (
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/config"
)

func TestCheck(t *testing.T) {
	pass := config.NewSecret("hush")
	for _, test := range []struct {
		name string
		s    Settings
		want string // the beginning of the only problem; "": none
	}{
		{"plain", Settings{Brokers: []string{"kafka:9092", "[::1]:9092"}}, ""},
		{"MSK", Settings{Brokers: []string{"b-1.msk:9096"}, TLS: true, SASL: "SCRAM-SHA-512", Username: "u", Password: pass}, ""},
		{"no port", Settings{Brokers: []string{"kafka"}}, `BROKER_HOST has "kafka"`},
		{"no host", Settings{Brokers: []string{":9092"}}, `BROKER_HOST has ":9092"`},
		{"a scheme", Settings{Brokers: []string{"kafka://kafka:9092"}}, "BROKER_HOST has"},
		{"files without TLS", Settings{Files: config.TLS{CA: "ca.pem"}}, "BROKER_TLS is false"},
		{"a user without a mechanism", Settings{Username: "u", Password: pass}, "BROKER_SASL is missing"},
		{"a mechanism without a user", Settings{SASL: "SCRAM-SHA-512", Password: pass}, "BROKER_USERNAME is missing"},
		{"a mechanism without a password", Settings{SASL: "SCRAM-SHA-512", Username: "u"}, "BROKER_PASSWORD is missing"},
		{"a password in the clear", Settings{SASL: "PLAIN", Username: "u", Password: pass}, "BROKER_SASL is PLAIN"},
	} {
		problems := config.Problems(test.s.Check())
		if (test.want == "") != (len(problems) == 0) || len(problems) > 1 || !strings.HasPrefix(problems.Error(), test.want) {
			t.Errorf("%s: %v", test.name, problems)
		}
	}
	var m Mechanism
	for text, ok := range map[string]bool{"SCRAM-SHA-512": true, "SCRAM-SHA-256": true, "PLAIN": true, "scram-sha-512": false, "GSSAPI": false} {
		if err := m.UnmarshalText([]byte(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
