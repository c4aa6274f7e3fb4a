// Package mailer is how every program that sends mail is told how: through an SMTP server or
// through Amazon SES.
package mailer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	netmail "net/mail"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/mail"
	"github.com/angelowl-loyalties/app/loyalty/mail/ses"
	"github.com/angelowl-loyalties/app/loyalty/mail/smtp"
)

// Settings say who mail is from and which way it goes.
type Settings struct {
	From             From          `env:"MAIL_FROM" help:"whom mail is from, such as Example Bank <rewards@bank.example>"`
	Host             string        `env:"SMTP_HOST,optional" help:"the SMTP server that takes mail; without one SES_REGION is needed"`
	Port             config.Port   `env:"SMTP_PORT" default:"587" help:"its TCP port; 465 with SMTP_TLS tls"`
	TLS              Mode          `env:"SMTP_TLS" default:"starttls" help:"how the connection to it is encrypted: starttls, tls (from the first byte on), or none, for a server on this machine alone"`
	Files            config.TLS    `prefix:"SMTP_"`
	Username         string        `env:"SMTP_USERNAME,optional" help:"its user, where it asks for one"`
	Password         config.Secret `env:"SMTP_PASSWORD,optional" help:"the user's password"`
	Timeout          time.Duration `env:"SMTP_TIMEOUT" default:"30s" min:"1s" max:"10m" help:"how long connecting to it, and each mail, may take"`
	Connections      int           `env:"SMTP_CONNECTIONS" default:"4" min:"1" max:"100" help:"most connections to it at once"`
	Region           string        `env:"SES_REGION,optional" help:"Amazon SES's region, such as ap-southeast-1: mail goes through SES, in place of SMTP_HOST; credentials come from where the AWS SDK looks"`
	ConfigurationSet string        `env:"SES_CONFIGURATION_SET,optional" help:"SES's configuration set, which says where bounces and complaints are told"`
}

// From is a name and an address.
type From struct{ netmail.Address }

// UnmarshalText is encoding's.
func (f *From) UnmarshalText(b []byte) error {
	a, err := netmail.ParseAddress(string(b))
	if err != nil || !mail.Addressable(a.Address) {
		return errors.New("must be an address, or a name and an address: Example Bank <rewards@bank.example>")
	}
	f.Address = *a
	return nil
}

// Mode is smtp's.
type Mode smtp.Mode

// UnmarshalText is encoding's.
func (m *Mode) UnmarshalText(b []byte) error {
	switch *m = Mode(b); smtp.Mode(*m) {
	case smtp.StartTLS, smtp.TLS, smtp.Plain:
		return nil
	}
	return errors.New("must be starttls, tls or none")
}

// Check is config.Checker's.
func (s *Settings) Check() []config.Problem {
	var out []config.Problem
	add := func(name, reason string) { out = append(out, config.Problem{Name: name, Reason: reason}) }
	named, secret := s.Username != "", s.Password.Reveal() != ""
	if s.Host == "" {
		if s.Region == "" {
			add("SMTP_HOST", "is missing: name the SMTP server that takes mail, or set SES_REGION to send through Amazon SES")
		}
		if named || secret || s.Files.Given() {
			add("SMTP_HOST", "is missing, and there is a user, a password or a file for it; name the server, or take them away")
		}
		return out
	}
	if s.Region != "" {
		add("SES_REGION", "and SMTP_HOST are both set; set one")
	}
	if s.ConfigurationSet != "" {
		add("SES_CONFIGURATION_SET", "is set, and mail goes through SMTP_HOST; take one away")
	}
	if smtp.Mode(s.TLS) == smtp.Plain {
		if !smtp.Loopback(s.Host) {
			add("SMTP_TLS", "is none, which would send first passwords readable to all on the way; say starttls or tls")
		}
		if s.Files.Given() {
			add("SMTP_TLS", "is none, and there are files for TLS; say starttls or tls, or take SMTP_CA_FILE, SMTP_CERT_FILE and SMTP_KEY_FILE away")
		}
	}
	switch {
	case named && !secret:
		add("SMTP_PASSWORD", "is missing; SMTP_USERNAME needs it, or SMTP_PASSWORD_FILE")
	case secret && !named:
		add("SMTP_USERNAME", "is missing, and there is a password; say whose it is")
	}
	return out
}

// Sender sends mail until it is closed, after the last Send has returned.
type Sender interface {
	mail.Sender
	io.Closer
}

// Open returns the sender of settings that Check found right. It does not connect yet.
func Open(ctx context.Context, s *Settings, clock func() time.Time) (Sender, error) {
	if s.Host != "" {
		return smtp.New(smtp.Config{
			From: s.From.Address, Host: s.Host, Port: int(s.Port), Mode: smtp.Mode(s.TLS), TLS: s.Files.Config(),
			Username: s.Username, Password: s.Password, Timeout: s.Timeout, Connections: s.Connections, Clock: clock,
		})
	}
	buildable := awshttp.NewBuildableClient()
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(s.Region), awsconfig.WithHTTPClient(buildable),
		awsconfig.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts = attempts })
		}))
	if err != nil {
		return nil, fmt.Errorf("preparing to send mail through Amazon SES: %w", err)
	}
	// A transport of its own, so that Close leaves no connection; AWS_CA_BUNDLE is in it already.
	if b, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		buildable = b
	}
	transport := buildable.GetTransport()
	cfg.HTTPClient = &http.Client{Transport: transport, Timeout: s.Timeout}
	sender, err := ses.New(sesv2.NewFromConfig(cfg), ses.Config{From: s.From.Address, ConfigurationSet: s.ConfigurationSet, Clock: clock})
	if err != nil {
		return nil, err
	}
	return sesSender{sender, transport}, nil
}

// attempts of one mail: SES's rates are per second, and the waits between grow to 20 s.
const attempts = 6

type sesSender struct {
	*ses.Sender
	transport *http.Transport
}

func (s sesSender) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}
