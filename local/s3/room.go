package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/angelowl-loyalties/app/local/disk"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// codeFull is the code of the answer to an object that does not fit on the disk.
const codeFull = "InsufficientStorage"

// IsFull says whether the server has refused an object since its disk is full.
func IsFull(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == codeFull
}

// backend refuses uploads that do not fit on the disk, before it is full to the last byte and in
// words for whoever sends them. What the system itself writes, the reports, has the room that is kept.
type backend struct {
	*posix.Posix
	cfg Config
}

func (b backend) PutObject(ctx context.Context, in s3response.PutObjectInput) (out s3response.PutObjectOutput, err error) {
	var size int64
	if in.ContentLength != nil {
		size = *in.ContentLength
	}
	err = b.room(in.Bucket, size)
	if err == nil {
		out, err = b.Posix.PutObject(ctx, in)
	} else if in.Body != nil {
		_, _ = io.Copy(io.Discard, in.Body) // a sender that cannot send does not read the answer
	}
	return out, b.plain(err, size)
}

func (b backend) UploadPart(ctx context.Context, in *awss3.UploadPartInput) (out *awss3.UploadPartOutput, err error) {
	var size int64
	if in.ContentLength != nil {
		size = *in.ContentLength
	}
	err = b.room(in.Bucket, size)
	if err == nil {
		out, err = b.Posix.UploadPart(ctx, in)
	} else if in.Body != nil {
		_, _ = io.Copy(io.Discard, in.Body)
	}
	return out, b.plain(err, size)
}

// room says whether there is room for an upload.
func (b backend) room(bucket *string, size int64) error {
	upload := func(n Notification) bool { return bucket != nil && n.Bucket == *bucket }
	if !slices.ContainsFunc(b.cfg.Notify, upload) {
		return nil
	}
	return b.cfg.Disk.Fits(size)
}

// plain says of a full disk what it means: nothing of the object was kept.
func (b backend) plain(err error, size int64) error {
	full := (*disk.FullError)(nil)
	var api s3err.S3Error
	switch {
	case errors.As(err, &full):
	case errors.As(err, &api) && api.BaseError().Code == codeFull:
		// It went in as far as there was room, and is gone again.
		if !errors.As(b.cfg.Disk.Look(), &full) {
			return s3err.APIError{Code: codeFull, HTTPStatusCode: http.StatusInsufficientStorage,
				Description: "The disk is full. Nothing of this file was kept. Free space on the disk, then send it again."}
		}
	default:
		return err
	}
	return s3err.APIError{Code: codeFull, HTTPStatusCode: http.StatusInsufficientStorage,
		Description: "The disk with the data folder is full: " + disk.Bytes(full.Free) + " are free, and " + disk.Bytes(full.Keep) +
			" must stay free beside the " + disk.Bytes(size) + " of this file. Nothing of it was kept. Free space on the disk, then send it again."}
}
