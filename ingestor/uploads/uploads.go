// Package uploads is the lambda behind GET /publish/presigned, GET /user/presigned and /upload: bank
// staff ask for a pre-signed URL to which they PUT a file of spend or of users, and read what became of
// each of its rows.
//
// It keeps nothing: the state of an upload is its objects, as package loyalty/upload says.
package uploads

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/angelowl-loyalties/app/loyalty/profile"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// Config is what a deployment sets.
type Config struct {
	SpendBucket  string // files of spend
	UserBucket   string // files of users
	ReportBucket string // what is said of both
	Portal       string // the portal's origin, whose pages may read answers; "" is none
	// OneGo is the most bytes of a file that goes in one PUT; 0 is 1 GiB.
	OneGo int64
	// PartSize is how many bytes a part of a larger file has; 0 is 128 MiB. S3 takes no parts below 5 MiB,
	// and 10,000 of a file.
	PartSize int64
}

// Validate says what is missing.
func (c Config) Validate() error {
	var errs []error
	for name, bucket := range map[string]string{"files of spend": c.SpendBucket, "files of users": c.UserBucket, "reports": c.ReportBucket} {
		if bucket == "" {
			errs = append(errs, fmt.Errorf("the bucket of the %s is missing", name))
		}
	}
	if c.ReportBucket != "" && (c.ReportBucket == c.SpendBucket || c.ReportBucket == c.UserBucket) {
		errs = append(errs, errors.New("the reports need a bucket of their own"))
	}
	if c.OneGo < 0 || c.OneGo > 5<<30 {
		errs = append(errs, errors.New("one PUT takes up to 5 GiB"))
	}
	if c.PartSize != 0 && (c.PartSize < 5<<20 || c.PartSize > 5<<30) {
		errs = append(errs, errors.New("a part has 5 MiB to 5 GiB"))
	}
	return errors.Join(errs...)
}

// Deps is what the handler works with.
type Deps struct {
	// S3 needs s3:ListBucket and s3:GetObject on all three buckets, s3:PutObject on the reports', and, for
	// whoever uses its URLs, s3:PutObject on the others.
	S3 *s3.Client
	// Public signs the URLs: a client whose endpoint the senders reach. nil: S3.
	Public   *s3.Client
	Verifier *token.Verifier
	// Sessions says whether the caller's session has ended; nil: a token is good until it expires.
	Sessions Sessions
	// Committed says up to where each partition of the topic is dealt with: the next offset to be read.
	// nil: how many of the rows are rewarded is not said before all are.
	// It is asked once for each file that is queued.
	Committed func(ctx context.Context) (map[int32]int64, error)
	Log       *slog.Logger
	Clock     func() time.Time
}

// Sessions looks accounts up. *profile.Client is one.
type Sessions interface {
	Session(ctx context.Context, id string) (profile.Session, error)
}

// Handler answers requests. It may be called by several goroutines at once.
type Handler struct {
	cfg    Config
	deps   Deps
	signer *s3.PresignClient
}

// New returns a handler, or says what is missing.
func New(cfg Config, deps Deps) (*Handler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring uploads: %w", err)
	}
	if deps.S3 == nil || deps.Verifier == nil {
		return nil, errors.New("configuring uploads: S3 or the verifier of tokens is missing")
	}
	cfg.OneGo, cfg.PartSize = cmp.Or(cfg.OneGo, 1<<30), cmp.Or(cfg.PartSize, 128<<20)
	if deps.Public == nil {
		deps.Public = deps.S3
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	// The SDK would sign a checksum of the content, which is not known yet.
	public := s3.New(deps.Public.Options(), func(o *s3.Options) {
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ExpressCredentials = nil // those of the first client would be changed while it uses them
	})
	return &Handler{cfg: cfg, deps: deps, signer: s3.NewPresignClient(public)}, nil
}

func (h *Handler) bucket(k upload.Kind) string {
	if k == upload.Users {
		return h.cfg.UserBucket
	}
	return h.cfg.SpendBucket
}

// AllowPortal lets the pages of an origin PUT to a bucket and read the ETags of parts, which a browser
// asks first (CORS). On AWS, Terraform says the same.
func AllowPortal(ctx context.Context, client *s3.Client, bucket, origin string) error {
	_, err := client.PutBucketCors(ctx, &s3.PutBucketCorsInput{Bucket: &bucket, CORSConfiguration: &types.CORSConfiguration{
		CORSRules: []types.CORSRule{{
			AllowedOrigins: []string{origin}, AllowedMethods: []string{"PUT", "GET", "HEAD"}, AllowedHeaders: []string{"*"},
			ExposeHeaders: []string{"ETag"}, MaxAgeSeconds: aws.Int32(3000),
		}},
	}})
	if err != nil {
		return fmt.Errorf("letting %s into the bucket %s: %w", origin, bucket, err)
	}
	return nil
}
