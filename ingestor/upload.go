package ingestor

import (
	"bufio"
	"bytes"
	"cmp"
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
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/kafkaconn"
	"github.com/angelowl-loyalties/app/loyalty/metrics"
	"github.com/angelowl-loyalties/app/loyalty/record"
	"github.com/angelowl-loyalties/app/loyalty/spendcsv"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// ingest reads one file. Its key is the first of keys that is there.
func (h *Handler) ingest(ctx context.Context, bucket string, keys []string) error {
	started := h.deps.Clock()
	report := Report{Kind: upload.Spend, Bucket: bucket, StartedAt: started.UTC(), Warnings: []string{}}
	object, key, err := h.open(ctx, &report, keys)
	if err != nil {
		return err
	}
	log := h.log(ctx).With("upload", report.Upload)
	request, err := h.request(ctx, report.Upload)
	if err != nil {
		return errors.Join(err, object.Close())
	}
	if request != nil {
		report.RequestedBy, report.RequestedAt = request.By, &request.At
		if request.File != "" {
			report.File = loyalty.StarPANs(request.File)
		}
	}
	if key == "" {
		newTally().fill(&report)
		report.State, report.Code, report.Error = Failed, "file_is_gone", "the file was deleted before it was read; send it again"
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

	p := &pass{h: h, report: &report, counts: newTally(), key: key, body: &source{in: object, sum: sha256.New()}}
	p.body.moved = func(read int64) {
		if h.deps.Progress != nil {
			h.deps.Progress(report.Upload, read, report.Size)
		}
	}
	if err := p.resume(ctx); err != nil {
		return err
	}
	defer func() { _ = p.body.in.Close() }()
	err = p.read(ctx)
	var bad *spendcsv.FileError
	switch {
	case err == nil:
		report.State = Queued
		report.SHA256 = hex.EncodeToString(p.body.sum.Sum(nil))
	case errors.Is(err, errPaused):
		log.Info("the time is over and the file is not; the next invocation goes on", "read", p.counts.accepted+p.counts.refused, "bytes", p.body.read, "of", report.Size)
		return nil
	case p.body.err != nil && !errors.Is(p.body.err, io.EOF):
		return fmt.Errorf("reading the object: %w", p.body.err)
	case errors.As(err, &bad):
		report.State, report.Code, report.Error = Failed, bad.Code, bad.Reason
	default:
		return err
	}
	p.counts.fill(&report)
	if err := h.remark(ctx, p, request); err != nil {
		return err
	}
	if report.Rows.Accepted > 0 || report.State == Queued {
		if err := h.put(ctx, upload.PendingKey(upload.Spend, report.Upload), "text/plain", strings.NewReader("")); err != nil {
			return err
		}
	}
	if err := h.writeReport(ctx, &report); err != nil {
		return err
	}
	p.forget(ctx, log)
	h.deps.Metrics.Put(map[string]string{"state": string(report.State)},
		metrics.Value{Name: "Files", Unit: "Count", V: 1}, metrics.Value{Name: "RowsAccepted", Unit: "Count", V: report.Rows.Accepted},
		metrics.Value{Name: "RowsRefused", Unit: "Count", V: report.Rows.Refused})
	level := slog.LevelInfo
	if len(report.Warnings) > 0 {
		level = slog.LevelWarn
	}
	log.Log(ctx, level, "a file was read", "state", report.State, "code", report.Code, "read", report.Rows.Read,
		"accepted", report.Rows.Accepted, "refused", report.Rows.Refused, "bytes", p.body.read, "warnings", report.Warnings,
		"seconds", report.FinishedAt.Sub(report.StartedAt).Seconds())
	return nil
}

// open opens the object and notes what it is. The key is "" when none of the keys is there.
func (h *Handler) open(ctx context.Context, report *Report, keys []string) (io.ReadCloser, string, error) {
	for _, key := range keys {
		out, err := h.deps.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: &report.Bucket, Key: &key})
		var none *types.NoSuchKey
		if errors.As(err, &none) {
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

// known says whether this very object has its report: S3 may tell of an object more than once.
func (h *Handler) known(ctx context.Context, report *Report) (bool, error) {
	var before Report
	found, err := h.get(ctx, ReportKey(report.Upload), &before)
	if err != nil || !found {
		return false, err
	}
	return before.Bucket == report.Bucket && before.Key == report.Key && before.ETag == report.ETag, nil
}

// request is who asked for an upload; nil: nobody did.
func (h *Handler) request(ctx context.Context, id string) (*upload.Request, error) {
	var r upload.Request
	found, err := h.get(ctx, upload.RequestKey(upload.Spend, id), &r)
	if err != nil || !found {
		return nil, err
	}
	return &r, nil
}

// get reads an object of the reports' bucket. One that is not JSON counts as none: it is written again.
func (h *Handler) get(ctx context.Context, key string, v any) (bool, error) {
	return getJSON(ctx, h.deps.S3, h.cfg.ReportBucket, key, v)
}

func getJSON(ctx context.Context, client *s3.Client, bucket, key string, v any) (bool, error) {
	b, err := getBytes(ctx, client, bucket, key, 64<<20)
	if err != nil || b == nil {
		return false, err
	}
	return json.Unmarshal(b, v) == nil, nil
}

// getBytes is an object, or nil; of a large one it is the beginning.
func getBytes(ctx context.Context, client *s3.Client, bucket, key string, most int64) ([]byte, error) {
	out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
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

// read queues the rows of the file and writes the refused ones. All that is in counts when it
// returns nil or a *spendcsv.FileError is acknowledged and written. errPaused: the checkpoint has it.
func (p *pass) read(ctx context.Context) error {
	if err := p.begin(); err != nil {
		return err
	}
	spool, err := os.CreateTemp("", "refused-*.csv")
	if err != nil {
		return fmt.Errorf("making a temporary file: %w", err)
	}
	p.spool = spool
	defer func() {
		_ = spool.Close()
		_ = os.Remove(spool.Name())
	}()
	if p.refused, err = spendcsv.NewRefusedWriter(spool, p.rows.Columns()); err != nil {
		return err
	}
	if p.resumed {
		if err := p.restart(); err != nil { // the header is in the first part
			return err
		}
	} else if err := p.write(ctx); err != nil {
		return err
	}
	if p.q, err = newQueue(p.h.deps.NewProducer, p.h.cfg.InFlight); err != nil {
		return err
	}
	badFile := p.copyRows(ctx)
	if err := p.q.close(ctx); err != nil {
		return err
	}
	var bad *spendcsv.FileError
	if badFile != nil && !errors.As(badFile, &bad) {
		return badFile
	}
	p.report.Topic, p.report.Ranges = p.h.cfg.Topic, p.q.where(p.note.Ranges)
	if err := p.assemble(ctx); err != nil {
		return err
	}
	return badFile
}

func (p *pass) copyRows(ctx context.Context) error {
	source := []byte(record.SourceUpload + p.report.Upload)
	var request []sarama.RecordHeader
	if l, ok := lambdacontext.FromContext(ctx); ok {
		request = []sarama.RecordHeader{{Key: headerRequestID, Value: []byte(l.AwsRequestID)}}
	}
	tick := time.NewTicker(p.h.cfg.Checkpoint)
	defer tick.Stop()
	over := make(<-chan time.Time) // never
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		timer := time.NewTimer(left - min(p.h.cfg.Margin, left/3))
		defer timer.Stop()
		over = timer.C
	}
	var row spendcsv.Row
	for n := 1; ; n++ {
		if n%256 == 0 {
			select {
			case <-over:
				return cmp.Or(p.pause(ctx, true), errPaused)
			case <-tick.C:
				if err := p.pause(ctx, false); err != nil {
					return err
				}
			default:
			}
		}
		switch err := p.rows.Read(&row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fileError(err)
		}
		var reason error = row.Err
		if row.Err == nil {
			raw := row.Raw // Parse trims; what is refused is shown as it was sent
			tx, err := raw.Parse(p.h.cfg.Home)
			if err == nil {
				line := sarama.RecordHeader{Key: headerLine, Value: strconv.AppendInt(nil, int64(row.Line), 10)}
				err := p.q.send(ctx, kafkaconn.Transaction(p.h.cfg.Topic, &tx, source, append(request[:len(request):len(request)], line)...))
				if err != nil {
					return err
				}
				p.counts.accept(&tx)
				continue
			}
			reason = err
		}
		p.counts.refuse(&row.Raw, reason)
		if err := p.refused.Write(p.report.File, &row, reason); err != nil {
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
	return h.putJSON(ctx, ReportKey(report.Upload), report)
}

func (h *Handler) putJSON(ctx context.Context, key string, v any) error {
	return putJSON(ctx, h.deps.S3, h.cfg.ReportBucket, key, v)
}

func (h *Handler) put(ctx context.Context, key, contentType string, body io.ReadSeeker) error {
	return put(ctx, h.deps.S3, h.cfg.ReportBucket, key, contentType, body)
}

func putJSON(ctx context.Context, client *s3.Client, bucket, key string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", key, err)
	}
	return put(ctx, client, bucket, key, "application/json", bytes.NewReader(append(b, '\n')))
}

func put(ctx context.Context, client *s3.Client, bucket, key, contentType string, body io.ReadSeeker) error {
	_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, ContentType: &contentType, Body: body})
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
	moved  func(read int64)
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	if n > 0 {
		again := min(int64(n), s.hashed)
		s.hashed -= again
		s.sum.Write(p[again:n])
		s.read += int64(n)
		s.moved(s.read)
	}
	if err != nil && s.err == nil {
		s.err = err
	}
	return n, err
}

// putNew is putJSON where no object of the key may be there yet.
func putNew(ctx context.Context, client *s3.Client, bucket, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", key, err)
	}
	_, err = client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &bucket, Key: &key, ContentType: aws.String("application/json"), IfNoneMatch: aws.String("*"), Body: bytes.NewReader(append(b, '\n')),
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	return nil
}

// there says whether an object is.
func there(ctx context.Context, client *s3.Client, bucket, key string) (bool, error) {
	_, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	var none *types.NotFound
	if errors.As(err, &none) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for %s: %w", loyalty.StarPANs(key), err)
	}
	return true, nil
}
