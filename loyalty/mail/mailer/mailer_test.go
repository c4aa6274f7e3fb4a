package mailer

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
		{"SMTP", Settings{Host: "smtp.bank.example", TLS: "starttls", Username: "u", Password: pass}, ""},
		{"SMTP without signing in", Settings{Host: "smtp.bank.example", TLS: "tls"}, ""},
		{"the mailbox", Settings{Host: "127.0.0.1", TLS: "none"}, ""},
		{"SES", Settings{Region: "ap-southeast-1", TLS: "starttls", ConfigurationSet: "mail"}, ""},
		{"neither", Settings{}, "SMTP_HOST is missing: name the SMTP server"},
		{"both", Settings{Host: "smtp.bank.example", Region: "ap-southeast-1"}, "SES_REGION and SMTP_HOST are both set"},
		{"SES's set with SMTP", Settings{Host: "smtp.bank.example", ConfigurationSet: "x"}, "SES_CONFIGURATION_SET is set"},
		{"a password readable on the way", Settings{Host: "smtp.bank.example", TLS: "none"}, "SMTP_TLS is none"},
		{"files without TLS", Settings{Host: "localhost", TLS: "none", Files: config.TLS{CA: "ca.pem"}}, "SMTP_TLS is none, and there are files"},
		{"a user without a password", Settings{Host: "smtp.bank.example", Username: "u"}, "SMTP_PASSWORD is missing"},
		{"a password without a user", Settings{Host: "smtp.bank.example", Password: pass}, "SMTP_USERNAME is missing"},
		{"a user without a server", Settings{Region: "ap-southeast-1", Username: "u", Password: pass}, "SMTP_HOST is missing, and there is a user"},
	} {
		problems := config.Problems(test.s.Check())
		if (test.want == "") != (len(problems) == 0) || len(problems) > 1 || !strings.HasPrefix(problems.Error(), test.want) {
			t.Errorf("%s: %v", test.name, problems)
		}
	}
	for text, ok := range map[string]bool{
		"a@bank.example": true, "Example Bank <a@bank.example>": true, `"Bank, the" <a@bank.example>`: true,
		"": false, "Bank": false, "a@b\r\nBcc: c@d": false, "a@bank.example, b@bank.example": false, `"a b"@bank.example`: false,
	} {
		if err := new(From).UnmarshalText([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
