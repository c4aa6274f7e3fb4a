package ingestor

import (
	"context"
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty/spendcsv"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// errPaused says that the invocation's time was over first; the checkpoint has all that was read.
var errPaused = errors.New("the time is over")

// Checkpoint says how far a file has been read. All before it is acknowledged by Kafka or in the parts
// of the refused rows.
type Checkpoint struct {
	ETag      string    `json:"etag"`
	StartedAt time.Time `json:"started_at"` // of the first attempt
	At        time.Time `json:"at"`
	Paused    bool      `json:"paused"` // nobody reads it
	Read      int64     `json:"read"`   // bytes, of
	Size      int64     `json:"size"`

	Compressed bool   `json:"compressed"`
	Header     []byte `json:"header"` // what the file begins with
	Offset     int64  `json:"offset"` // of the next row, in the text
	Line       int    `json:"line"`
	Sum        []byte `json:"sum"` // the state of the SHA-256 of
	Summed     int64  `json:"summed"`
	// Parts are the ends of the keys of the refused rows' parts. No two are the same, so that should two
	// read the file at once, each has its own.
	Parts []string `json:"parts"`

	Rows            Rows            `json:"rows"`
	RefusedByReason []RefusedReason `json:"refused_by_reason"`
	Totals          Totals          `json:"totals"`
	Ranges          []upload.Range  `json:"ranges"`
}

// pass is one invocation's reading of a file.
type pass struct {
	h       *Handler
	report  *Report
	key     string
	counts  *tally
	body    *source
	note    Checkpoint
	resumed bool

	rows    *spendcsv.Reader
	spool   *os.File // refused rows that are in no part yet
	refused *spendcsv.RefusedWriter
	q       *queue
}

// partPrefix is that of the parts of the refused rows.
func partPrefix(id string) string { return RefusedKey(id) + "." }

// resume looks for a checkpoint of this very object, and goes there.
func (p *pass) resume(ctx context.Context) error {
	found, err := p.h.get(ctx, upload.CheckpointKey(upload.Spend, p.report.Upload), &p.note)
	if err != nil {
		return err
	}
	if !found || p.note.ETag != p.report.ETag || p.note.Size != p.report.Size {
		p.note = Checkpoint{ETag: p.report.ETag, Size: p.report.Size, StartedAt: p.report.StartedAt}
		return nil
	}
	p.report.StartedAt = p.note.StartedAt
	if p.note.Offset == 0 {
		return nil // it had just begun
	}
	if err := p.counts.resume(&Report{Rows: p.note.Rows, Totals: p.note.Totals, RefusedByReason: p.note.RefusedByReason}); err != nil {
		return fmt.Errorf("reading the checkpoint: %w", err)
	}
	p.resumed = true
	if p.note.Compressed {
		return nil // it is read from its beginning
	}
	sum := sha256.New()
	if err := sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(p.note.Sum); err != nil {
		return fmt.Errorf("reading the checkpoint: %w", err)
	}
	p.body.sum, p.body.read, p.body.hashed = sum, p.note.Offset, p.note.Summed-p.note.Offset
	whole := p.body.in
	p.body.in = io.NopCloser(eof{})
	if p.note.Offset < p.note.Size {
		out, err := p.h.deps.S3.GetObject(ctx, &s3.GetObjectInput{
			Bucket: &p.report.Bucket, Key: &p.key, IfMatch: &p.note.ETag, Range: aws.String(fmt.Sprintf("bytes=%d-", p.note.Offset)),
		})
		if err != nil {
			return fmt.Errorf("opening the object where it was left: %w", err)
		}
		p.body.in = out.Body
	}
	_ = whole.Close()
	return nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// begin reads the header, or goes on behind what has been read.
func (p *pass) begin() error {
	if p.resumed && !p.note.Compressed {
		rows, err := spendcsv.NewReaderAt(p.note.Header, p.body, p.note.Offset, p.note.Line)
		p.rows = rows
		return err
	}
	in, compressed, err := plain(p.body)
	if err != nil {
		return err
	}
	p.note.Compressed = compressed
	if p.resumed {
		if _, err := io.CopyN(io.Discard, in, p.note.Offset); err != nil {
			return fileError(err)
		}
		p.rows, err = spendcsv.NewReaderAt(p.note.Header, in, p.note.Offset, p.note.Line)
		return err
	}
	var head recorder
	if p.rows, err = spendcsv.NewReader(head.of(in)); err != nil {
		return fileError(err)
	}
	end, _ := p.rows.Place()
	p.note.Header = append([]byte{}, head.seen[:end]...)
	head.off, head.seen = true, nil
	return nil
}

// recorder keeps what is read through it.
type recorder struct {
	in   io.Reader
	seen []byte
	off  bool
}

func (r *recorder) of(in io.Reader) io.Reader { r.in = in; return r }

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.in.Read(b)
	if !r.off && len(r.seen) < 4*spendcsv.MaxRecord { // a header is shorter
		r.seen = append(r.seen, b[:n]...)
	}
	return n, err
}

// restart empties the spool.
func (p *pass) restart() error {
	if err := p.refused.Flush(); err != nil {
		return err
	}
	err := p.spool.Truncate(0)
	if err == nil {
		_, err = p.spool.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("emptying the temporary file: %w", err)
	}
	return nil
}

// pause writes a checkpoint once all that was read is acknowledged and kept.
func (p *pass) pause(ctx context.Context, last bool) error {
	if err := p.q.drain(ctx); err != nil {
		return err
	}
	if err := p.refused.Flush(); err != nil {
		return err
	}
	if size, err := p.spool.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("reading the temporary file: %w", err)
	} else if size > 0 {
		if _, err := p.spool.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("reading the temporary file: %w", err)
		}
		part := uuid.NewString()
		if err := p.h.put(ctx, partPrefix(p.report.Upload)+part, "text/csv; charset=utf-8", p.spool); err != nil {
			return err
		}
		p.note.Parts = append(p.note.Parts, part)
		if err := p.restart(); err != nil {
			return err
		}
	}
	p.note.Offset, p.note.Line = p.rows.Place()
	sum, err := p.body.sum.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return fmt.Errorf("keeping the checksum: %w", err)
	}
	p.note.Sum, p.note.Summed = sum, p.body.read+p.body.hashed
	p.note.Read = p.body.read
	var r Report
	p.counts.fill(&r)
	p.note.Rows, p.note.Totals, p.note.RefusedByReason = r.Rows, r.Totals, r.RefusedByReason
	p.note.Ranges = p.q.where(p.note.Ranges)
	p.note.Paused = last
	return p.write(ctx)
}

func (p *pass) write(ctx context.Context) error {
	p.note.At = p.h.deps.Clock().UTC()
	return p.h.putJSON(ctx, upload.CheckpointKey(upload.Spend, p.report.Upload), &p.note)
}

// assemble writes the refused rows of all parts and of the spool.
func (p *pass) assemble(ctx context.Context) error {
	if err := p.refused.Flush(); err != nil {
		return err
	}
	all := p.spool
	if len(p.note.Parts) > 0 {
		var err error
		if all, err = os.CreateTemp("", "refused-*.csv"); err != nil {
			return fmt.Errorf("making a temporary file: %w", err)
		}
		defer func() {
			_ = all.Close()
			_ = os.Remove(all.Name())
		}()
		for _, part := range p.note.Parts {
			out, err := p.h.deps.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: &p.h.cfg.ReportBucket, Key: aws.String(partPrefix(p.report.Upload) + part)})
			if err != nil {
				return fmt.Errorf("reading refused rows: %w", err)
			}
			_, err = io.Copy(all, out.Body)
			if err := errors.Join(err, out.Body.Close()); err != nil {
				return fmt.Errorf("reading refused rows: %w", err)
			}
		}
		if _, err := p.spool.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("reading the temporary file: %w", err)
		}
		if _, err := io.Copy(all, p.spool); err != nil {
			return fmt.Errorf("reading the temporary file: %w", err)
		}
	}
	if _, err := all.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading the temporary file: %w", err)
	}
	return p.h.put(ctx, RefusedKey(p.report.Upload), "text/csv; charset=utf-8", all)
}

// forget deletes the checkpoint, and the parts of all attempts. What is left of it does no harm.
func (p *pass) forget(ctx context.Context, log *slog.Logger) {
	keys := []types.ObjectIdentifier{{Key: aws.String(upload.CheckpointKey(upload.Spend, p.report.Upload))}}
	prefix := partPrefix(p.report.Upload)
	found, err := p.h.deps.S3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &p.h.cfg.ReportBucket, Prefix: &prefix, MaxKeys: aws.Int32(999)})
	if err == nil {
		for _, o := range found.Contents {
			keys = append(keys, types.ObjectIdentifier{Key: o.Key})
		}
	}
	_, failed := p.h.deps.S3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &p.h.cfg.ReportBucket, Delete: &types.Delete{Objects: keys, Quiet: aws.Bool(true)}})
	if err := errors.Join(err, failed); err != nil {
		log.Warn("a checkpoint that is no longer needed could not be deleted", "error", err)
	}
}

// remark says what somebody should look at: the bank's own figures differ, the content has come before,
// there are no rows.
func (h *Handler) remark(ctx context.Context, p *pass, request *upload.Request) error {
	r := p.report
	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	var control *upload.Control
	side, err := getBytes(ctx, h.deps.S3, r.Bucket, p.key+upload.ControlSuffix, upload.MaxControl+1)
	switch {
	case err != nil:
		return err
	case side != nil:
		if control, err = upload.ParseControl(side); err != nil {
			r.Control = &upload.Checked{Differences: []string{"the side-car cannot be read: " + err.Error()}}
			warn("THE BANK'S OWN TOTALS COULD NOT BE CHECKED: the side-car %s; send the file again with one that is right", err)
		}
	case request != nil:
		control = request.Control
	}
	if control != nil {
		r.Control = control.Check(r.Rows.Read, r.Totals.Read)
		for _, d := range r.Control.Differences {
			warn("THE FILE IS NOT WHAT THE BANK SAYS IT SENT: %s; compare the file with its source and send what is missing", d)
		}
	}
	if r.State != Queued {
		return nil
	}
	if r.Rows.Read == 0 {
		warn("the file has a header and no rows, so nothing was queued; if there should have been transactions, export it again")
	}
	mine := upload.Repeat{Upload: r.Upload, File: r.File, At: h.deps.Clock().UTC()}
	first, err := h.firstWith(ctx, r.SHA256, mine)
	if err != nil {
		return err
	}
	if first.Upload != r.Upload {
		r.Repeats = &first
		warn("the same content came before, as %s (upload %s) on %s; its rows count once", first.File, first.Upload, first.At.Format(time.DateTime))
	}
	return nil
}

// firstWith is the first upload with a content: this one, when there was none.
func (h *Handler) firstWith(ctx context.Context, sum string, mine upload.Repeat) (upload.Repeat, error) {
	key := upload.ContentKey(upload.Spend, sum)
	for range 3 {
		var first upload.Repeat
		found, err := h.get(ctx, key, &first)
		if err != nil || found {
			return first, err
		}
		err = putNew(ctx, h.deps.S3, h.cfg.ReportBucket, key, mine)
		var api smithy.APIError
		if errors.As(err, &api) && (api.ErrorCode() == "PreconditionFailed" || api.ErrorCode() == "ConditionalRequestConflict") {
			continue // another was faster
		}
		return mine, err
	}
	return mine, nil
}
