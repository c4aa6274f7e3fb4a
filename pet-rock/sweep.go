package petrock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// quiet is how long a file is left to whoever was told of it: an event takes seconds, and whoever reads
// a file writes a checkpoint every few, unless profiler is long away.
const quiet = 2 * time.Minute

// Sweep reads the files of a bucket that have no report: those whose event was lost, and those that are
// paused. A schedule calls it, so that no file is lost and a long one is read to its end. It leaves alone
// what somebody seems to be reading; should two read one file all the same, each user stands as the file
// says. It stops taking files when the context's time is nearly over.
func (h *Handler) Sweep(ctx context.Context, bucket string) error {
	var errs []error
	pages := s3.NewListObjectsV2Paginator(h.deps.S3, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("listing the uploads: %w", err))...)
		}
		for _, o := range page.Contents {
			if end, ok := ctx.Deadline(); ok && time.Until(end) < h.cfg.Margin {
				return errors.Join(errs...)
			}
			key := aws.ToString(o.Key)
			done, err := h.Done(ctx, bucket, key)
			if err == nil && !done {
				var free bool
				if free, err = h.free(ctx, UploadID(bucket, key), aws.ToTime(o.LastModified)); err == nil && free {
					err = h.enter(ctx, bucket, []string{key})
				}
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("entering the users of s3://%s/%s: %w", bucket, loyalty.StarPANs(key), err))
				if ctx.Err() != nil {
					return errors.Join(errs...)
				}
			}
		}
	}
	return errors.Join(errs...)
}

// free says whether nobody seems to be reading a file.
func (h *Handler) free(ctx context.Context, id string, arrived time.Time) (bool, error) {
	var c Checkpoint
	found, err := h.get(ctx, h.cfg.ReportBucket, upload.CheckpointKey(upload.Users, id), &c)
	now := h.deps.Clock()
	switch {
	case err != nil:
		return false, err
	case found:
		return c.Paused || now.Sub(c.At) >= quiet, nil
	}
	return now.Sub(arrived) >= quiet, nil
}
