package petrock

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/spendcsv"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// enter reads one file. Its key is the first of keys that is there.
func (h *Handler) enter(ctx context.Context, bucket string, keys []string) error {
	report := &upload.Report{Kind: upload.Users, Bucket: bucket, StartedAt: h.deps.Clock().UTC(), Warnings: []string{}}
	object, key, err := h.open(ctx, report, keys)
	if err != nil {
		return err
	}
	defer func() { _ = object.Close() }()
	log := h.log(ctx).With("upload", report.Upload)
	request, err := h.about(ctx, report)
	if err != nil {
		return err
	}
	if key == "" {
		newTally().fill(report)
		report.State, report.Code, report.Error = upload.Failed, "file_is_gone", "the file was deleted before it was read; send it again"
		return h.writeReport(ctx, report)
	}
	var before upload.Report
	switch found, err := h.get(ctx, h.cfg.ReportBucket, upload.ReportKey(upload.Users, report.Upload), &before); {
	case err != nil:
		return err
	case found && before.Bucket == report.Bucket && before.Key == report.Key && before.ETag == report.ETag:
		log.Info("the file has its report already; the event came twice")
		return nil
	}
	p := &pass{h: h, log: log, report: report, key: key, counts: newTally(), body: &source{in: object, sum: sha256.New()}}
	if err := p.resume(ctx); err != nil {
		return err
	}
	defer func() { _ = p.body.in.Close() }()
	err = p.read(ctx)
	var bad *spendcsv.FileError
	switch {
	case err == nil:
		report.State, report.SHA256 = upload.Reconciled, hex.EncodeToString(p.body.sum.Sum(nil))
	case errors.Is(err, errPaused):
		log.Info("the time is over and the file is not; the next invocation goes on", "bytes", p.note.Read, "of", report.Size)
		return nil
	case p.body.err != nil && !errors.Is(p.body.err, io.EOF):
		return fmt.Errorf("reading the object: %w", p.body.err)
	case errors.As(err, &bad):
		report.State, report.Code, report.Error = upload.Failed, bad.Code, bad.Reason
	default:
		return err
	}
	p.counts.fill(report)
	if err := h.remark(ctx, report, key, request); err != nil {
		return err
	}
	if err := h.writeReport(ctx, report); err != nil {
		return err
	}
	p.forget(ctx)
	level := slog.LevelInfo
	if len(report.Warnings) > 0 {
		level = slog.LevelWarn
	}
	log.Log(ctx, level, "a file of users was read", "state", report.State, "code", report.Code, "read", report.Rows.Read,
		"accepted", report.Rows.Accepted, "refused", report.Rows.Refused, "first_passwords", report.Users.FirstPasswords,
		"bytes", p.body.read, "warnings", report.Warnings, "seconds", report.FinishedAt.Sub(report.StartedAt).Seconds())
	return nil
}

// open opens the object and notes what it is. The key is "" when none of the keys is there.
func (h *Handler) open(ctx context.Context, report *upload.Report, keys []string) (io.ReadCloser, string, error) {
	for _, key := range keys {
		out, err := h.deps.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: &report.Bucket, Key: &key})
		if none := (*types.NoSuchKey)(nil); errors.As(err, &none) {
			continue
		}
		if err != nil {
			return nil, "", fmt.Errorf("opening the object: %w", err)
		}
		report.Key, report.File = loyalty.StarPANs(key), key
		if name := out.Metadata["filename"]; name != "" {
			// Metadata is ASCII; other names travel percent-encoded.
			if decoded, err := url.PathUnescape(name); err == nil {
				name = decoded
			}
			report.File = name
		}
		report.File = loyalty.StarPANs(report.File)
		report.Upload = UploadID(report.Bucket, key)
		report.Size = aws.ToInt64(out.ContentLength)
		report.ETag = strings.Trim(aws.ToString(out.ETag), `"`)
		return out.Body, key, nil
	}
	report.Key = loyalty.StarPANs(keys[0])
	report.File = report.Key
	report.Upload = UploadID(report.Bucket, keys[0])
	return io.NopCloser(strings.NewReader("")), "", nil
}

// about notes who asked for the upload; nil: nobody did.
func (h *Handler) about(ctx context.Context, report *upload.Report) (*upload.Request, error) {
	var r upload.Request
	found, err := h.get(ctx, h.cfg.ReportBucket, upload.RequestKey(upload.Users, report.Upload), &r)
	if err != nil || !found {
		return nil, err
	}
	report.RequestedBy, report.RequestedAt = r.By, &r.At
	if r.File != "" {
		report.File = loyalty.StarPANs(r.File)
	}
	return &r, nil
}

// remark holds what was read against what the bank says of it, and names what somebody should look at.
func (h *Handler) remark(ctx context.Context, r *upload.Report, key string, request *upload.Request) error {
	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	var control *upload.Control
	side, err := h.getBytes(ctx, r.Bucket, key+upload.ControlSuffix, upload.MaxControl+1)
	switch {
	case err != nil:
		return err
	case side != nil:
		if control, err = upload.ParseControl(side); err != nil {
			r.Control = &upload.Checked{Differences: []string{"the side-car cannot be read: " + err.Error()}}
			warn("THE BANK'S OWN COUNT COULD NOT BE CHECKED: the side-car %s; send the file again with one that is right", err)
		}
	case request != nil:
		control = request.Control
	}
	if control != nil {
		r.Control = control.Check(r.Rows.Read, upload.Amounts{})
		for _, d := range r.Control.Differences {
			warn("THE FILE IS NOT WHAT THE BANK SAYS IT SENT: %s; compare the file with its source and send what is missing", d)
		}
	}
	if r.State == upload.Failed {
		return nil
	}
	if r.Rows.Read == 0 {
		warn("the file has a header and no rows, so nobody was entered; if there should have been users, export it again")
	}
	first, err := h.firstWith(ctx, r.SHA256, upload.Repeat{Upload: r.Upload, File: r.File, At: h.deps.Clock().UTC()})
	if err != nil {
		return err
	}
	if first.Upload != r.Upload {
		r.Repeats = &first
		warn("the same content came before, as %s (upload %s) on %s; whatever was changed since then is now again as this file says",
			first.File, first.Upload, first.At.Format(time.DateTime))
	}
	return nil
}

// firstWith is the first upload with a content: this one, when there was none.
func (h *Handler) firstWith(ctx context.Context, sum string, mine upload.Repeat) (upload.Repeat, error) {
	key := upload.ContentKey(upload.Users, sum)
	for range 3 {
		var first upload.Repeat
		found, err := h.get(ctx, h.cfg.ReportBucket, key, &first)
		if err != nil || found {
			return first, err
		}
		b, err := json.Marshal(mine)
		if err != nil {
			return mine, fmt.Errorf("encoding %s: %w", key, err)
		}
		_, err = h.deps.S3.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &h.cfg.ReportBucket, Key: &key, ContentType: aws.String("application/json"), IfNoneMatch: aws.String("*"), Body: bytes.NewReader(append(b, '\n')),
		})
		var api smithy.APIError
		if errors.As(err, &api) && (api.ErrorCode() == "PreconditionFailed" || api.ErrorCode() == "ConditionalRequestConflict") {
			continue // another was faster
		}
		if err != nil {
			return mine, fmt.Errorf("writing %s: %w", key, err)
		}
		return mine, nil
	}
	return mine, nil
}

// get reads an object. One that is not JSON counts as none: it is written again.
func (h *Handler) get(ctx context.Context, bucket, key string, v any) (bool, error) {
	b, err := h.getBytes(ctx, bucket, key, 16<<20)
	if err != nil || b == nil {
		return false, err
	}
	return json.Unmarshal(b, v) == nil, nil
}

// getBytes is an object, or nil; of a large one it is the beginning.
func (h *Handler) getBytes(ctx context.Context, bucket, key string, most int64) ([]byte, error) {
	out, err := h.deps.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if none := (*types.NoSuchKey)(nil); errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", loyalty.StarPANs(key), err)
	}
	defer func() { _ = out.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(out.Body, most))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", loyalty.StarPANs(key), err)
	}
	return append([]byte{}, b...), nil
}

// writeReport writes the report: the last thing that is done for a file.
func (h *Handler) writeReport(ctx context.Context, report *upload.Report) error {
	report.FinishedAt = h.deps.Clock().UTC()
	return h.putJSON(ctx, upload.ReportKey(upload.Users, report.Upload), report)
}

func (h *Handler) putJSON(ctx context.Context, key string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", key, err)
	}
	return h.put(ctx, key, "application/json", bytes.NewReader(append(b, '\n')))
}

func (h *Handler) put(ctx context.Context, key, contentType string, body io.ReadSeeker) error {
	_, err := h.deps.S3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &h.cfg.ReportBucket, Key: &key, ContentType: &contentType, Body: body,
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	return nil
}

// plain undoes gzip, which is known by its first bytes.
func plain(body io.Reader) (text io.Reader, compressed bool, err error) {
	in := bufio.NewReaderSize(body, 64<<10)
	switch magic, err := in.Peek(2); {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, false, err
	case !bytes.Equal(magic, []byte{0x1f, 0x8b}):
		return in, false, nil
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, true, badGzip
	}
	return gunzip{z}, true, nil
}

var badGzip = &spendcsv.FileError{Code: "bad_gzip", Reason: "the compressed file is damaged or cut off; send it again, whole"}

// gunzip says badGzip for whatever is wrong; when it is the object that cannot be read, the
// object's own error is looked at first.
type gunzip struct{ z *gzip.Reader }

func (g gunzip) Read(p []byte) (int, error) {
	n, err := g.z.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = badGzip
	}
	return n, err
}

func fileError(err error) error {
	var bad *spendcsv.FileError
	if errors.As(err, &bad) {
		return bad
	}
	return fmt.Errorf("reading the file: %w", err)
}

// source is the object as it is stored. It notes what was read of it and what went wrong.
type source struct {
	in     io.ReadCloser
	sum    hash.Hash
	hashed int64 // bytes that are in sum already and come again
	read   int64 // from the file's beginning
	err    error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	again := min(int64(n), s.hashed)
	s.hashed -= again
	s.sum.Write(p[again:n])
	s.read += int64(n)
	if err != nil && s.err == nil {
		s.err = err
	}
	return n, err
}
