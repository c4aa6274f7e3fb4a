// Command publish-single is the lambda behind POST /publish: one transaction from a merchant or the bank.
package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	publish "github.com/angelowl-loyalties/app/publish-single"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/daemon"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/secrets"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/tracing"
)

//go:generate go test -run ^TestDocs$ -update

const about = "takes single transactions from merchants and the bank. It is a lambda; it needs no rights in AWS."

type settings struct {
	Home    loyalty.Currency `env:"HOME_CURRENCY" default:"SGD" help:"the bank's currency, ISO 4217"`
	Topic   string           `env:"TOPIC" default:"transaction" help:"the topic of transactions"`
	Limits  bool             `env:"REQUIRE_MERCHANT_LIMITS" default:"false" help:"whether merchants whose account has no limits are refused"`
	Portal  string           `env:"PORTAL_ORIGIN,optional" help:"the portal's origin, https://host, whose pages may read answers; default: none"`
	Wait    time.Duration    `env:"PUBLISH_TIMEOUT" default:"10s" min:"1s" max:"25s" help:"how long a request may take before it is answered 503; the lambda's own timeout must be longer"`
	JWKSURL string           `env:"JWKS_URL" help:"where profiler publishes the keys that tokens are verified with: http://profiler:8080/.well-known/jwks.json"`
	Party   token.Party
	Profile profile.Settings
	Kafka   kafkaconn.Settings
	Tracing tracing.Settings
}

// Check is config.Checker's.
func (s *settings) Check() []config.Problem {
	if u, err := url.Parse(s.JWKSURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return []config.Problem{{Name: "JWKS_URL", Reason: "must be like http://profiler:8080/.well-known/jwks.json"}}
	}
	if u, err := url.Parse(s.Portal); err != nil || s.Portal != "" && s.Portal != u.Scheme+"://"+u.Host {
		return []config.Problem{{Name: "PORTAL_ORIGIN", Reason: "must be like https://portal.example.com, without a path"}}
	}
	return nil
}

func main() {
	log := daemon.Logger(os.Stderr, "publish-single")
	var s settings
	if err := secrets.Fetch(context.Background()); err != nil {
		log.Error("fetching the secrets that the settings name", "error", err)
		os.Exit(1)
	}
	if !daemon.Settings(&s, os.Getenv(config.FileVariable), log) {
		os.Exit(2)
	}
	h, traces, err := handler(&s, log)
	if err != nil {
		log.Error("starting", "error", err)
		os.Exit(1)
	}
	lambda.Start(func(ctx context.Context, event events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		answer, err := h.Handle(ctx, event)
		// It may be frozen from here on. What cannot be sent soon is left out.
		soon, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		if err := traces.Flush(soon); err != nil {
			log.Warn("traces could not be sent", "error", err)
		}
		return answer, err
	})
}

func handler(s *settings, log *slog.Logger) (*publish.Handler, *tracing.Provider, error) {
	traces, err := s.Tracing.Open(context.Background(), "publish-single")
	if err != nil {
		return nil, nil, err
	}
	client := s.Profile.HTTPClient()
	// Keys are read by the way; a request must not wait for long where they are known.
	keys := &http.Client{Timeout: 3 * time.Second, Transport: client.Transport}
	h, err := publish.New(
		publish.Config{Topic: s.Topic, Home: s.Home, RequireLimits: s.Limits, Portal: s.Portal, Wait: s.Wait},
		publish.Deps{
			Verifier: &token.Verifier{Party: s.Party, Keys: token.NewRemote(s.JWKSURL, keys, time.Now), Clock: time.Now},
			Profile:  s.Profile.Client("publish-single", client, time.Now),
			NewProducer: func(c *sarama.Config) (sarama.SyncProducer, error) {
				s.Kafka.Apply(c)
				return sarama.NewSyncProducer(s.Kafka.Brokers, c)
			},
			Log: log, Clock: time.Now, Traces: traces, Metrics: metrics.NewEmbedded(os.Stdout, "publish-single", time.Now),
		})
	return h, traces, err
}
