// Command emailer is the lambda that tells cardholders by mail, each night, what they earned.
package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/angelowl-loyalties/app/emailer"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/daemon"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/mail/mailer"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/secrets"
)

//go:generate go test -run ^TestDocs$ -update

const about = "tells cardholders by mail, each night, what they earned. It is a lambda; where mail goes through Amazon SES, its role needs ses:SendEmail."

type settings struct {
	Zone     *time.Location `env:"BANK_TIMEZONE" default:"Asia/Singapore" help:"the bank's time zone, in which its days begin; the same as the rewarders'"`
	Portal   string         `env:"PORTAL_ORIGIN" help:"the portal's origin, https://host, to which links in mails lead"`
	API      string         `env:"API_ORIGIN" help:"the API's origin, https://host, where mail programs unsubscribe with one click"`
	Informer string         `env:"INFORMER_INTERNAL_ENDPOINT" help:"informer's internal API, http://host:port"`
	Rate     int            `env:"SEND_RATE" default:"10" min:"1" max:"10000" help:"most mails a second; not above what the mail system lets the account send"`
	Senders  int            `env:"SENDERS" default:"4" min:"1" max:"100" help:"mails on their way at once, which is how many may arrive twice when the lambda is killed; with SMTP no more than SMTP_CONNECTIONS"`
	Wait     time.Duration  `env:"REWARDS_WAIT" default:"2h" min:"1m" max:"12h" help:"how long after the end of a day its rewards are waited for, before mails go out without those that are missing"`
	Margin   time.Duration  `env:"MARGIN" default:"30s" min:"5s" max:"5m" help:"how long before the lambda's timeout no further mail is begun"`
	Dir      string         `env:"WORK_DIR,optional" help:"a folder to sort rewards in, 500 bytes for each that no mail has told of; default: the machine's for temporary files"`
	Topic    string         `env:"TOPIC" default:"transaction" help:"the topic of transactions"`
	Group    string         `env:"CONSUMER_GROUP" default:"rewarder" help:"the consumer group of all rewarders"`
	Mail     mailer.Settings
	Profile  profile.Settings
	Kafka    kafkaconn.Settings
}

// Check is config.Checker's.
func (s *settings) Check() (out []config.Problem) {
	for _, o := range []struct{ name, value string }{{"PORTAL_ORIGIN", s.Portal}, {"API_ORIGIN", s.API}} {
		if !emailer.Origin(o.value) {
			out = append(out, config.Problem{Name: o.name, Reason: "must be like https://bank.example, without a path"})
		}
	}
	if u, err := url.Parse(s.Informer); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		out = append(out, config.Problem{Name: "INFORMER_INTERNAL_ENDPOINT", Reason: "must be like http://informer:8081, without a user"})
	}
	return out
}

func main() {
	log := daemon.Logger(os.Stderr, "emailer")
	var s settings
	if err := secrets.Fetch(context.Background()); err != nil {
		log.Error("fetching the secrets that the settings name", "error", err)
		os.Exit(1)
	}
	if !daemon.Settings(&s, os.Getenv(config.FileVariable), log) {
		os.Exit(2)
	}
	h, err := handler(context.Background(), &s, log)
	if err != nil {
		log.Error("starting", "error", err)
		os.Exit(1)
	}
	boundMemory()
	lambda.Start(h.Handle)
}

// memory is what the program may use before it collects garbage: plenty for accounts with thousands of
// rewards a day, and it fits the smallest lambda, of 128 MB. How far the heap grows hangs on neither the
// rewards nor the accounts.
const memory = 56 << 20

// boundMemory collects garbage when memory is used up and not before; GOGC and GOMEMLIMIT, where they are
// set, say otherwise.
func boundMemory() {
	if os.Getenv("GOMEMLIMIT") == "" && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(-1)
		debug.SetMemoryLimit(memory)
	}
}

func handler(ctx context.Context, s *settings, log *slog.Logger) (*emailer.Handler, error) {
	sender, err := mailer.Open(ctx, &s.Mail, time.Now)
	if err != nil {
		return nil, err
	}
	client := s.Profile.HTTPClient()
	creds := s.Profile.Credentials("emailer", client, time.Now)
	// A page of a day's rewards takes longer than a question to profiler.
	pages := &http.Client{Timeout: 30 * time.Second}
	return emailer.New(
		emailer.Config{
			Zone: s.Zone, From: s.Mail.From.Address, Portal: s.Portal, API: s.API, Rate: float64(s.Rate), Senders: s.Senders,
			Wait: s.Wait, Margin: s.Margin, Dir: s.Dir,
		},
		emailer.Deps{
			Rewards: &emailer.Informer{Endpoint: s.Informer, Tokens: creds, HTTP: pages},
			Ledger:  profile.New(s.Profile.Internal, creds, client),
			Past:    emailer.Kafka{Brokers: s.Kafka.Brokers, Topic: s.Topic, Group: s.Group, Apply: s.Kafka.Apply}.Past,
			Mail:    sender, Log: log, Clock: time.Now,
		})
}
