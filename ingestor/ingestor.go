// Package ingestor is the lambda that reads the bank's files of card transactions: for each object
// that S3 tells of, it queues the valid rows on Kafka, and writes a report and the rows that it
// refused.
//
// A file is read as a stream, in memory that does not grow with it; the refused rows wait in a
// temporary file. Rows keep the order of the file for each card. PANs are masked on the way. What is
// wrong with a row or a file goes into the report; what is wrong with the system (S3 or Kafka is away)
// fails the invocation, so that it is tried again.
//
// Every few seconds, and before an invocation's time is over, a checkpoint notes how far the file has
// been read, once all before it is acknowledged; the next invocation goes on there. Rows behind it may
// be queued again, and the rewarder knows them for the same.
//
// When every row of a file has been rewarded or set aside, the Reconciler reads back what became of
// each and completes the report.
package ingestor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// Config is what a deployment sets.
type Config struct {
	Topic        string           // "" is record.Topic
	Home         loyalty.Currency // the home currency
	ReportBucket string           // reports and refused rows; never the bucket of the uploads
	// InFlight is the most rows that are on their way to Kafka at a time; 0 is 10,000.
	InFlight int
	// Checkpoint is the time between two notes of how far a file has been read; 0 is 10 s.
	Checkpoint time.Duration
	// Margin is how long before its end an invocation stops reading and makes the last note; 0 is 30 s,
	// and it is never more than a third of the invocation's time.
	Margin time.Duration
}

// Validate says what is missing.
func (c Config) Validate() error {
	var errs []error
	if c.Home == 0 {
		errs = append(errs, errors.New("the home currency is missing"))
	}
	if c.ReportBucket == "" {
		errs = append(errs, errors.New("the bucket of the reports is missing"))
	}
	if c.InFlight < 0 {
		errs = append(errs, errors.New("the rows in flight are below 0"))
	}
	return errors.Join(errs...)
}

// Deps is what the handler works with.
type Deps struct {
	// S3 reads the uploads and writes the reports. It needs s3:ListBucket on both buckets beside
	// s3:GetObject and s3:PutObject: without it S3 says "access denied" of an object that is not
	// there, which fails the invocation for good. Checkpoints go by s3:DeleteObject on the reports'.
	S3 *s3.Client
	// NewProducer connects to Kafka with the settings given, to which it may add what the network
	// needs (TLS, SASL). It is called once a file.
	NewProducer func(*sarama.Config) (sarama.AsyncProducer, error)
	Log         *slog.Logger
	Clock       func() time.Time
	Metrics     *metrics.Embedded // nil: nothing is counted
	// Progress, when it is set, is told how many bytes of a file have been read, each time that
	// some have been. It must not block.
	Progress func(upload string, read, size int64)
}

// Handler handles S3 events. It may be called by several goroutines at once.
type Handler struct {
	cfg  Config
	deps Deps
}

// New returns a handler, or says what the configuration lacks.
func New(cfg Config, deps Deps) (*Handler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring the ingestor: %w", err)
	}
	if deps.S3 == nil || deps.NewProducer == nil {
		return nil, errors.New("configuring the ingestor: S3 or Kafka is missing")
	}
	if cfg.Topic == "" {
		cfg.Topic = record.Topic
	}
	if cfg.InFlight == 0 {
		cfg.InFlight = 10_000
	}
	if cfg.Checkpoint == 0 {
		cfg.Checkpoint = 10 * time.Second
	}
	if cfg.Margin == 0 {
		cfg.Margin = 30 * time.Second
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	return &Handler{cfg: cfg, deps: deps}, nil
}

// Handle reads the files of an event. A file that is bad has a report that says so and is no
// error. An error means that at least one file has no report yet; the others of the event have
// been dealt with, and are known by their reports when the event comes again.
//
// A file whose reading takes longer than the invocation has is no error either: its checkpoint is
// there, and Sweep goes on with it.
//
// An event without records (s3:TestEvent) and records of anything but a new object are ignored.
func (h *Handler) Handle(ctx context.Context, event events.S3Event) error {
	var errs []error
	logger := h.log(ctx)
	for _, r := range event.Records {
		bucket, key := r.S3.Bucket.Name, r.S3.Object.Key
		log := logger.With("bucket", bucket, "key", loyalty.StarPANs(key))
		switch {
		case bucket == "" || key == "" || !strings.HasPrefix(strings.TrimPrefix(r.EventName, "s3:"), "ObjectCreated:"):
			log.Info("the event is not of a new object; it is ignored", "event", r.EventName)
			continue
		case sideCar(key):
			log.Info("the object is the side-car of a file; it is read with it")
			continue
		case bucket == h.cfg.ReportBucket:
			log.Warn("the event is of the reports' own bucket; it is ignored")
			continue
		}
		if err := h.ingest(ctx, bucket, keys(key)); err != nil {
			level := slog.LevelError
			if ctx.Err() != nil {
				level = slog.LevelInfo // it was told to stop
			}
			log.Log(ctx, level, "a file could not be read; it will be tried again", "error", err)
			errs = append(errs, fmt.Errorf("ingesting s3://%s/%s: %w", bucket, loyalty.StarPANs(key), err))
		}
	}
	return errors.Join(errs...)
}

// log names the invocation, as AWS does.
func (h *Handler) log(ctx context.Context) *slog.Logger {
	if l, ok := lambdacontext.FromContext(ctx); ok {
		return h.deps.Log.With("request_id", l.AwsRequestID)
	}
	return h.deps.Log
}

// sideCar says whether an object is no file of its own.
func sideCar(key string) bool { return strings.HasSuffix(key, upload.ControlSuffix) }

// keys are what an event's key may mean: S3 encodes keys like forms, other servers do not.
func keys(encoded string) []string {
	decoded, err := url.QueryUnescape(encoded)
	if err != nil || decoded == encoded {
		return []string{encoded}
	}
	return []string{decoded, encoded}
}

// UploadID is the id of the upload that an object is.
func UploadID(bucket, key string) string { return upload.ID(upload.Spend, bucket, key) }

// ReportKey is the key of an upload's report in the bucket of the reports.
func ReportKey(id string) string { return upload.ReportKey(upload.Spend, id) }

// RefusedKey is the key of an upload's refused rows in the bucket of the reports.
func RefusedKey(id string) string { return upload.RefusedKey(upload.Spend, id) }
