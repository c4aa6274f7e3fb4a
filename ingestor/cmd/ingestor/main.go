// Command ingestor is the lambda of S3's events for the bank's files of card transactions.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/loyalty"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	h, err := handler(context.Background(), log)
	if err != nil {
		log.Error("starting", "error", err)
		os.Exit(1)
	}
	lambda.Start(h.Handle)
}

// handler reads the environment: BROKER_HOST (host:port, several with commas between), TOPIC,
// HOME_CURRENCY, REPORT_BUCKET, and what the AWS SDK reads.
func handler(ctx context.Context, log *slog.Logger) (*ingestor.Handler, error) {
	home, ok := loyalty.ParseCurrency(env("HOME_CURRENCY", "SGD"))
	if !ok {
		return nil, fmt.Errorf("HOME_CURRENCY: %q is not a currency", os.Getenv("HOME_CURRENCY"))
	}
	brokers := os.Getenv("BROKER_HOST")
	if brokers == "" {
		return nil, fmt.Errorf("BROKER_HOST is missing")
	}
	awsConfig, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	return ingestor.New(
		ingestor.Config{Topic: os.Getenv("TOPIC"), Home: home, ReportBucket: os.Getenv("REPORT_BUCKET")},
		ingestor.Deps{
			S3: s3.NewFromConfig(awsConfig),
			NewProducer: func(c *sarama.Config) (sarama.AsyncProducer, error) {
				return sarama.NewAsyncProducer(strings.Split(brokers, ","), c)
			},
			Log: log, Clock: time.Now,
		})
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
