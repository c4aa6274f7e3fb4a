package petrock

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
	"github.com/google/uuid"

	"github.com/angelowl-loyalties/app/loyalty/spendcsv"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// errPaused says that the invocation's time was over first; the checkpoint has all that was entered.
var errPaused = errors.New("the time is over")

// Checkpoint says how far a file has been read. All before it has been entered, and who is new asked for,
// or is in the parts of the refused rows.
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

	Rows            upload.Rows            `json:"rows"`
	Users           *upload.Entered        `json:"users"`
	RefusedByReason []upload.RefusedReason `json:"refused_by_reason"`
	Totals          upload.Totals          `json:"totals"`
}

// pass is one invocation's reading of a file.
type pass struct {
	h       *Handler
	log     *slog.Logger
	report  *upload.Report
	key     string
	counts  *tally
	body    *source
	note    Checkpoint
	resumed bool

	rows    *spendcsv.Reader
	spool   *os.File // refused rows that are in no part yet
	refused *spendcsv.RefusedWriter
}

// partPrefix is that of the parts of the refused rows.
func partPrefix(id string) string { return upload.RefusedKey(upload.Users, id) + "." }

// resume looks for a checkpoint of this very object, and goes there.
func (p *pass) resume(ctx context.Context) error {
	found, err := p.h.get(ctx, p.h.cfg.ReportBucket, upload.CheckpointKey(upload.Users, p.report.Upload), &p.note)
	if err != nil {
		return err
	}
	if !found || p.note.ETag != p.report.ETag || p.note.Size != p.report.Size {
		p.note = Checkpoint{ETag: p.report.ETag, Size: p.report.Size, StartedAt: p.report.StartedAt}
		return nil
	}
	p.report.StartedAt = p.note.StartedAt
	if p.note.Offset == 0 || p.note.Users == nil {
		p.note = Checkpoint{ETag: p.report.ETag, Size: p.report.Size, StartedAt: p.note.StartedAt}
		return nil // it had just begun
	}
	p.counts.resume(&p.note)
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
		rows, err := spendcsv.NewLayoutReaderAt(p.note.Header, p.body, p.note.Offset, p.note.Line, layout)
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
		p.rows, err = spendcsv.NewLayoutReaderAt(p.note.Header, in, p.note.Offset, p.note.Line, layout)
		return err
	}
	head := &recorder{in: in}
	if p.rows, err = spendcsv.NewLayoutReader(head, layout); err != nil {
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

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.in.Read(b)
	if !r.off && len(r.seen) < 4*spendcsv.MaxRecord { // a header is shorter
		r.seen = append(r.seen, b[:n]...)
	}
	return n, err
}

// read has the rows of the file entered and writes the refused ones. All that is in counts when it
// returns nil or a *spendcsv.FileError has been answered by profiler, and is written. errPaused: the
// checkpoint has it.
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
	if p.refused, err = spendcsv.NewLayoutRefusedWriter(spool, layout, p.rows.Columns()); err != nil {
		return err
	}
	if len(p.note.Parts) > 0 {
		if err := p.restart(); err != nil { // the header is in the first part
			return err
		}
	}
	if !p.resumed {
		if err := p.write(ctx); err != nil {
			return err
		}
	}
	e := &entering{pass: p, counted: map[uuid.UUID]struct{}{}}
	badFile := e.enter(ctx)
	var bad *spendcsv.FileError
	if badFile != nil && !errors.As(badFile, &bad) {
		return badFile
	}
	if err := p.assemble(ctx); err != nil {
		return err
	}
	return badFile
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

// pause writes a checkpoint before the row at a place. All rows before it have been dealt with.
func (p *pass) pause(ctx context.Context, offset int64, line int, last bool) error {
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
	p.note.Offset, p.note.Line = offset, line
	sum, err := p.body.sum.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return fmt.Errorf("keeping the checksum: %w", err)
	}
	p.note.Sum, p.note.Summed = sum, p.body.read+p.body.hashed
	p.note.Read = p.body.read
	var r upload.Report
	p.counts.fill(&r)
	p.note.Rows, p.note.Users, p.note.Totals, p.note.RefusedByReason = r.Rows, r.Users, r.Totals, r.RefusedByReason
	p.note.Paused = last
	return p.write(ctx)
}

func (p *pass) write(ctx context.Context) error {
	p.note.At = p.h.deps.Clock().UTC()
	return p.h.putJSON(ctx, upload.CheckpointKey(upload.Users, p.report.Upload), &p.note)
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
	return p.h.put(ctx, upload.RefusedKey(upload.Users, p.report.Upload), "text/csv; charset=utf-8", all)
}

// forget deletes the checkpoint, and the parts of all attempts. What is left of it does no harm.
func (p *pass) forget(ctx context.Context) {
	keys := []types.ObjectIdentifier{{Key: aws.String(upload.CheckpointKey(upload.Users, p.report.Upload))}}
	prefix := partPrefix(p.report.Upload)
	found, err := p.h.deps.S3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &p.h.cfg.ReportBucket, Prefix: &prefix, MaxKeys: aws.Int32(999)})
	if err == nil {
		for _, o := range found.Contents {
			keys = append(keys, types.ObjectIdentifier{Key: o.Key})
		}
	}
	_, failed := p.h.deps.S3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &p.h.cfg.ReportBucket, Delete: &types.Delete{Objects: keys, Quiet: aws.Bool(true)}})
	if err := errors.Join(err, failed); err != nil {
		p.log.Warn("a checkpoint that is no longer needed could not be deleted", "error", err)
	}
}
