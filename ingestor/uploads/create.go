package uploads

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/token"
	"github.com/angelowl-loyalties/app/loyalty/upload"
)

const (
	contentType = "text/csv"
	lifetime    = 15 * time.Minute // of a URL
	// partsLifetime is that of the URLs of parts: a file of many GiB is hours on its way. Where the lambda's
	// role signs, they end with its own session, too.
	partsLifetime = 6 * time.Hour

	maxSize = 256 << 30 // of a file
)

// Created is the answer to POST /upload. A file goes to URL by PUT with these headers, or, where there
// are parts, each to the URL of its own; POST /upload/{id}/complete ends it then.
type Created struct {
	ID        string            `json:"id"`
	URL       string            `json:"url,omitempty"`
	Headers   map[string]string `json:"headers"`
	ExpiresAt time.Time         `json:"expires_at"`
	Parts     []Part            `json:"parts,omitempty"`
}

// Part is a part of a file: Size bytes from Offset on.
type Part struct {
	Number int32  `json:"number"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
	URL    string `json:"url"`
}

// presigned answers the bare URL, as existing clients read it.
func (h *Handler) presigned(kind upload.Kind) func(context.Context, *events.APIGatewayProxyRequest, *token.Claims) (reply, error) {
	return func(ctx context.Context, _ *events.APIGatewayProxyRequest, caller *token.Claims) (reply, error) {
		c, err := h.begin(ctx, &upload.Request{Kind: kind}, caller)
		if err != nil {
			return reply{}, err
		}
		return reply{http.StatusOK, map[string]string{"X-Upload-Id": c.ID}, c.URL}, nil
	}
}

// create answers POST /upload.
func (h *Handler) create(ctx context.Context, e *events.APIGatewayProxyRequest, caller *token.Claims) (reply, error) {
	var in struct {
		Kind     upload.Kind     `json:"kind"`
		Filename string          `json:"filename"`
		Size     *int64          `json:"size"`
		Control  *upload.Control `json:"control"`
	}
	if err := bind(e, &in); err != nil {
		return reply{}, err
	}
	var errs loyalty.FieldErrors
	if !in.Kind.Valid() {
		errs.Add("", wrong("kind", "unknown", `must be "spend" or "users"`))
	}
	name := strings.TrimSpace(in.Filename)
	switch {
	case name == "":
		errs.Add("", wrong("filename", "missing", "is missing; it is how you find the file in the list"))
	case utf8.RuneCountInString(name) > 256:
		errs.Add("", wrong("filename", "too_long", "is longer than 256 characters"))
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		errs.Add("", wrong("filename", "not_text", "has a control character"))
	}
	r := &upload.Request{Kind: in.Kind, File: loyalty.StarPANs(path.Base(strings.ReplaceAll(name, `\`, "/"))), Control: in.Control}
	switch {
	case in.Size == nil:
	case *in.Size < 1:
		errs.Add("", wrong("size", "out_of_range", "must be the file's bytes, 1 at least; leave it out where it is not known"))
	case *in.Size > h.maxSize():
		errs.Add("", wrong("size", "out_of_range", fmt.Sprintf("is more than %d GiB; send the file in several", h.maxSize()>>30)))
	default:
		r.Size = *in.Size
	}
	if in.Control != nil && in.Kind == upload.Users && in.Control.Totals != nil {
		errs.Add("", wrong("control.totals", "no_money", "cannot be checked: a file of users has no amounts; send rows alone"))
	}
	if err := errs.Err(); err != nil {
		return reply{}, err
	}
	c, err := h.begin(ctx, r, caller)
	if err != nil {
		return reply{}, err
	}
	answer := data(http.StatusCreated, c)
	answer.headers = map[string]string{"X-Upload-Id": c.ID, "Location": "/upload/" + c.ID}
	return answer, nil
}

// begin makes an upload, and keeps who asked for it.
func (h *Handler) begin(ctx context.Context, r *upload.Request, caller *token.Claims) (*Created, error) {
	id, err := upload.NewID()
	if err != nil {
		return nil, fmt.Errorf("making an id: %w", err)
	}
	r.Upload, r.Key = id, upload.Key(r.Kind, id)
	r.By, r.Role, r.At = caller.Subject, string(caller.Role), h.deps.Clock().UTC().Truncate(time.Millisecond)
	c := &Created{ID: r.Upload, Headers: map[string]string{"Content-Type": contentType}}
	bucket := h.bucket(r.Kind)
	if r.Size > h.cfg.OneGo {
		if err := h.inParts(ctx, bucket, r, c); err != nil {
			return nil, err
		}
	} else {
		r.ExpiresAt = r.At.Add(lifetime)
		in := &s3.PutObjectInput{Bucket: &bucket, Key: &r.Key, ContentType: aws.String(contentType)}
		if r.Size > 0 {
			in.ContentLength = &r.Size // it is signed, so another size is refused
		}
		signed, err := h.signer.PresignPutObject(ctx, in, s3.WithPresignExpires(lifetime))
		if err != nil {
			return nil, fmt.Errorf("signing a URL: %w", err)
		}
		c.URL = signed.URL
	}
	c.ExpiresAt = r.ExpiresAt
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding a request: %w", err)
	}
	_, err = h.deps.S3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &h.cfg.ReportBucket, Key: aws.String(upload.RequestKey(r.Kind, r.Upload)),
		ContentType: aws.String("application/json"), Body: bytes.NewReader(append(b, '\n')),
	})
	if err != nil {
		return nil, fmt.Errorf("keeping a request: %w", err)
	}
	h.deps.Log.Info("an upload may come", "upload", r.Upload, "kind", r.Kind, "caller", r.By)
	return c, nil
}

func (h *Handler) inParts(ctx context.Context, bucket string, r *upload.Request, c *Created) error {
	r.ExpiresAt = r.At.Add(partsLifetime)
	begun, err := h.deps.S3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &r.Key, ContentType: aws.String(contentType)})
	if err != nil {
		return fmt.Errorf("beginning an upload in parts: %w", err)
	}
	r.Multipart = aws.ToString(begun.UploadId)
	c.Headers = map[string]string{}
	for at := int64(0); at < r.Size; at += h.cfg.PartSize {
		r.Parts++
		p := Part{Number: r.Parts, Offset: at, Size: min(h.cfg.PartSize, r.Size-at)}
		signed, err := h.signer.PresignUploadPart(ctx, &s3.UploadPartInput{
			Bucket: &bucket, Key: &r.Key, UploadId: &r.Multipart, PartNumber: &p.Number, ContentLength: &p.Size,
		}, s3.WithPresignExpires(partsLifetime))
		if err != nil {
			return fmt.Errorf("signing a URL: %w", err)
		}
		p.URL = signed.URL
		c.Parts = append(c.Parts, p)
	}
	return nil
}

// maxParts is S3's.
const maxParts = 10_000

// maxSize is the most bytes that a file may have.
func (h *Handler) maxSize() int64 { return min(maxSize, maxParts*h.cfg.PartSize) }

// complete answers POST /upload/{id}/complete. Only who began an upload ends it, or an admin: what is
// joined is what that account sent.
func (h *Handler) complete(ctx context.Context, e *events.APIGatewayProxyRequest, id string, caller *token.Claims) (reply, error) {
	var in struct {
		Parts []struct {
			Number int32  `json:"number"`
			ETag   string `json:"etag"`
		} `json:"parts"`
	}
	if err := bind(e, &in); err != nil {
		return reply{}, err
	}
	if len(in.Parts) == 0 {
		return reply{}, wrong("parts", "missing", "is missing: the number and the ETag of each part")
	}
	for i, p := range in.Parts {
		at := fmt.Sprintf("parts[%d].", i)
		switch {
		case p.Number < 1 || p.Number > maxParts:
			return reply{}, wrong(at+"number", "out_of_range", fmt.Sprintf("must be from 1 to %d", maxParts))
		case p.ETag == "" || len(p.ETag) > 256 || strings.ContainsFunc(p.ETag, func(r rune) bool { return r < ' ' || r > '~' }):
			return reply{}, wrong(at+"etag", "no_etag", "must be the ETag that the part's PUT answered")
		}
	}
	r, err := h.request(ctx, id)
	switch {
	case err != nil:
		return reply{}, err
	case r == nil:
		return reply{}, &errNotFound
	case r.By != caller.Subject && caller.Role != token.Admin:
		return reply{}, &errNotYours
	case r.Multipart == "":
		return reply{}, &errNoParts
	}
	parts := make([]types.CompletedPart, len(in.Parts))
	seen := map[int32]bool{}
	for i, p := range in.Parts {
		seen[p.Number] = true
		if p.Number > r.Parts {
			return reply{}, wrong(fmt.Sprintf("parts[%d].number", i), "out_of_range", fmt.Sprintf("must be from 1 to %d", r.Parts))
		}
		parts[i] = types.CompletedPart{PartNumber: &p.Number, ETag: &p.ETag}
	}
	if len(seen) != int(r.Parts) || len(parts) != int(r.Parts) {
		return reply{}, wrong("parts", "incomplete", fmt.Sprintf("must be all %d parts, each once", r.Parts))
	}
	slices.SortFunc(parts, func(a, b types.CompletedPart) int { return cmp.Compare(*a.PartNumber, *b.PartNumber) })
	bucket := h.bucket(r.Kind)
	// S3 says of the same request that comes again now that it is done, now that there is no such upload.
	switch _, there, err := h.arrived(ctx, bucket, r.Key); {
	case err != nil:
		return reply{}, err
	case there:
		return reply{}, &errComplete
	}
	_, err = h.deps.S3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &bucket, Key: &r.Key, UploadId: &r.Multipart, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	var api smithy.APIError
	switch {
	case err == nil:
	case errors.As(err, &api) && api.ErrorCode() == "NoSuchUpload":
		return reply{}, &errComplete
	case errors.As(err, &api) && slices.Contains([]string{"InvalidPart", "InvalidPartOrder", "EntityTooSmall", "InvalidRequest"}, api.ErrorCode()):
		return reply{}, errBadParts.because(err)
	default:
		return reply{}, fmt.Errorf("completing an upload: %w", err)
	}
	s, err := h.status(ctx, id)
	if err != nil {
		return reply{}, err
	}
	return data(http.StatusOK, s), nil
}
