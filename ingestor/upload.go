package ingestor

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
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/IBM/sarama"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/spendcsv"
)

// ingest reads one file. Its key is the first of keys that is there.
func (h *Handler) ingest(ctx context.Context, bucket string, keys []string) error {
	started := h.deps.Clock()
	report := Report{Bucket: bucket, StartedAt: started.UTC()}
	object, err := h.open(ctx, &report, keys)
	if err != nil {
		return err
	}
	log := h.log(ctx).With("upload", report.Upload)
	if object == nil {
		newTally().fill(&report)
		report.State, report.Code, report.Error = Failed, "file_is_gone", "the file was deleted before it was read"
		return h.writeReport(ctx, &report)
	}
	defer func() { _ = object.Close() }()
	switch done, err := h.known(ctx, &report); {
	case err != nil:
		return err
	case done:
		log.Info("the file has its report already; the event came twice")
		return nil
	}

	body := &source{in: object, sum: sha256.New(), moved: func(read int64) {
		if h.deps.Progress != nil {
			h.deps.Progress(report.Upload, read, report.Size)
		}
	}}
	counts := newTally()
	err = h.read(ctx, &report, body, counts)
	var bad *spendcsv.FileError
	switch {
	case err == nil:
		report.State = Queued
		report.SHA256 = hex.EncodeToString(body.sum.Sum(nil))
	case body.err != nil && !errors.Is(body.err, io.EOF):
		return fmt.Errorf("reading the object: %w", body.err)
	case errors.As(err, &bad):
		report.State, report.Code, report.Error = Failed, bad.Code, bad.Reason
	default:
		return err
	}
	counts.fill(&report)
	if err := h.writeReport(ctx, &report); err != nil {
		return err
	}
	log.Info("a file was read", "state", report.State, "code", report.Code, "read", report.Rows.Read,
		"accepted", report.Rows.Accepted, "refused", report.Rows.Refused, "bytes", body.read,
		"seconds", report.FinishedAt.Sub(started).Seconds())
	return nil
}

// open opens the object and notes what it is. It is nil when none of the keys is there.
func (h *Handler) open(ctx context.Context, report *Report, keys []string) (io.ReadCloser, error) {
	for _, key := range keys {
		out, err := h.deps.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: &report.Bucket, Key: &key})
		var none *types.NoSuchKey
		if errors.As(err, &none) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("opening the object: %w", err)
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
		return out.Body, nil
	}
	report.Key = loyalty.StarPANs(keys[0])
	report.File = report.Key
	report.Upload = UploadID(report.Bucket, keys[0])
	return nil, nil
}

// known says whether this very object has its report: S3 may tell of an object more than once.
func (h *Handler) known(ctx context.Context, report *Report) (bool, error) {
	out, err := h.deps.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: &h.cfg.ReportBucket, Key: aws.String(ReportKey(report.Upload))})
	var none *types.NoSuchKey
	if errors.As(err, &none) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the report: %w", err)
	}
	defer func() { _ = out.Body.Close() }()
	var before Report
	if err := json.NewDecoder(out.Body).Decode(&before); err != nil {
		return false, nil // it is written again
	}
	return before.Bucket == report.Bucket && before.Key == report.Key && before.ETag == report.ETag, nil
}

// read queues the rows of the file and writes the refused ones. All that is in counts when it
// returns nil or a *spendcsv.FileError is acknowledged and written.
func (h *Handler) read(ctx context.Context, report *Report, body io.Reader, counts *tally) error {
	in, err := plain(body)
	if err != nil {
		return err
	}
	rows, err := spendcsv.NewReader(in)
	if err != nil {
		return fileError(err)
	}

	spool, err := os.CreateTemp("", "refused-*.csv")
	if err != nil {
		return fmt.Errorf("making a temporary file: %w", err)
	}
	defer func() {
		_ = spool.Close()
		_ = os.Remove(spool.Name())
	}()
	refused, err := spendcsv.NewRefusedWriter(spool, rows.Columns())
	if err != nil {
		return err
	}
	q, err := newQueue(h.deps.NewProducer, h.cfg.InFlight)
	if err != nil {
		return err
	}
	badFile := h.copyRows(ctx, report, rows, q, refused, counts)
	if err := q.close(ctx); err != nil {
		return err
	}
	var bad *spendcsv.FileError
	if badFile != nil && !errors.As(badFile, &bad) {
		return badFile
	}
	if err := refused.Flush(); err != nil {
		return err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading the temporary file: %w", err)
	}
	if err := h.put(ctx, RefusedKey(report.Upload), "text/csv; charset=utf-8", spool); err != nil {
		return err
	}
	return badFile
}

func (h *Handler) copyRows(ctx context.Context, report *Report, rows *spendcsv.Reader, q *queue, refused *spendcsv.RefusedWriter, counts *tally) error {
	source := []byte(record.SourceUpload + report.Upload)
	var request []sarama.RecordHeader
	if l, ok := lambdacontext.FromContext(ctx); ok {
		request = []sarama.RecordHeader{{Key: headerRequestID, Value: []byte(l.AwsRequestID)}}
	}
	var row spendcsv.Row
	for {
		switch err := rows.Read(&row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fileError(err)
		}
		var reason error = row.Err
		if row.Err == nil {
			raw := row.Raw // Parse trims; what is refused is shown as it was sent
			tx, err := raw.Parse(h.cfg.Home)
			if err == nil {
				line := sarama.RecordHeader{Key: headerLine, Value: strconv.AppendInt(nil, int64(row.Line), 10)}
				err := q.send(ctx, kafkaconn.Transaction(h.cfg.Topic, &tx, source, append(request[:len(request):len(request)], line)...))
				if err != nil {
					return err
				}
				counts.accept(&tx)
				continue
			}
			reason = err
		}
		counts.refuse(&row.Raw, reason)
		if err := refused.Write(report.File, &row, reason); err != nil {
			return err
		}
	}
}

var (
	headerLine      = []byte(record.HeaderLine)
	headerRequestID = []byte(record.HeaderRequestID)
)

// writeReport writes the report: the last thing that is done for a file.
func (h *Handler) writeReport(ctx context.Context, report *Report) error {
	report.FinishedAt = h.deps.Clock().UTC()
	b, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	return h.put(ctx, ReportKey(report.Upload), "application/json", bytes.NewReader(append(b, '\n')))
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
func plain(body io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(body, 64<<10)
	switch magic, err := in.Peek(2); {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case !bytes.Equal(magic, []byte{0x1f, 0x8b}):
		return in, nil
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, badGzip
	}
	return gunzip{z}, nil
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
	in    io.Reader
	sum   hash.Hash
	read  int64
	err   error
	moved func(read int64)
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	if n > 0 {
		s.sum.Write(p[:n])
		s.read += int64(n)
		s.moved(s.read)
	}
	if err != nil && s.err == nil {
		s.err = err
	}
	return n, err
}
