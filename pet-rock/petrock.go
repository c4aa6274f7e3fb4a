// Package petrock is the lambda that reads the bank's files of users: for each object that S3 tells of,
// it has profiler enter the cardholders and their cards, asks for a first password for each new one,
// and writes a report and the rows that were refused.
//
// A file is read once, as a stream, in memory that does not grow with it: a batch of rows is sent and
// answered before the next is read, and the refused rows wait in a temporary file. A bad row is refused
// alone. What is wrong with a row or a file goes into the report; what is wrong with the system (S3,
// profiler or the lambda passworder is away) is tried again for as long as the invocation has time, and
// then fails it, so that it is tried again.
//
// Every few seconds, and before an invocation's time is over, a checkpoint notes how far the file has
// been read, once all before it is entered; the next invocation goes on there. Rows behind it may be
// entered again, and nothing is done a second time: profiler makes rows stand as given, and knows who
// has not got a password yet.
package petrock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// Config is what a deployment sets.
type Config struct {
	ReportBucket string // reports and refused rows; never the bucket of the uploads
	// BatchRows is the most rows that profiler gets at a time; 0 is profile.MaxUserRows.
	BatchRows int
	// Checkpoint is the time between two notes of how far a file has been read; 0 is 10 s.
	Checkpoint time.Duration
	// Margin is how long before its end an invocation stops reading and makes the last note; 0 is 30 s,
	// and it is never more than a third of the invocation's time.
	Margin time.Duration
}

// Profiler enters users; a *profile.Client is one.
type Profiler interface {
	PutUsers(ctx context.Context, source string, rows []profile.UserRow) (profile.UserOutcomes, error)
}

// Passwords asks for first passwords.
type Passwords interface {
	// Ask has the account's first password mailed later on. When it returns nil, that is in hands that
	// lose nothing; after an error it may be. The same account may be asked for again: it gets one
	// password. It may be called by several goroutines at once, and blocks while too many wait.
	Ask(ctx context.Context, user uuid.UUID) error
}

// Deps is what the handler works with.
type Deps struct {
	// S3 reads the uploads and writes the reports. It needs s3:ListBucket on both buckets beside
	// s3:GetObject and s3:PutObject, as the ingestor's, and s3:DeleteObject on the reports'.
	S3        *s3.Client
	Profiler  Profiler
	Passwords Passwords
	Log       *slog.Logger
	Clock     func() time.Time
	// Pause waits between tries, or until ctx ends; nil: by the wall clock.
	Pause func(ctx context.Context, d time.Duration)
}

// Handler handles S3 events. It may be called by several goroutines at once.
type Handler struct {
	cfg  Config
	deps Deps
}

// New returns a handler, or says what is missing.
func New(cfg Config, deps Deps) (*Handler, error) {
	if cfg.ReportBucket == "" {
		return nil, errors.New("configuring pet-rock: the bucket of the reports is missing")
	}
	if cfg.BatchRows < 0 || cfg.BatchRows > profile.MaxUserRows {
		return nil, fmt.Errorf("configuring pet-rock: a batch has 1 to %d rows", profile.MaxUserRows)
	}
	if deps.S3 == nil || deps.Profiler == nil || deps.Passwords == nil {
		return nil, errors.New("configuring pet-rock: S3, profiler or passworder is missing")
	}
	if cfg.BatchRows == 0 {
		cfg.BatchRows = profile.MaxUserRows
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
	if deps.Pause == nil {
		deps.Pause = pause
	}
	return &Handler{cfg: cfg, deps: deps}, nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Handle reads the files of an event. A file that is bad has a report that says so and is no error. An
// error means that at least one file has no report yet; the others of the event have been dealt with,
// and are known by their reports when the event comes again. (S3 calls asynchronously: there is no
// answer in parts.)
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
		case bucket == h.cfg.ReportBucket:
			log.Warn("the event is of the reports' own bucket; it is ignored")
			continue
		case noFile(key):
			log.Info("the object is the side-car of a file; it is read with it")
			continue
		}
		if err := h.enter(ctx, bucket, keys(key)); err != nil {
			level := slog.LevelError
			if ctx.Err() != nil {
				level = slog.LevelInfo // it was told to stop
			}
			log.Log(ctx, level, "a file could not be read; it will be tried again", "error", err)
			errs = append(errs, fmt.Errorf("entering the users of s3://%s/%s: %w", bucket, loyalty.StarPANs(key), err))
		}
	}
	return errors.Join(errs...)
}

// noFile says whether an object is no file of users.
func noFile(key string) bool {
	return strings.HasSuffix(key, upload.ControlSuffix) || strings.HasSuffix(key, "/")
}

// Done says whether an object needs no more reading: it has its report, or is no file of its own.
func (h *Handler) Done(ctx context.Context, bucket, key string) (bool, error) {
	if noFile(key) {
		return true, nil
	}
	return h.get(ctx, h.cfg.ReportBucket, upload.ReportKey(upload.Users, UploadID(bucket, key)), &struct{}{})
}

// UploadID is the id of the upload that an object is.
func UploadID(bucket, key string) string { return upload.ID(upload.Users, bucket, key) }

// log names the invocation, as AWS does.
func (h *Handler) log(ctx context.Context) *slog.Logger {
	if l, ok := lambdacontext.FromContext(ctx); ok {
		return h.deps.Log.With("request_id", l.AwsRequestID)
	}
	return h.deps.Log
}

// keys are what an event's key may mean: S3 encodes keys like forms, other servers do not.
func keys(encoded string) []string {
	decoded, err := url.QueryUnescape(encoded)
	if err != nil || decoded == encoded {
		return []string{encoded}
	}
	return []string{decoded, encoded}
}
