// Package kafkaconn is how every program reaches Kafka: its brokers, TLS and SASL, as Amazon MSK
// and others want them. What a program asks of its clients beside that is its own.
package kafkaconn

import (
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"net"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"

	"github.com/angelowl-loyalties/app/loyalty/config"
)

// Settings say where Kafka is and how to sign in.
type Settings struct {
	Brokers  []string      `env:"BROKER_HOST" help:"Kafka's brokers, host:port, several with commas between"`
	TLS      bool          `env:"BROKER_TLS" default:"false" help:"whether connections to Kafka are encrypted"`
	Files    config.TLS    `prefix:"BROKER_"`
	SASL     Mechanism     `env:"BROKER_SASL,optional" help:"how to sign in to Kafka: SCRAM-SHA-512 (Amazon MSK), SCRAM-SHA-256 or PLAIN; default: not at all"`
	Username string        `env:"BROKER_USERNAME,optional" help:"Kafka's user, with BROKER_SASL"`
	Password config.Secret `env:"BROKER_PASSWORD,optional" help:"the user's password"`
}

// Mechanism is a way of SASL.
type Mechanism string

// UnmarshalText is encoding's.
func (m *Mechanism) UnmarshalText(b []byte) error {
	switch *m = Mechanism(b); *m {
	case sarama.SASLTypeSCRAMSHA512, sarama.SASLTypeSCRAMSHA256, sarama.SASLTypePlaintext:
		return nil
	}
	return errors.New("must be SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN")
}

// Check is config.Checker's.
func (s *Settings) Check() []config.Problem {
	var out []config.Problem
	add := func(name, format string, args ...any) {
		out = append(out, config.Problem{Name: name, Reason: fmt.Sprintf(format, args...)})
	}
	for _, b := range s.Brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" {
			add("BROKER_HOST", "has %q, which is not host:port (Amazon MSK: port 9096 with SASL/SCRAM, 9094 with TLS, 9092 with neither)", b)
		}
	}
	if s.Files.Given() && !s.TLS {
		add("BROKER_TLS", "is false, and there are files for TLS; say true, or take BROKER_CA_FILE, BROKER_CERT_FILE and BROKER_KEY_FILE away")
	}
	switch signsIn, named := s.SASL != "", s.Username != "" || s.Password.Reveal() != ""; {
	case named && !signsIn:
		add("BROKER_SASL", "is missing, and there is a user or a password; say how to sign in, such as SCRAM-SHA-512")
	case signsIn && s.Username == "":
		add("BROKER_USERNAME", "is missing; BROKER_SASL needs it")
	case signsIn && s.Password.Reveal() == "":
		add("BROKER_PASSWORD", "is missing; BROKER_SASL needs it, or BROKER_PASSWORD_FILE")
	}
	if s.SASL == sarama.SASLTypePlaintext && !s.TLS {
		add("BROKER_SASL", "is PLAIN, which would send the password readable to all on the way; set BROKER_TLS to true")
	}
	return out
}

// Apply adds to a client's configuration what the network to Kafka needs.
func (s *Settings) Apply(c *sarama.Config) {
	if s.TLS {
		c.Net.TLS.Enable, c.Net.TLS.Config = true, s.Files.Config()
	}
	if s.SASL == "" {
		return
	}
	c.Net.SASL.Enable, c.Net.SASL.Handshake = true, true
	c.Net.SASL.Mechanism = sarama.SASLMechanism(s.SASL)
	c.Net.SASL.User, c.Net.SASL.Password = s.Username, s.Password.Reveal()
	switch s.SASL {
	case sarama.SASLTypeSCRAMSHA512:
		c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &client{hash: sha512.New} }
	case sarama.SASLTypeSCRAMSHA256:
		c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &client{hash: sha256.New} }
	}
}

// client is one conversation of SCRAM (RFC 5802, RFC 7677).
type client struct {
	hash scram.HashGeneratorFcn
	*scram.ClientConversation
}

// Begin is sarama.SCRAMClient's.
func (c *client) Begin(user, password, authzID string) error {
	of, err := c.hash.NewClient(user, password, authzID)
	if err != nil {
		return fmt.Errorf("preparing to sign in to Kafka: %w", err)
	}
	c.ClientConversation = of.NewConversation()
	return nil
}
