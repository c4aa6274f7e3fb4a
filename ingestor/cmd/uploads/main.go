// Command uploads is the lambda behind the presigned and /upload routes. Invoked by a schedule of
// EventBridge, it reconciles the reports of files whose rows have all been dealt with.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/ingestor/cassandra"
	"github.com/angelowl-loyalties/app/ingestor/uploads"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/daemon"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/rewarddb"
	"github.com/angelowl-loyalties/app/loyalty/secrets"
	"github.com/angelowl-loyalties/app/loyalty/token"
)

//go:generate go test -run ^TestDocs$ -update

const about = "gives bank staff URLs for their files and tells them what became of each row. It is a lambda, of the gateway and of a schedule: every minute it reconciles the files whose rows have all been dealt with."

type settings struct {
	Home    loyalty.Currency `env:"HOME_CURRENCY" default:"SGD" help:"the bank's currency, ISO 4217"`
	Topic   string           `env:"TOPIC" default:"transaction" help:"the topic of transactions"`
	Group   string           `env:"CONSUMER_GROUP" default:"rewarder" help:"the rewarders' consumer group"`
	Spend   string           `env:"SPEND_BUCKET" help:"S3's bucket for files of spend"`
	Users   string           `env:"USER_BUCKET" help:"S3's bucket for files of users"`
	Reports string           `env:"REPORT_BUCKET" help:"S3's bucket for reports and refused rows; never one of the uploads'"`
	Portal  string           `env:"PORTAL_ORIGIN,optional" help:"the portal's origin, https://host, whose pages may read answers; default: none"`
	JWKSURL string           `env:"JWKS_URL" help:"where profiler publishes the keys that tokens are verified with: http://profiler:8080/.well-known/jwks.json"`
	Party   token.Party
	Profile profile.Settings
	Kafka   kafkaconn.Settings
	Store   rewarddb.Settings
}

func main() {
	log := daemon.Logger(os.Stderr, "uploads")
	var s settings
	if err := secrets.Fetch(context.Background()); err != nil {
		log.Error("fetching the secrets that the settings name", "error", err)
		os.Exit(1)
	}
	if !daemon.Settings(&s, os.Getenv(config.FileVariable), log) {
		os.Exit(2)
	}
	invoke, err := handler(context.Background(), &s, log)
	if err != nil {
		log.Error("starting", "error", err)
		os.Exit(1)
	}
	lambda.Start(invoke)
}

func handler(ctx context.Context, s *settings, log *slog.Logger) (func(context.Context, json.RawMessage) (any, error), error) {
	aws, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	connect := func() (sarama.Client, error) {
		c := sarama.NewConfig()
		c.Version, c.ClientID = sarama.V3_6_0_0, "angelowl-uploads"
		c.Metadata.AllowAutoTopicCreation = false
		c.Consumer.Return.Errors = true
		s.Kafka.Apply(c)
		return sarama.NewClient(s.Kafka.Brokers, c)
	}
	client, people := s3.NewFromConfig(aws), s.Profile.HTTPClient()
	api, err := uploads.New(
		uploads.Config{SpendBucket: s.Spend, UserBucket: s.Users, ReportBucket: s.Reports, Portal: s.Portal},
		uploads.Deps{
			S3: client, Sessions: s.Profile.Client("uploads", people, time.Now), Log: log, Clock: time.Now,
			Verifier: &token.Verifier{Party: s.Party, Clock: time.Now,
				Keys: token.NewRemote(s.JWKSURL, &http.Client{Timeout: 3 * time.Second, Transport: people.Transport}, time.Now)},
			Committed: func(context.Context) (map[int32]int64, error) {
				k, err := connect()
				if err != nil {
					return nil, err
				}
				defer k.Close()
				return ingestor.Committed(k, s.Group, s.Topic)
			},
		})
	if err != nil {
		return nil, err
	}
	reconcile := func(ctx context.Context) error {
		store, err := cassandra.Open(ctx, s.Store.Config(), log)
		if err != nil {
			return err
		}
		defer store.Close()
		r, err := ingestor.NewReconciler(
			ingestor.ReconcilerConfig{ReportBucket: s.Reports, Topic: s.Topic, Group: s.Group, Home: s.Home},
			ingestor.ReconcilerDeps{S3: client, Connect: connect, Rewards: store, Log: log, Clock: time.Now})
		if err != nil {
			return err
		}
		return r.Sweep(ctx)
	}
	return func(ctx context.Context, raw json.RawMessage) (any, error) {
		var e events.APIGatewayProxyRequest
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, fmt.Errorf("reading the event: %w", err)
		}
		if e.HTTPMethod != "" {
			return api.Handle(ctx, e)
		}
		return nil, reconcile(ctx)
	}, nil
}
