// Command pet-rock is the lambda of S3's events for the bank's files of users.
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

	"github.com/aws/aws-lambda-go/events"
	awslambda "github.com/aws/aws-lambda-go/lambda"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/angelowl-loyalties/app/loyalty/config"
	"github.com/angelowl-loyalties/app/loyalty/daemon"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/secrets"
	petrock "github.com/angelowl-loyalties/app/pet-rock"
)

//go:generate go test -run ^TestDocs$ -update

const about = "reads the bank's files of users. It is a lambda: the region and the account's rights are AWS's own (`AWS_REGION` and the role)."

type settings struct {
	Reports    string `env:"REPORT_BUCKET" help:"S3's bucket for reports and refused rows; never the bucket of the uploads"`
	Passworder string `env:"PASSWORDER_FUNCTION" default:"passworder" help:"name or ARN of the lambda that mails first passwords; it is invoked asynchronously for each new user"`
	BatchRows  int    `env:"BATCH_ROWS" default:"1000" min:"1" max:"1000" help:"most rows that profiler gets at a time"`
	Users      string `env:"USER_BUCKET,optional" help:"S3's bucket for files of users, which a schedule's event has swept for files that have no report yet; default: none"`
	// How far a file has been read is noted each so often; see petrock.Config.
	Checkpoint time.Duration `env:"CHECKPOINT_EVERY" default:"10s" min:"10ms" max:"5m" help:"how often it is noted how far a file has been read; when a run is killed, the rows behind its last note are entered again"`
	Profile    profile.Settings
}

func main() {
	log := daemon.Logger(os.Stderr, "pet-rock")
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
	awslambda.Start(func(ctx context.Context, raw json.RawMessage) error {
		var e struct {
			events.S3Event
			Source string `json:"source"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("reading the event: %w", err)
		}
		if e.Source == "aws.events" && s.Users != "" {
			return h.Sweep(ctx, s.Users)
		}
		return h.Handle(ctx, e.S3Event)
	})
}

// memory is what the program may use before it collects garbage: a batch of rows needs some 5 MB.
const memory = 48 << 20

// boundMemory collects garbage when memory is used up and not before, so that how far the heap grows
// does not hang on the file; GOGC and GOMEMLIMIT, where they are set, say otherwise.
func boundMemory() {
	if os.Getenv("GOMEMLIMIT") == "" && os.Getenv("GOGC") == "" {
		debug.SetMemoryLimit(memory)
		debug.SetGCPercent(-1)
	}
}

// batchTime is how long profiler may take for a batch.
const batchTime = time.Minute

func handler(ctx context.Context, s *settings, log *slog.Logger) (*petrock.Handler, error) {
	// S3 must begin to answer in time; how long a file takes is up to the invocation's end.
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = 30 * time.Second })
	aws, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	return petrock.New(petrock.Config{ReportBucket: s.Reports, BatchRows: s.BatchRows, Checkpoint: s.Checkpoint}, petrock.Deps{
		S3:        s3.NewFromConfig(aws),
		Profiler:  s.Profile.Client("pet-rock", s.Profile.PatientHTTPClient(batchTime), time.Now),
		Passwords: petrock.Lambda{Client: lambda.NewFromConfig(aws), Function: s.Passworder},
		Log:       log, Clock: time.Now,
	})
}
