package uploads

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

// Status is the answer to GET /upload/{id}: the report, as far as there is one, and how far it is.
type Status struct {
	upload.Report
	Percent    *int       `json:"percent,omitempty"`     // of the bytes while reading, of the rows while rewarded
	Received   bool       `json:"received"`              // the file is there
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`  // of the URL, until the file is there
	Hint       string     `json:"hint,omitempty"`        // what to do, in plain words
	RefusedURL string     `json:"refused_url,omitempty"` // of the refused rows as CSV, for 15 minutes
}

// Summary is an upload in the list.
type Summary struct {
	ID          string       `json:"id"`
	Kind        upload.Kind  `json:"kind"`
	File        string       `json:"file"`
	RequestedBy string       `json:"requested_by"`
	At          time.Time    `json:"at"` // when it was asked for, or came
	State       upload.State `json:"state"`
	Percent     *int         `json:"percent,omitempty"`
	Error       string       `json:"error,omitempty"`
	Warnings    []string     `json:"warnings"`
	Rows        upload.Rows  `json:"rows"`
	Size        int64        `json:"size"`
}

func (h *Handler) get(ctx context.Context, key string, v any) (bool, error) {
	out, err := h.deps.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: &h.cfg.ReportBucket, Key: &key})
	if none := (*types.NoSuchKey)(nil); errors.As(err, &none) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", key, err)
	}
	b, err := io.ReadAll(io.LimitReader(out.Body, 64<<20))
	if err := errors.Join(err, out.Body.Close()); err != nil {
		return false, fmt.Errorf("reading %s: %w", key, err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("reading %s: %w", key, err)
	}
	return true, nil
}

// request is who asked for an upload of either kind; nil: nobody did.
func (h *Handler) request(ctx context.Context, id string) (*upload.Request, error) {
	for _, k := range []upload.Kind{upload.Spend, upload.Users} {
		var r upload.Request
		if found, err := h.get(ctx, upload.RequestKey(k, id), &r); err != nil || found {
			return &r, err
		}
	}
	return nil, nil
}

// one answers GET /upload/{id}.
func (h *Handler) one(ctx context.Context, _ *events.APIGatewayProxyRequest, id string, _ *token.Claims) (reply, error) {
	s, err := h.status(ctx, id)
	if err != nil {
		return reply{}, err
	}
	if s.Rows.Refused > 0 {
		signed, err := h.signer.PresignGetObject(ctx, &s3.GetObjectInput{
			Bucket: &h.cfg.ReportBucket, Key: aws.String(upload.RefusedKey(s.Kind, id)),
			ResponseContentDisposition: aws.String(`attachment; filename="refused-` + id + `.csv"`),
		}, s3.WithPresignExpires(lifetime))
		if err != nil {
			return reply{}, fmt.Errorf("signing a URL: %w", err)
		}
		s.RefusedURL = signed.URL
	}
	return data(http.StatusOK, s), nil
}

// status is what the objects of an upload say.
func (h *Handler) status(ctx context.Context, id string) (*Status, error) {
	for _, k := range []upload.Kind{upload.Spend, upload.Users} {
		s, err := h.look(ctx, k, id, nil)
		if err != nil || s != nil {
			return s, err
		}
	}
	return nil, &errNotFound
}

// reading is what is of interest here of a checkpoint.
type reading struct {
	Read            int64                  `json:"read"`
	Size            int64                  `json:"size"`
	StartedAt       time.Time              `json:"started_at"`
	Rows            upload.Rows            `json:"rows"`
	RefusedByReason []upload.RefusedReason `json:"refused_by_reason"`
	Totals          upload.Totals          `json:"totals"`
}

// look reads one upload; nil: it is not there. Dropped is its object where nobody asked for it.
func (h *Handler) look(ctx context.Context, k upload.Kind, id string, dropped *types.Object) (*Status, error) {
	s := &Status{}
	found, err := h.get(ctx, upload.ReportKey(k, id), &s.Report)
	if err != nil {
		return nil, err
	}
	if found {
		s.Received = true
		return s, h.rewarded(ctx, s)
	}
	var r upload.Request
	asked, err := h.get(ctx, upload.RequestKey(k, id), &r)
	if err != nil {
		return nil, err
	}
	bucket, key := h.bucket(k), upload.Key(k, id)
	s.Report = upload.Report{
		Upload: id, Kind: k, Bucket: bucket, Key: key, State: upload.Waiting, Warnings: []string{}, RefusedByReason: []upload.RefusedReason{},
		Totals: upload.Totals{Read: upload.Amounts{}, Accepted: upload.Amounts{}, Refused: upload.Amounts{}},
	}
	if dropped != nil {
		s.Key, s.Size, s.Received = loyalty.StarPANs(aws.ToString(dropped.Key)), aws.ToInt64(dropped.Size), true
	}
	s.File = s.Key
	if asked {
		s.RequestedBy, s.RequestedAt, s.ExpiresAt, s.Size = r.By, &r.At, &r.ExpiresAt, r.Size
		s.File = cmp.Or(r.File, s.Key)
	}
	var c reading
	begun, err := h.get(ctx, upload.CheckpointKey(k, id), &c)
	if err != nil {
		return nil, err
	}
	if begun {
		s.State, s.Received, s.ExpiresAt = upload.Reading, true, nil
		s.Percent, s.Size, s.StartedAt = percent(c.Read, c.Size), c.Size, c.StartedAt
		s.Rows = c.Rows
		if c.Totals.Read != nil {
			s.Totals, s.RefusedByReason = c.Totals, c.RefusedByReason
		}
		return s, nil
	}
	if !s.Received {
		size, there, err := h.arrived(ctx, bucket, key)
		switch {
		case err != nil:
			return nil, err
		case there:
			s.Received, s.Size = true, size
		case !asked:
			return nil, nil
		}
	}
	switch {
	case s.Received:
		s.ExpiresAt, s.Hint = nil, "the file is there and is read next"
	case h.deps.Clock().After(r.ExpiresAt):
		s.Hint = "the file has not come, and its URL has expired; ask for a new upload"
	case r.Multipart != "":
		s.Hint = "send the parts to their URLs, then POST /upload/" + id + "/complete"
	default:
		s.Hint = "PUT the file to its URL"
	}
	return s, nil
}

func (h *Handler) arrived(ctx context.Context, bucket, key string) (size int64, there bool, err error) {
	out, err := h.deps.S3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if none := (*types.NotFound)(nil); errors.As(err, &none) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("looking for a file: %w", err)
	}
	return aws.ToInt64(out.ContentLength), true, nil
}

func percent(done, all int64) *int {
	p := 100
	if all > 0 {
		p = int(min(float64(done)/float64(all)*100, 100))
	}
	return &p
}

// rewarded says how many of a queued file's rows have been dealt with.
func (h *Handler) rewarded(ctx context.Context, s *Status) error {
	if s.State != upload.Queued || s.Kind != upload.Spend || len(s.Ranges) == 0 || h.deps.Committed == nil {
		return nil
	}
	committed, err := h.deps.Committed(ctx)
	if err != nil {
		h.deps.Log.Warn("how far the rewarder is cannot be said", "error", err)
		return nil
	}
	if p := percentOf(s.Ranges, committed); p > 0 {
		s.State, s.Percent = upload.Rewarded, &p
	}
	return nil
}

// percentOf is how much of some ranges is committed.
func percentOf(ranges []upload.Range, committed map[int32]int64) int {
	var done, all int64
	for _, r := range ranges {
		n := r.Last - r.First + 1
		all += n
		done += min(max(committed[r.Partition]-r.First, 0), n)
	}
	return *percent(done, all)
}

// entry is an upload as the listing of objects shows it.
type entry struct {
	kind    upload.Kind
	id      string
	at      time.Time // of its first object
	dropped *types.Object
}

// list answers GET /upload.
func (h *Handler) list(ctx context.Context, e *events.APIGatewayProxyRequest, _ *token.Claims) (reply, error) {
	var errs loyalty.FieldErrors
	number := func(name string, otherwise, most int) int {
		text := e.QueryStringParameters[name]
		if text == "" {
			return otherwise
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > most {
			errs.Add("", wrong(name, "out_of_range", fmt.Sprintf("must be a whole number from 1 to %d", most)))
		}
		return n
	}
	size, no := number("page_size", 20, 100), number("page_no", 1, 1_000_000)
	kind := upload.Kind(e.QueryStringParameters["kind"])
	if kind != "" && !kind.Valid() {
		errs.Add("", wrong("kind", "unknown", `must be "spend" or "users"`))
	}
	if err := errs.Err(); err != nil {
		return reply{}, err
	}
	all, err := h.entries(ctx, kind)
	if err != nil {
		return reply{}, err
	}
	list := []Summary{}
	from := min((no-1)*size, len(all))
	for _, en := range all[from:min(from+size, len(all))] {
		s, err := h.look(ctx, en.kind, en.id, en.dropped)
		if err != nil {
			return reply{}, err
		}
		if s == nil {
			continue // its objects have just expired
		}
		list = append(list, Summary{
			ID: en.id, Kind: en.kind, File: s.File, RequestedBy: s.RequestedBy, At: en.at, State: s.State, Percent: s.Percent,
			Error: s.Error, Warnings: s.Warnings, Rows: s.Rows, Size: s.Size,
		})
	}
	return reply{status: http.StatusOK, body: struct {
		PageNo   int       `json:"page_no"`
		PageSize int       `json:"page_size"`
		Total    int       `json:"total"`
		Data     []Summary `json:"data"`
	}{no, size, len(all), list}}, nil
}

// entries are all uploads of a kind, or of both, the newest first. A bank has some thousands; S3 lists a
// thousand objects at a time.
func (h *Handler) entries(ctx context.Context, kind upload.Kind) ([]entry, error) {
	byID := map[string]*entry{}
	see := func(k upload.Kind, id string, at time.Time, dropped *types.Object) {
		en := byID[string(k)+id]
		if en == nil {
			byID[string(k)+id] = &entry{k, id, at, dropped}
			return
		}
		en.dropped = cmp.Or(en.dropped, dropped)
		if at.Before(en.at) {
			en.at = at
		}
	}
	for _, k := range []upload.Kind{upload.Spend, upload.Users} {
		if kind != "" && kind != k {
			continue
		}
		prefix := string(k) + "/"
		err := h.each(ctx, h.cfg.ReportBucket, prefix, func(o *types.Object) {
			id, _, ok := strings.Cut(strings.TrimPrefix(*o.Key, prefix), "/")
			if ok {
				see(k, id, aws.ToTime(o.LastModified), nil)
			}
		})
		if err != nil {
			return nil, err
		}
		err = h.each(ctx, h.bucket(k), "", func(o *types.Object) {
			if h.cfg.SpendBucket == h.cfg.UserBucket && !strings.HasPrefix(*o.Key, prefix) {
				return
			}
			if !strings.HasSuffix(*o.Key, "/") && !strings.HasSuffix(*o.Key, upload.ControlSuffix) {
				see(k, upload.ID(k, h.bucket(k), *o.Key), aws.ToTime(o.LastModified), o)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	all := make([]entry, 0, len(byID))
	for _, en := range byID {
		all = append(all, *en)
	}
	// S3 tells times to the second; within one, our ids have the order.
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(b.at.Truncate(time.Second).Compare(a.at.Truncate(time.Second)), cmp.Compare(b.id, a.id))
	})
	return all, nil
}

func (h *Handler) each(ctx context.Context, bucket, prefix string, f func(*types.Object)) error {
	pages := s3.NewListObjectsV2Paginator(h.deps.S3, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("listing uploads: %w", err)
		}
		for i := range page.Contents {
			f(&page.Contents[i])
		}
	}
	return nil
}
