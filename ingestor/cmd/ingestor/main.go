// Command ingestor is the lambda of S3's events for the bank's files of card transactions.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/angelowl-loyalties/app/ingestor"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/daemon"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/secrets"
)

//go:generate go test -run ^TestDocs$ -update

const about = "reads the bank's files of card transactions. It is a lambda: the region and the account's rights are AWS's own (`AWS_REGION` and the role)."

type settings struct {
	Home    loyalty.Currency `env:"HOME_CURRENCY" default:"SGD" help:"the bank's currency, ISO 4217"`
	Topic   string           `env:"TOPIC" default:"transaction" help:"the topic of transactions"`
	Reports string           `env:"REPORT_BUCKET" help:"S3's bucket for reports and refused rows; never the bucket of the uploads"`
	Spend   string           `env:"SPEND_BUCKET,optional" help:"S3's bucket for files of spend, which a schedule's event has swept for files that have no report yet; default: none"`
	// How far a file has been read is noted each so often; see ingestor.Config.
	Checkpoint time.Duration `env:"CHECKPOINT_EVERY" default:"10s" min:"10ms" max:"5m" help:"how often it is noted how far a file has been read; when a run is killed, the rows behind its last note are queued again"`
	Kafka      kafkaconn.Settings
}

func main() {
	log := daemon.Logger(os.Stderr, "ingestor")
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
	lambda.Start(func(ctx context.Context, raw json.RawMessage) error {
		var e struct {
			events.S3Event
			Source string `json:"source"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("reading the event: %w", err)
		}
		if e.Source == "aws.events" && s.Spend != "" {
			return h.Sweep(ctx, s.Spend)
		}
		return h.Handle(ctx, e.S3Event)
	})
}

// memory is what the program may use before it collects garbage. A file's rows live for a moment
// and 10,000 of them need some 10 MB, so this is plenty and fits the smallest lambda, of 128 MB;
// and how far the heap grows hangs on neither the file nor the broker's speed.
const memory = 48 << 20

// boundMemory collects garbage when memory is used up and not before; GOGC and GOMEMLIMIT, where
// they are set, say otherwise.
func boundMemory() {
	if os.Getenv("GOMEMLIMIT") == "" && os.Getenv("GOGC") == "" {
		debug.SetMemoryLimit(memory)
		debug.SetGCPercent(-1)
	}
}

func handler(ctx context.Context, s *settings, log *slog.Logger) (*ingestor.Handler, error) {
	// S3 must begin to answer in time; how long a file takes is up to the invocation's end.
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = 30 * time.Second })
	aws, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	return ingestor.New(
		ingestor.Config{Topic: s.Topic, Home: s.Home, ReportBucket: s.Reports, Checkpoint: s.Checkpoint},
		ingestor.Deps{
			S3: s3.NewFromConfig(aws),
			NewProducer: func(c *sarama.Config) (sarama.AsyncProducer, error) {
				s.Kafka.Apply(c)
				return sarama.NewAsyncProducer(s.Kafka.Brokers, c)
			},
			Log: log, Clock: time.Now, Metrics: metrics.NewEmbedded(os.Stdout, "ingestor", time.Now),
		})
}
